"""`crossfade replay-traffic`: recorded requests sent through both models of a spec, and their replies compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import PROBLEM, AsJson, console, fail, print_json
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.rim.traffic import Answers
    from crossfade.spec.model import Arm, Rollout
    from crossfade.view.comparison import Comparing


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("replay-traffic")(replay_traffic)


def replay_traffic(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded requests, one JSON document a line.")],
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The rollout whose models are asked.")],
    rate: Annotated[float, typer.Option(help="Requests a second, at most.", min=0.01, max=10_000)] = 20.0,
    at_once: Annotated[int, typer.Option(help="Requests under way, at most.", min=1, max=64)] = 4,
    noise: Annotated[
        float | None, typer.Option(help="Share sent twice to the champion, 0 to 1. The shadow's unless given.")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Which challenger; the first unless given.")] = None,
    examples: Annotated[int, typer.Option(help="Examples kept of each field.", min=0, max=100)] = 3,
    json: AsJson = False,
) -> None:
    """Send recorded requests to both models at a bounded rate, and say where their replies differ.

    FILE has lines of {"body": ..., "path": "/...", "method": "POST", "headers": {...}, "id": ...}, of which all but the
    body may be left out. Models that write should be told apart by `dry_run_header:` in the spec, which is sent along.

    Exit code 0: no field differs beyond the margin; 1: some do, or replies are unusable; 2: wrong use.
    """
    from crossfade.cli.specs import named_rollout

    rollout = named_rollout(spec, as_json=json)
    challenger = _arm(rollout, arm, json)
    if noise is not None and not 0.0 <= noise <= 1.0:
        fail(f"--noise {noise}: expected a share from 0 to 1", "write such as --noise 0.1", as_json=json)
    if not file.is_file():
        fail(f"there is no file {file}", "name a file of recorded requests", as_json=json)
    record = _compared(file, rollout, challenger, _noise(rollout) if noise is None else noise, rate, at_once, examples)
    if not record["pairs"]:
        first = record["bad_lines"][0] if record["bad_lines"] else None
        why = (
            f"line {first['line']}: {first['problem']}" if first else "see `failed` with --json: did the models answer?"
        )
        fail(f"nothing could be compared of {record['requests']} requests in {file}", why, as_json=json)
    if json:
        print_json(record)
    else:
        _tell(record, challenger.name)
    lines = [record["disagreement"], record["catastrophic"], *record["fields"]]
    if any(line["verdict"] == "harmful" and line["muted"] is None for line in lines):
        raise typer.Exit(PROBLEM)


def _compared(
    file: Path, rollout: Rollout, challenger: Arm, noise: float, rate: float, at_once: int, examples: int
) -> dict[str, Any]:
    from crossfade.judge.infer.latency import paired_latency
    from crossfade.live.assign import bucket
    from crossfade.live.compare import Rules
    from crossfade.rim.theirs import embed
    from crossfade.rim.traffic import Recorded, Sender
    from crossfade.view.comparison import Comparing, margin_of

    comparing = Comparing(
        protocol=rollout.protocol,
        rules=Rules(rollout.compare, embed),
        margin=margin_of(rollout),
        alpha=rollout.alpha,
        examples=examples,
        redact=rollout.redact,
    )
    recorded = Recorded(file, rollout.route)
    sender = Sender(rollout, challenger, rate=rate, at_once=at_once, noise=lambda name: bucket("noise", name) < noise)
    times: tuple[list[float], list[float]] = ([], [])
    with working("Asking both models", unit="requests") as at_work:
        for answers in at_work.each(sender.answers(iter(recorded))):
            _take(comparing, answers, times)
    return {
        **comparing.record(),
        "requests": recorded.lines,
        "latency": paired_latency(*times, rollout.alpha),
        "bad_lines": [{"line": one.line, "problem": one.problem} for one in recorded.bad[:20]],
    }


def _take(comparing: Comparing, answers: Answers, times: tuple[list[float], list[float]]) -> None:
    name, ours, theirs, again = answers.request.id, answers.champion, answers.challenger, answers.again
    if ours.failure:
        comparing.failed("champion", ours.failure)
        return
    if theirs.failure:
        comparing.lost(name, theirs.failure, ours.body)
        return
    times[0].append(ours.ms)
    times[1].append(theirs.ms)
    if again is not None and again.failure:
        comparing.failed("noise", again.failure)
        again = None
    comparing.add(name, ours.body, theirs.body, None if again is None else again.body)


def _tell(record: dict[str, Any], arm: str) -> None:
    from crossfade.cli.compare_tree import tree

    terminal = console()
    terminal.print(tree(record, f"{arm} against the champion"))
    latency = record["latency"]
    if latency["difference"] is not None:
        interval = "" if latency["lower"] is None else f" ({latency['lower']:+.1f} to {latency['upper']:+.1f})"
        terminal.print(f"latency: {latency['difference']:+.1f} ms{interval} on average over the same requests")
    if record["bad_lines"]:
        first = record["bad_lines"][0]
        terminal.print(
            f"? {len(record['bad_lines'])} lines hold no request, first line {first['line']}: {first['problem']}"
        )


def _noise(rollout: Rollout) -> float:
    from crossfade.spec.model import Shadow

    return next((stage.noise for stage in rollout.stages if isinstance(stage, Shadow)), 0.0)


def _arm(rollout: Rollout, name: str | None, json: bool) -> Arm:
    if rollout.in_process:
        fail("the models of this spec live in a program and have no address", "compare recorded replies", as_json=json)
    found = next((arm for arm in rollout.challengers if name in (None, arm.name)), None)
    if found is None:
        names = ", ".join(arm.name for arm in rollout.challengers)
        fail(f"no challenger is named {name}", f"the challengers are {names}", as_json=json)
    return found
