"""Options by which people say what traffic they expect, and how they are read; shared by `plan` and `simulate`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import fail
from crossfade.spec.model import Better, Kind, Metric, Rollout

if TYPE_CHECKING:
    from crossfade.judge.assumed import World

Rate = Annotated[float | None, typer.Option(min=1e-6, help="New units per second on the route.")]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline", metavar="METRIC=VALUE", help="The champion's value: errors=0.5%, latency=200ms, revenue=3."
    ),
]
Spreads = Annotated[
    list[str] | None,
    typer.Option(
        "--spread",
        metavar="METRIC=VALUE",
        help="Standard deviation over units as a share of the value (latencies: of their logarithm); else 1 (0.5).",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--change",
        metavar="METRIC=VALUE",
        help="What the challenger is expected to change: purchase=+10%, errors=+0.1pp. Goals gain 10% unless named.",
    ),
]
Recorded = Annotated[
    str | None,
    typer.Option("--from", metavar="NAME", help="Take the champion's values from this rollout's record in --data."),
]

_VALUE = re.compile(r"([+-]?)\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(%|pp|ms|s)?", re.IGNORECASE)
_EACH = {Kind.QUANTILE: 0.5}
"""Spreads where nobody says; latencies by their logarithm."""


def world(
    rollout: Rollout,
    *,
    rate: float | None,
    baselines: list[str] | None,
    spreads: list[str] | None,
    changes: list[str] | None,
    recorded: Mapping[str, float],
    disagreement: float,
    json: bool,
) -> tuple[World, dict[str, float]]:
    """What is assumed, and the changes that were named (empty where none was); ends the command on wrong use."""
    from crossfade.judge.assumed import Assumed, World
    from crossfade.judge.forecast import missing
    from crossfade.sim.trials import challengers

    metrics = {metric.name: metric for metric in rollout.metrics}
    values = dict(recorded)
    values |= {name: _own(metrics[name], text, json) for name, text in _named(metrics, baselines, "--baseline", json)}
    spread = {name: _number(text, "--spread", json) for name, text in _named(metrics, spreads, "--spread", json)}
    unknown = missing(rollout, values)
    if rate is None or unknown:
        wanted = [
            *(["--rate 50"] if rate is None else []),
            *(f"--baseline {name}={_like(metrics[name])}" for name in unknown),
        ]
        fail(
            "nobody can tell how long it takes without knowing the traffic: "
            + " and ".join(
                [*(["how many units come"] if rate is None else []), *(f"the champion's {n}" for n in unknown)]
            ),
            "add " + " ".join(wanted) + ("" if not unknown else "; or --from NAME, a rollout that was recorded"),
            as_json=json,
        )
    found = World(
        rate=rate,
        metrics={
            name: Assumed(value=value, spread=spread.get(name, _EACH.get(metrics[name].kind, 1.0)))
            for name, value in values.items()
            if name in metrics
        },
        disagreement=disagreement,
    )
    named = {n: _change(metrics[n], text, values[n], json) for n, text in _named(metrics, changes, "--change", json)}
    return found.changed(challengers(rollout, found, named)["better"]), named


def recorded_values(rollout_name: str | None, data: Path, *, json: bool) -> dict[str, float]:
    """The champion's values in the latest evidence of a recorded rollout; empty where none is asked for."""
    if rollout_name is None:
        return {}
    from crossfade.cli.common import opened

    values: dict[str, float] = {}
    with opened(data, as_json=json) as store:
        stored = store.get(rollout_name)
        for entry in store.entries(rollout_name):
            for line in entry.evidence:
                value = (line.get("values") or {}).get(line["baseline"])
                if value is not None and line["stage"] != "shadow" and line["segment"] is None:
                    values[line["metric"]] = float(value)
    if not values:
        fail(f"{stored.name} has no evidence with values yet", "name them with --baseline", as_json=json)
    return values


def _named(
    metrics: Mapping[str, Metric], given: list[str] | None, option: str, json: bool
) -> Iterable[tuple[str, str]]:
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or name not in metrics:
            fail(
                f"{option}: found {text!r}", f"expected METRIC=VALUE, METRIC one of: {', '.join(metrics)}", as_json=json
            )
        yield name, value


def _number(text: str, option: str, json: bool) -> float:
    found = _VALUE.fullmatch(text.strip())
    if found is None or found[3] not in (None, ""):
        fail(f"{option}: found {text!r}", "expected a number such as 1.5", as_json=json)
    return float(found[2])


def _own(metric: Metric, text: str, json: bool) -> float:
    """A value in the metric's own units."""
    found = _VALUE.fullmatch(text.strip())
    if found is None or found[1] == "-" or found[3] == "pp":
        fail(f"--baseline: found {metric.name}={text}", f"expected a value such as {_like(metric)}", as_json=json)
    scale = {"%": 0.01, "s": 1000.0 if metric.kind is Kind.QUANTILE else 1.0}.get((found[3] or "").lower(), 1.0)
    value = float(found[2]) * scale
    if metric.kind is Kind.RATE and not 0.0 < value < 1.0:
        fail(
            f"--baseline: {metric.name} is a share, found {text}",
            "expected more than 0 % and less than 100 %",
            as_json=json,
        )
    bad = metric.kind in (Kind.MEAN, Kind.COUNT) and metric.better is Better.LOWER
    if value < 0.0 or (value == 0.0 and not bad):
        fail(f"--baseline: found {metric.name}={text}", "expected more than 0", as_json=json)
    return value


def _change(metric: Metric, text: str, value: float, json: bool) -> float:
    """A change in the metric's own units; `%` is a share of the champion's value, `pp` percentage points."""
    found = _VALUE.fullmatch(text.strip())
    if found is None or (found[3] == "pp" and metric.kind is not Kind.RATE):
        fail(f"--change: found {metric.name}={text}", "expected a change such as +10% or -0.2pp", as_json=json)
    scale = {"%": 0.01 * abs(value), "pp": 0.01, "s": 1000.0}.get((found[3] or "").lower(), 1.0)
    return (-1.0 if found[1] == "-" else 1.0) * float(found[2]) * scale


def _like(metric: Metric) -> str:
    return {Kind.RATE: "1%", Kind.QUANTILE: "200ms"}.get(metric.kind, "3")
