"""`crossfade simulate SPEC`: the real rules on synthetic traffic, many times over, told as shares and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.cli.assume import recorded_values, world
from crossfade.cli.common import console, print_json
from crossfade.cli.progress import working
from crossfade.cli.specs import one_rollout

if TYPE_CHECKING:
    from crossfade.judge.assumed import World
    from crossfade.sim.trials import Outcome, Share
    from crossfade.spec.model import Rollout

RECORD = "crossfade.simulate/1"


def rehearse(
    spec: Path,
    *,
    rate: float | None,
    baselines: list[str] | None,
    changes: list[str] | None,
    spreads: list[str] | None,
    disagreement: float,
    recorded: str | None,
    data: Path,
    runs: int,
    seed: int,
    json: bool,
) -> None:
    """Rehearse four challengers and print what came of each."""
    rollout = one_rollout(spec, as_json=json)
    values = recorded_values(recorded, data, json=json)
    assumed, named = world(
        rollout,
        rate=rate,
        baselines=baselines,
        spreads=spreads,
        changes=changes,
        recorded=values,
        disagreement=disagreement,
        json=json,
    )
    found = _tried(rollout, assumed, named, runs, seed)
    if json:
        print_json(record(rollout, assumed, list(found), runs, seed))
        return
    out = console()
    out.print(
        f"{rollout.name} at {assumed.rate:g} units a second: {runs} rollouts for each challenger, seed {seed}; "
        "99 % intervals."
    )
    for outcome in found:
        for text in sentences(outcome, assumed):
            out.print(text)


def _tried(rollout: Rollout, assumed: World, named: dict[str, float], runs: int, seed: int) -> Iterator[Outcome]:
    from crossfade.sim.trials import challengers, tried

    all_of_them = challengers(rollout, assumed, named)
    for name, changes in all_of_them.items():
        with working(f"Rehearsing {runs} rollouts, challenger: {name}"):
            found = tried(rollout, assumed, name, changes, runs=runs, seed=seed)
        yield found


def record(rollout: Rollout, assumed: World, found: list[Outcome], runs: int, seed: int) -> dict[str, Any]:
    """What `--json` prints; times are seconds, shares have their 99 % interval."""
    return {
        "schema": RECORD,
        "name": rollout.name,
        "alpha": rollout.alpha,
        "runs": runs,
        "seed": seed,
        "assumed": asdict(assumed),
        "challengers": [
            {
                **asdict(outcome),
                "promoted": _share(outcome.promoted),
                "harmful": _share(outcome.harmful),
                "undecided": _share(outcome.undecided),
                "over_budget": {name: _share(share) for name, share in outcome.over_budget.items()},
            }
            for outcome in found
        ],
    }


def _share(share: Share) -> dict[str, float | int]:
    lower, upper = share.interval
    return {"times": share.times, "runs": share.runs, "share": share.value, "lower": lower, "upper": upper}


def sentences(outcome: Outcome, assumed: World) -> Iterator[str]:
    """The same in words."""
    from crossfade.view.words import duration

    changes = ", ".join(f"{name} {change:+.3g}" for name, change in outcome.changes.items()) or "no change"
    yield ""
    yield f"{outcome.challenger} ({changes})"
    told = [
        ("promoted", outcome.promoted),
        ("rolled back for harm", outcome.harmful),
        ("not decided", outcome.undecided),
    ]
    for words, share in told:
        yield f"  {words}: {_words(share)}"
    yield f"  over after {duration(outcome.median)} at the median; nine of ten within {duration(outcome.most)}"
    for stage in outcome.stages:
        if stage.median is not None:
            passed = f"{stage.passed} of {stage.entered} went on"
            took = f"after {duration(stage.median)}; nine of ten within {duration(stage.most)}"
            yield f"  {stage.stage}: {passed}, {took}"
        else:
            yield f"  {stage.stage}: none of {stage.entered} went on"
    for name, (mean, most) in outcome.harm.items():
        yield f"  {name}: {mean:,.1f} lost on average, {most:,.1f} in the worst twentieth"
    for name, share in outcome.over_budget.items():
        yield f"  over the budget of {name}: {_words(share)}"


def _words(share: Share) -> str:
    lower, upper = share.interval
    return f"{100.0 * share.value:.1f} % ({share.times} of {share.runs}; {100.0 * lower:.1f}–{100.0 * upper:.1f} %)"
