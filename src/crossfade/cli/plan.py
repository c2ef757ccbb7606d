"""`crossfade plan`: before a rollout starts, what each stage will take, can see, may get wrong and may cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.assume import Baselines, Changes, Rate, Recorded, Spreads, recorded_values, world
from crossfade.cli.common import DATA, AsJson, DataDir, console, print_json
from crossfade.cli.narrow import fitting
from crossfade.cli.specs import one_rollout

if TYPE_CHECKING:
    from crossfade.judge.assumed import World
    from crossfade.judge.forecast import Effect, StageForecast
    from crossfade.spec.model import Rollout

RECORD = "crossfade.plan/1"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("plan")(plan)


def plan(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The spec file.")],
    rate: Rate = None,
    baseline: Baselines = None,
    change: Changes = None,
    spread: Spreads = None,
    disagreement: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of mirrored or copied requests on which the models differ.")
    ] = 0.0,
    recorded: Recorded = None,
    data: DataDir = DATA,
    json: AsJson = False,
) -> None:
    """Say for each stage how long it takes, what it can detect, how often it may be wrong, and what it may cost.

    By the judge's own boundaries and normal approximations, at once; `crossfade simulate SPEC` measures the same with
    the real rules. Exit code 0: planned; 1: the spec has problems; 2: wrong use.
    """
    from crossfade.judge.forecast import forecast

    rollout = one_rollout(spec, as_json=json)
    values = recorded_values(recorded, data, json=json)
    assumed, _ = world(
        rollout,
        rate=rate,
        baselines=baseline,
        spreads=spread,
        changes=change,
        recorded=values,
        disagreement=disagreement,
        json=json,
    )
    stages = forecast(rollout, assumed)
    if json:
        print_json(record(rollout, assumed, stages))
    else:
        _print(rollout, assumed, stages)


def record(rollout: Rollout, assumed: World, stages: tuple[StageForecast, ...]) -> dict[str, Any]:
    """What `--json` prints; times are seconds, differences in the metrics' own units, absent numbers null."""
    from crossfade.judge.plan import alpha_plan
    from crossfade.spec.model import stage_name

    return {
        "schema": RECORD,
        "name": rollout.name,
        "alpha": rollout.alpha,
        "assumed": asdict(assumed),
        "stages": [asdict(stage) for stage in stages],
        "approvals": [
            {"stage": stage_name(stage), "by": list(stage.approve.by), "needed": stage.approve.needed}
            for stage in rollout.stages
            if stage.approve is not None
        ],
        "tests": list(alpha_plan(rollout).rows()),
    }


def _print(rollout: Rollout, assumed: World, stages: tuple[StageForecast, ...]) -> None:
    from rich.table import Table

    from crossfade.approvals import wanted
    from crossfade.spec.model import stage_name
    from crossfade.view.words import duration, percent

    out = console()
    out.print(f"{rollout.name} at {assumed.rate:g} units a second, if the challenger {_as_assumed(rollout, assumed)}:")
    times = Table(box=None, pad_edge=False)
    rows: list[tuple[str, ...]] = [("stage", "expected", "90 %", "given up", "units", "false rollback", "promotion")]
    for heading in rows[0]:
        times.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in stages:
        told = (
            _named(stage),
            duration(stage.expected) if stage.expected is not None else "not decided",
            duration(stage.sure) if stage.sure is not None else "not decided",
            duration(stage.gives_up),
            f"{stage.exposed:,.0f}",
            f"≤ {percent(stage.false_rollback)}",
            f"≤ {percent(stage.false_promotion)}" if stage.false_promotion else "–",
        )
        times.add_row(*told)
        rows.append(told)
    out.print(fitting(times, rows, least=72))
    out.print()
    effects = Table(box=None, pad_edge=False)
    rows = [("stage", "metric", "harm seen", "worst cost", "at")]
    for heading in rows[0]:
        effects.add_column(heading, justify="left" if heading in ("stage", "metric") else "right")
    for stage in stages:
        for effect in stage.effects:
            row = (_named(stage), effect.metric, *_effect(effect))
            effects.add_row(*row)
            rows.append(row)
    out.print(fitting(effects, rows, least=60))
    out.print(
        "units: of challengers; harm seen: the difference found in 80 % of rollouts by the end; worst cost: the "
        "most that any difference is expected to cost before it is found; at: that difference. One inside the margin "
        "is never found: it costs until the stage ends."
    )
    for stage in stages:
        for note in stage.notes:
            out.print(f"{stage.stage}: {note}.")
    for one in rollout.stages:
        if one.approve is not None:
            out.print(
                f"{stage_name(one)}: entered with the approval of {wanted(one.approve)}; how long that takes is "
                "not part of these times."
            )
    for line in _split(rollout):
        out.print(line)


def _split(rollout: Rollout) -> Iterator[str]:
    """How alpha is shared out."""
    from crossfade.judge.plan import MOST_SEGMENTS, SEGMENT_SHARE, alpha_plan
    from crossfade.view.words import percent

    every = alpha_plan(rollout).tests
    if not every:
        yield "no test is planned."
        return
    parts = [test for test in every if test.alpha_field]
    spared = f": {percent((1.0 - SEGMENT_SHARE) * rollout.alpha)}" if parts else ""
    yield (
        f"alpha {percent(rollout.alpha)}{spared} is split evenly over {len(every)} tests of harm "
        f"({percent(every[0].alpha_harm)} each); promotion needs every guardrail and goal at once."
    )
    if parts:
        first, last = parts[0].alpha_segment(0), parts[0].alpha_segment(MOST_SEGMENTS - 1)
        fields = "1 field" if len(rollout.segments) == 1 else f"{len(rollout.segments)} fields"
        tests = "1 of these tests" if len(parts) == 1 else f"{len(parts)} of these tests"
        yield (
            f"{percent(SEGMENT_SHARE * rollout.alpha)} is for segments: {tests} again for each of up to "
            f"{MOST_SEGMENTS} values of {fields}, {percent(first)} for the first value that has enough units, "
            f"half of that for the second, a third for the third, and so on to {percent(last)}."
        )


def _named(stage: StageForecast) -> str:
    from crossfade.view.words import percent

    if stage.stage == "shadow":
        return stage.stage
    return f"{stage.stage} {percent(stage.weights[0])}" + (
        f" to {percent(stage.weights[-1])}" if len(stage.weights) > 1 else ""
    )


def _as_assumed(rollout: Rollout, assumed: World) -> str:
    parts = [
        f"changes {metric.name} by {_difference(str(metric.kind), one.change, signed=True)}"
        for metric in rollout.metrics
        if (one := assumed.metrics.get(metric.name)) is not None and one.change
    ]
    return " and ".join(parts) if parts else "is no different"


def _effect(effect: Effect) -> tuple[str, str, str]:
    found = "not seen" if effect.detectable is None else _difference(effect.kind, effect.detectable)
    harm = "–" if effect.worst_harm is None else f"{effect.worst_harm:,.0f}"
    at = "" if not effect.worst_at else _difference(effect.kind, effect.worst_at)
    return found, harm, at


def _difference(kind: str, value: float, *, signed: bool = False) -> str:
    text = f"{value:+.3g}" if signed else f"{value:.3g}"
    if kind == "rate":
        text = f"{100.0 * value:+.3g} pp" if signed else f"{100.0 * value:.3g} pp"
    return f"{text} ms" if kind == "quantile" else text
