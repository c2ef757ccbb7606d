"""`crossfade simulate`: what a test would need, from simulated people, before anybody real is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.assume import Baselines, Changes, Rate, Recorded, Spreads
from crossfade.cli.common import DATA, AsJson, DataDir, fail, print_json
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.sim.interleave_sensitivity import Found

CLICKS = ("cascade", "position", "navigational", "informational", "random")
METHODS = (
    "team-draft",
    "balanced",
    "probabilistic",
    "optimized",
    "team-draft-multileave",
    "probabilistic-multileave",
    "pairwise-preference",
)
"""As `crossfade.sim.interleave` has them, which no help text should have to load."""

AB_METRIC = "click rate"
"""The A/B test that the record compares with: on clicks."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("simulate")(simulate)


def simulate(
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", help="A spec, to rehearse its rollout on synthetic traffic.")
    ] = None,
    interleave: Annotated[
        bool, typer.Option("--interleave", help="How soon interleaving tells two runs apart, beside an A/B test.")
    ] = False,
    qrels: Annotated[Path | None, typer.Option(metavar="FILE", help="Graded judgments in TREC format.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A run in TREC format; twice: first A, then B.")
    ] = None,
    clicks: Annotated[str, typer.Option(help=f"How people click: {', '.join(CLICKS)}.")] = "cascade",
    method: Annotated[str, typer.Option(help=f"How lists are merged: {', '.join(METHODS)}.")] = "team-draft",
    sessions: Annotated[int, typer.Option(min=1, help="Most sessions of the run that is shown.")] = 20_000,
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Items a reader sees.")] = 10,
    alpha: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="How often a test may find what is not there.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same simulation.")] = 1,
    rate: Rate = None,
    baseline: Baselines = None,
    change: Changes = None,
    spread: Spreads = None,
    disagreement: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of mirrored or copied requests on which the models differ.")
    ] = 0.0,
    recorded: Recorded = None,
    runs: Annotated[int, typer.Option(min=1, help="Rollouts rehearsed for each challenger.")] = 100,
    data: DataDir = DATA,
    json: AsJson = False,
) -> None:
    """Rehearse a spec's rollout on synthetic traffic; or say how many sessions interleaving needs.

    With SPEC: the real rules, look after look, for a challenger that is the same, one at a margin, a better one and a
    broken one. With --interleave: how many sessions tell two rankers apart, and how many an A/B test would need. Exit
    code 0: simulated; 1: the spec has problems; 2: wrong use, such as a file that cannot be read.
    """
    if interleave and spec is not None:
        fail("a spec is rehearsed without --interleave", "leave one of the two out", as_json=json)
    if spec is not None:
        from crossfade.cli.rehearse import rehearse

        rehearse(
            spec,
            rate=rate,
            baselines=baseline,
            changes=change,
            spreads=spread,
            disagreement=disagreement,
            recorded=recorded,
            data=data,
            runs=runs,
            seed=seed,
            json=json,
        )
        return
    if not interleave:
        fail(
            "there is nothing to simulate",
            "name a spec, such as `crossfade simulate spec.yaml --rate 50 --baseline errors=1%`; or add --interleave",
            as_json=json,
        )
    if qrels is None or run is None or len(run) != 2:
        fail(
            f"--interleave needs one --qrels and two --run; found {'no' if qrels is None else 'one'} --qrels and "
            f"{len(run or [])} --run",
            "crossfade simulate --interleave --qrels FILE --run A --run B",
            as_json=json,
        )
    for option, word, allowed in (("--clicks", clicks, CLICKS), ("--method", method, METHODS)):
        if word not in allowed:
            fail(f"{option}: found {word!r}", f"expected one of: {', '.join(allowed)}", as_json=json)
    from crossfade.sim import interleave_sensitivity as sensitivity
    from crossfade.sim.clicks import CLICK_MODELS
    from crossfade.sim.trec import TrecError, read_qrels, read_run

    try:
        queries = sensitivity.topics(read_qrels(qrels), read_run(run[0]), read_run(run[1]), depth)
    except TrecError as error:
        fail(error.error, error.what_to_do, as_json=json)
    if not queries:
        fail(
            f"no topic is in {qrels}, {run[0]} and {run[1]} at once",
            "see to it that all three name their topics alike",
            as_json=json,
        )
    with working("Simulating sessions"):
        found = sensitivity.compare(queries, CLICK_MODELS[clicks], method=method, alpha=alpha, seed=seed, most=sessions)
    if json:
        print_json(record(found))
    else:
        for line in sentences(found, names=(run[0].name, run[1].name), clicks=clicks, topics=len(queries)):
            typer.echo(line)


def record(found: Found) -> dict[str, Any]:
    """What `--json` prints. Preference and its ends are from −1 (A) to 1 (B); absent numbers are null."""
    ab = found.ab_needed[AB_METRIC]
    return {
        "method": found.method,
        "sessions": found.votes.sessions,
        "preference": found.preference,
        "lower": found.lower,
        "upper": found.upper,
        "e_value": found.e_value,
        "verdict": str(found.verdict),
        "sessions_to_decision": found.needed,
        "ab_sessions_to_decision": ab,
        "ratio": ab / found.needed if ab is not None and found.needed is not None else None,
    }


def sentences(found: Found, *, names: tuple[str, str], clicks: str, topics: int) -> list[str]:
    """The same in words."""
    votes = found.votes
    decided = {
        "safe": f"{names[1]} (B) is preferred to {names[0]} (A)",
        "harmful": f"{names[0]} (A) is preferred to {names[1]} (B)",
        "undecided": "Neither ranker was found preferred",
        "unmeasured": "Too few sessions voted to say anything",
    }[str(found.verdict)]
    lines = [
        f"{decided} after {votes.sessions:,} sessions on {topics} topics ({clicks} clicks, {found.method}).",
        f"B won {votes.wins:,}, A won {votes.losses:,}, ties {votes.ties:,}."
        + (
            f" Preference {found.preference:+.3f}, between {found.lower:+.3f} and {found.upper:+.3f}; "
            f"e-value {found.e_value:.3g}."
            if found.preference is not None and found.lower is not None and found.upper is not None
            else ""
        ),
    ]
    if found.needed is None:
        return [*lines, "No preference shows in the simulated sessions, so there is nothing to be decided."]
    lines.append(f"95 % of such tests decide within {found.needed:,} sessions.")
    for metric, needed in found.ab_needed.items():
        if needed is None:
            lines.append(f"An A/B test on {metric} does not decide within ten million sessions.")
        else:
            lines.append(f"An A/B test on {metric} needs {needed:,}: {needed / found.needed:.3g} times as many.")
    return lines
