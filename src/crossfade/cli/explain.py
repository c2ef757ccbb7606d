"""`crossfade explain`: the rule that spoke, its arithmetic and the evidence as it stood."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, opened_record, print_json
from crossfade.cli.narrow import say
from crossfade.cli.verify import Folder

if TYPE_CHECKING:
    from crossfade.ledger import Entry
    from crossfade.spec.model import Rollout


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("explain")(explain)


def explain(
    name: Name,
    n: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Number of a decision, as `status` lists it; now if left out.")
    ] = None,
    data: DataDir = DATA,
    folder: Folder = None,
    json: AsJson = False,
) -> None:
    """Say why a rollout stands where it stands, or why decision N was taken, with the arithmetic."""
    if folder is not None:
        if n is None:
            fail(f"{folder} says what was decided, not where {name} stands now", "name a decision", as_json=json)
        rollout, entries = _exported(data, name, folder, as_json=json)
        _entry(name, n, rollout, entries, as_json=json)
        return
    with opened(data, as_json=json) as store:
        from crossfade.rim.standing import standing

        now = time.time()
        record = standing(store, name, now)
        rollout = store.get(name).rollout
        entries = store.entries(name)
    if n is None:
        if json:
            print_json(record)
        else:
            say([*_now(record, now), *_arithmetic(rollout, record["evidence"])])
        return
    _entry(name, n, rollout, entries, as_json=json)


def _exported(data: Path, name: str, folder: Path, *, as_json: bool) -> tuple[Rollout, list[Entry]]:
    """The ledger of a folder that was exported, and the spec it ends with."""
    from crossfade.rim.replaying import chains, spec_of

    with opened_record(data, name, folder, as_json=as_json) as record:
        entries, _ = chains(record)
        if not entries:
            fail(f"the ledger in {folder} is empty", as_json=as_json)
        return spec_of(record, entries[-1]), entries


def _entry(name: str, n: int, rollout: Rollout, entries: Sequence[Entry], *, as_json: bool) -> None:
    entry = next((entry for entry in entries if entry.n == n), None)
    if entry is None:
        fail(f"{name} has no entry {n} in its ledger", f"its entries are 1 to {len(entries)}", as_json=as_json)
    if as_json:
        print_json(entry.to_json())
    else:
        say([*_then(entry), *_arithmetic(rollout, entry.evidence)])


def _now(record: Mapping[str, Any], now: float) -> list[str]:
    from crossfade.cli.terminal import silence

    told = [f"{record['name']} now: {record['phase'].replace('_', ' ')}", f"  {record['sentence']}"]
    silent = silence(record, now)
    if silent is not None:
        told.append(f"  {silent}")
    if record["next"]["what"]:
        told.append(f"  {record['next']['what']}")
    if record["progress"]:
        told.append(f"  {record['progress']['text']}")
    from crossfade.view.words import known_at

    if record["harm"]["metrics"]:
        told.append(f"  harm, {known_at(record)}:")
    for metric in record["harm"]["metrics"]:
        told.extend(f"    {metric['metric']}, {text}" for text in metric["arithmetic"])
    return told


def _then(entry: Entry) -> list[str]:
    from crossfade.view.words import moment

    who = "by rule" if entry.actor == "rule" else f"by {entry.actor}"
    told = [
        f"{entry.rollout} entry {entry.n}: {entry.move or entry.kind} {who}, {moment(entry.at)} UTC",
        f"  rule {entry.rule}: {entry.sentence}",
        f"  spec revision {entry.revision}",
    ]
    if entry.facts:
        seen = ", ".join(f"{kind} version {version}" for kind, version in sorted(entry.facts.items()))
        told.append(f"  computed from the fact tables {seen}")
    return told


def _arithmetic(rollout: Rollout, records: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    from crossfade.judge.evidence import Evidence
    from crossfade.view.explain import explain as steps

    if not records:
        yield "  no evidence had been measured"
    # Of segments those that come to harm: there may be hundreds of lines, and all of them are in `--json`.
    told = [one for one in records if one.get("segment") is None or one["verdict"] == "harmful"]
    for record in told:
        heading, *rest = steps(rollout, Evidence.from_json(record))
        yield f"  {heading}"
        yield from (f"      {step}" for step in rest)
    if len(told) < len(records):
        left = len(records) - len(told)
        yield f"  and {left} {'line' if left == 1 else 'lines'} of evidence on segments without proven harm (--json)"
