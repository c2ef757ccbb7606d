"""What happened: exposure over time, the evidence of every decision, segments, harm and incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.ledger import Entry, kind_of
from crossfade.spec.model import stage_name
from crossfade.state import RULE, Move, Position, weight
from crossfade.view.dossier.blocks import Block, Part, heading, items, picture, table, text
from crossfade.view.dossier.known import Known
from crossfade.view.drift import about
from crossfade.view.record import line_in_words
from crossfade.view.words import duration, moment, of_which, percent, whole


def exposure(known: Known) -> Part:
    """How many met the challenger, and when."""
    if not known.moves:
        return Part(id="exposure", title="Exposure over time", blocks=[], missing=["it has not started"])
    steps = []
    for entry in known.moves:
        position = Position.from_json(entry.to_position or {})
        stage = stage_name(known.rollout.stages[position.stage])
        steps.append({"at": entry.at, "weight": weight(known.rollout, position), "move": entry.move, "stage": stage})
    end = max([known.moves[-1].at, *(float(part["until"]) for part in known.timeline)])
    rows = []
    for place, (entry, following) in enumerate(zip(known.moves, [*known.moves[1:], None], strict=True)):
        position = Position.from_json(entry.to_position or {})
        until = following.at if following else end
        rows.append(
            (
                f"{moment(entry.at)}",
                entry.move,
                percent(weight(known.rollout, position)),
                duration(until - entry.at),
                _per_arm({arm: whole(n) for arm, n in known.spans[place].items()}) if known.spans else "",
            )
        )
    seen = "" if known.timeline else " What was seen is not in the record."
    head = ("from (UTC)", "move", "planned share", "for", "units seen meanwhile")
    return Part(
        id="exposure",
        title="Exposure over time",
        blocks=[
            picture(
                "exposure",
                f"The planned share of units of the challenger as steps, and the share seen as a line.{seen}",
                steps=steps,
                looks=_seen(known),
                end=end,
            ),
            table(head, rows, numbers=(2, 3)),
        ],
        trace=f"crossfade export {known.rollout.name} -o FOLDER; FOLDER/ledger.jsonl, FOLDER/facts/exposed",
    )


def _seen(known: Known) -> list[dict[str, Any]]:
    """The share of units on challengers, slice by slice."""
    found = []
    for part in known.timeline:
        units = {arm: int(count) for arm, count in part["units"].items()}
        everybody = sum(units.values())
        if everybody:
            mine = sum(units.get(arm.name, 0) for arm in known.rollout.challengers)
            at = (part["at"] + part["until"]) / 2.0
            found.append({"at": at, "actual": mine / everybody, "units": everybody, "lines": []})
    return found


def evidence(known: Known) -> Part:
    """Every move with what it stood on."""
    blocks: list[Block] = []
    for entry in known.moves:
        blocks.extend(_decision(known, entry))
    return Part(
        id="evidence",
        title="Decisions and the evidence for each",
        blocks=blocks,
        missing=[] if blocks else ["no decision has been taken"],
        trace=f"crossfade explain {known.rollout.name} N; crossfade replay {known.rollout.name} --json",
    )


def _decision(known: Known, entry: Entry) -> Iterator[Block]:
    again = next((one for one in known.replayed.get("looked", ()) if one["n"] == entry.n), None)
    by = "by rule" if entry.actor == RULE else f"by {entry.actor}"
    yield heading(f"Entry {entry.n}: {entry.move} {by}, {moment(entry.at)} UTC")
    yield text(entry.sentence)
    if entry.sealed is not None and again is not None:
        came = "and comes out again from them" if again["reproduced"] else "and does NOT come out again from them"
        yield text(f"It stands on {again['files']} files of facts (seal {entry.sealed['n']}), {came}.")
    elif entry.actor == RULE:
        yield text("The facts it stands on were not sealed.")
    lines = [line for line in known.lines[entry.n] if line.segment is None]
    if not lines:
        return
    said = [line_in_words(known.rollout, line) for line in lines]
    if entry.actor == RULE:
        drawn = [{k: v for k, v in line.to_json().items() if k != "assumptions"} for line in lines]
        yield picture("forest", "; ".join(f"{one.metric}: {one.verdict}" for one in lines), lines=drawn, words=said)
    yield table(
        ("metric", "role", "units", "values", "difference", "interval", "limit", "verdict"),
        [
            (
                line.metric,
                line.role,
                _per_arm(told["units"]),
                _per_arm(told["values"]),
                told["estimate"],
                f"{told['interval']} at {told['confidence']}",
                told["limit"],
                f"{told['shape']} {line.verdict}{f': {line.reason}' if line.reason else ''}",
            )
            for line, told in zip(lines, said, strict=True)
        ],
        numbers=(4, 5, 6),
    )


def _per_arm(values: Mapping[str, str]) -> str:
    return ", ".join(f"{arm} {value}" for arm, value in values.items())


def segments(known: Known) -> Part:
    """Whether some were served otherwise than all: as the last decision saw it, and wherever harm was proven."""
    lines: list[tuple[Entry, Evidence]] = [
        (entry, line) for entry in known.moves for line in known.lines[entry.n] if line.segment is not None
    ]
    last = max((entry.n for entry, _ in lines), default=0)
    rows = [
        (entry.n, line.segment, line.metric, told["estimate"], told["interval"], f"{told['shape']} {line.verdict}")
        for entry, line in lines
        if entry.n == last or line.verdict is Verdict.HARMFUL
        for told in [line_in_words(known.rollout, line)]
    ]
    missing = [] if rows else ["no line of evidence speaks of a segment: whether some group fares worse is not shown"]
    head = ("entry", "segment", "metric", "difference", "interval", "verdict")
    which = "What each segment was found to be at the last decision that saw any, and wherever harm was proven before."
    return Part(
        id="segments",
        title="Segments",
        blocks=[text(which), table(head, rows, numbers=(0, 3, 4))] if rows else [],
        missing=missing,
    )


def drift(known: Known) -> Part:
    """Whether the world, a model or the feed changed meanwhile."""
    told = known.view.get("drift")
    if told is None:
        return Part(
            id="drift",
            title="Drift",
            blocks=[],
            missing=[
                "no check of the inputs or of the world is in this record: its spec does not ask for one by `drift`. "
                "Arms are compared at the same time, so that a change which meets both is not taken for a difference "
                "between them"
            ],
        )
    rows = [
        (field["side"], field["field"], field["arm"] or "all", field["what"], moment(field["since"]) if field["since"]
         else "", f"{field['psi']:.2g}" if field["psi"] is not None else "")
        for field in told["fields"] if field["changed"]
    ]  # fmt: skip
    unmeasured = sorted({field["reason"] for field in told["fields"] if not field["measured"]})
    head = ("side", "field", "arm", "what changed", "since (UTC)", "PSI")
    return Part(
        id="drift",
        title="Drift",
        blocks=[
            *(text(one["sentence"]) for one in told["findings"] if one["cause"] != "unmeasured"),
            *([table(head, rows, numbers=(5,))] if rows else []),
            text(about(told)),
        ],
        missing=[one["sentence"] for one in told["findings"] if one["cause"] == "unmeasured"]
        or [f"some fields are not measured: {reason}" for reason in unmeasured],
    )


def harm(known: Known) -> Part:
    """What the challenger did to those who met it."""
    told = known.view["harm"]
    blocks: list[Block] = [
        text(f"{whole(told['units'])} units were served by {told['arm']} in all.")
        if told["units"]
        else text("No unit is recorded as served by the challenger.")
    ]
    for metric in told["metrics"]:
        budget = f" (budget {metric['budget']:g})" if metric["budget"] is not None else ""
        blocks += [text(f"{metric['text']}{budget}."), items(metric["arithmetic"])]
    if told["metrics"]:
        until = f"Counted over all that had come in by {moment(known.view['at'])} UTC, also after the last decision."
        blocks.append(text(until))
    return Part(
        id="harm",
        title="Harm",
        blocks=blocks,
        missing=[*([] if told["metrics"] else ["no metric counts events, so harm has no number"]), *unmade(known)],
        trace=f"crossfade report {known.rollout.name} --folder FOLDER -o FILE.json",
    )


def unmade(known: Known) -> list[str]:
    """What to say of counts that could not be made anew."""
    return [] if known.view["from"] == "facts" else ["counts from the facts: these are the ones that were last shown"]


def incidents(known: Known) -> Part:
    """What went wrong on the way."""
    counts = known.view["counts"]
    rows = [(entry.n, moment(entry.at), entry.move, entry.sentence) for entry in known.moves if entry.move in _STOPS]
    blocks: list[Block] = []
    if rows:
        blocks += [text("Holds and rollbacks:"), table(("entry", "at (UTC)", "move", "why"), rows, numbers=(0,))]
    faults = [(one["what"], whole(one["count"]), moment(one["first"]), moment(one["last"])) for one in known.faults]
    if faults:
        blocks += [
            text("Faults of Crossfade itself:"),
            table(("what", "times", "first (UTC)", "last (UTC)"), faults, numbers=(1,)),
        ]
    lost = []
    if known.leases:
        lost.append(f"gateways lost the controller {whole(known.leases)} times; only the champion served meanwhile")
    lost += [f"entry {entry.n}: {entry.sentence}" for entry in known.entries if kind_of(entry) in _OUTAGES]
    if counts.get("dropped"):
        why = of_which(counts.get("dropped_share"), counts.get("dropped_why"))
        lost.append(f"{whole(counts['dropped'])} shadow copies were dropped{why}")
    if counts.get("orphans"):
        lost.append(f"{whole(counts['orphans'])} outcomes joined no exposure")
    if lost:
        blocks.append(items(lost))
    if not blocks:
        blocks.append(text("No hold, no rollback, no fault and no loss is recorded."))
    return Part(
        id="incidents",
        title="Incidents",
        blocks=blocks,
        missing=["complaints of people, and what happened outside of what was measured"],
        trace="FOLDER/facts/fault, FOLDER/facts/lease",
    )


_OUTAGES = ("takeover", "lease")
"""Entries of the controller having been away."""

_STOPS = (Move.HOLD, Move.ROLLBACK)


def assumptions(known: Known) -> list[str]:
    """What the evidence that was decided on takes for granted, each said once."""
    told: dict[str, None] = {}
    for entry in known.moves:
        for line in known.lines[entry.n]:
            told.update(dict.fromkeys(line.assumptions))
    return list(told)
