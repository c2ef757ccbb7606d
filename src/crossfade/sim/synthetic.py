"""Synthetic traffic for a whole rollout: what one look would have measured, drawn from what is assumed of the metrics.

Units come as a Poisson stream and each comes once; nothing else of the judge is imitated. Moments are drawn per slice
of time, as the engine would sum them, so that a simulated rollout costs seconds and not days.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import norm, poisson

from crossfade.judge.assumed import World
from crossfade.judge.forecast import VOTING
from crossfade.judge.infer.quantiles import EDGES
from crossfade.judge.measure.assemble import PREFERENCE, pair_share
from crossfade.judge.measure.measured import Absent, Measured, Progress
from crossfade.judge.moments import (
    Floats,
    Ints,
    MeanMoments,
    Moments,
    PairedMoments,
    QuantileMoments,
    RateMoments,
    RatioMoments,
)
from crossfade.judge.plan import questions
from crossfade.judge.slices import bucket
from crossfade.spec.model import Interleave, Kind, Metric, Rollout, Shadow, Source
from crossfade.state import Position, weight


class Stage:
    """The traffic of one stage, as it comes in."""

    def __init__(self, rollout: Rollout, position: Position, world: World, rng: np.random.Generator) -> None:
        self._rollout = rollout
        self._stage = position.stage
        self._world = world
        self._rng = rng
        self._since = position.stage_since
        # Slices of time by column, as each look asks for all of them.
        self._step: list[int] = []
        self._share: list[float] = []
        self._ends: list[float] = []
        self._units: list[list[int]] = []
        self._differing: list[list[int]] = []
        """Those of them that come to a request at which the arms' answers are known to differ."""
        self._drawn: dict[str, list[Any]] = {}
        self._spec = rollout.stages[position.stage]
        self._shadow = isinstance(self._spec, Shadow)
        self._arms = [rollout.champion.name, *(arm.name for arm in rollout.challengers)]
        wanted = {metric.name for metric, _, _ in questions(rollout, position.stage)}
        self._metrics = [metric for metric in rollout.metrics if metric.name in wanted]

    def pass_time(self, position: Position, now: float) -> None:
        """Draw what comes until `now`, at the weight that is in force."""
        since = self._ends[-1] if self._ends else self._since
        share = weight(self._rollout, position)
        mirrored = self._spec.mirror if isinstance(self._spec, Shadow) else 1.0
        came = int(self._rng.poisson(self._world.rate * mirrored * (now - since)))
        many = len(self._arms) - 1
        if self._shadow:
            units = [came] * (many + 1)
        else:
            rest = max(1.0 - many * share, 0.0)
            units = self._rng.multinomial(came, [rest, *([min(share, 1.0 / many)] * many)]).tolist()
        some = self._world.differing(self._spec)
        differing = [int(self._rng.binomial(n, some)) if some else 0 for n in units]
        for metric in self._metrics:
            assumed = self._world.metrics[metric.name]
            self._drawn.setdefault(metric.name, []).append(
                [
                    _draw(self._rng, metric, assumed.values[place > 0], assumed.spread, n)
                    for place, n in enumerate(differing if metric.differing else units)
                ]
            )
        self._step.append(position.step)
        self._share.append(float(share))
        self._ends.append(now)
        self._units.append(units)
        self._differing.append(differing)

    def measured(self, position: Position, now: float) -> Measured:
        """The look at `now`."""
        each = np.array(self._units, dtype=np.int64).reshape(-1, len(self._arms))
        total = each.sum(axis=0).tolist()
        present = each[np.array(self._step) == position.step].sum(axis=0).tolist()
        units = {} if self._shadow else dict(zip(self._arms, total, strict=True))
        metrics: dict[tuple[str, str], Moments | Absent] = {}
        for metric in self._metrics:
            for place, arm in enumerate(self._arms[1:], 1):
                metrics[metric.name, arm] = self._moments(metric, place, now)
        gates: dict[tuple[str, str], PairedMoments | Absent] = {}
        for name, chance in self._gates().items():
            for place, arm in enumerate(self._arms[1:], 1):
                gates[name, arm] = self._paired(name, chance, place)
        assignment: dict[str, Moments | Absent] = {}
        if not self._shadow and not isinstance(self._spec, Interleave):
            assignment = {arm: self._arrivals(place) for place, arm in enumerate(self._arms[1:], 1)}
        return Measured(
            rollout=self._rollout.name,
            stage=self._stage,
            step=position.step,
            mode="",
            since=self._since,
            now=now,
            metrics=metrics,
            gates=gates,
            assignment=assignment if any(total) else {},
            progress=Progress(
                requests=sum(total),
                mirrored=total[0] if self._shadow else 0,
                units={arm: n for arm, n in units.items() if n},
                step_units={} if self._shadow else {a: n for a, n in zip(self._arms, present, strict=True) if n},
            ),
        )

    def excess(self) -> dict[str, float]:
        """Per rate, the challengers' events beyond those that their units had at the champion's true rate, as harm."""
        found = {}
        for metric in self._metrics:
            if metric.kind is not Kind.RATE or self._shadow:
                continue
            expected = self._world.metrics[metric.name].value
            more = sum(
                drawn - expected * n
                for each, units in zip(self._drawn[metric.name], self._of(metric), strict=True)
                for drawn, n in zip(each[1:], units[1:], strict=True)
            )
            found[metric.name] = float(more if metric.better == "lower" else -more)
        return found

    # -- moments -------------------------------------------------------------------------------------------------------

    def _gates(self) -> dict[str, float]:
        if isinstance(self._spec, Interleave):
            return {PREFERENCE: self._world.preference}
        if not self._shadow:
            return {}
        asked = [metric.name for metric, role, _ in questions(self._rollout, self._stage) if role == "gate"]
        return {name: self._world.disagreement if name == "disagreement" else 0.0 for name in asked}

    def _paired(self, name: str, chance: float, place: int) -> PairedMoments | Absent:
        """Drawn when first asked for, and kept."""
        drawn = self._drawn.setdefault(f"{name}/{place}", [])
        for units in self._units[len(drawn) :]:
            n = units[place]
            if name == PREFERENCE:
                votes = int(self._rng.binomial(n, VOTING))
                minus = int(self._rng.binomial(votes, 0.5 + 0.5 * chance))
                drawn.append((votes - minus, minus, n - votes))
            else:
                plus = int(self._rng.binomial(n, chance))
                drawn.append((plus, 0, n - plus))
        return _pairs(drawn)

    def _arrivals(self, place: int) -> RateMoments:
        rows = self._rows(len(self._ends), place)
        none = np.zeros(len(rows["n_a"]), dtype=np.int64)
        return RateMoments(**rows, k_a=none, k_b=none)

    def _of(self, metric: Metric | None) -> list[list[int]]:
        """The units that a metric is about, by slice and arm."""
        return self._differing if metric is not None and metric.differing else self._units

    def _rows(self, slices: int, place: int, metric: Metric | None = None) -> dict[str, Any]:
        """The first so many slices."""
        many = len(self._arms) - 1
        units = np.array(self._of(metric)[:slices], dtype=np.int64).reshape(-1, many + 1)
        return {
            "step": np.array(self._step[:slices], dtype=np.int64),
            "bucket": np.arange(slices),
            "share": pair_share(np.array(self._share[:slices], dtype=np.float64), many),
            "n_a": units[:, 0],
            "n_b": units[:, place],
        }

    def _buckets(self, slices: int) -> Ints:
        """When the slices were, in those that an engine cuts time into."""
        passed = [max(ends - self._since - 1.0, 0.0) for ends in self._ends[:slices]]
        return np.array([bucket(one) for one in passed], dtype=np.int64)

    def _sides(self, metric: Metric, slices: int, place: int) -> tuple[list[Any], list[Any]]:
        """What the metric drew for the champion and for one challenger."""
        drawn = self._drawn.get(metric.name, [])[:slices]
        return [each[0] for each in drawn], [each[place] for each in drawn]

    def _moments(self, metric: Metric, place: int, now: float) -> Moments | Absent:
        if self._shadow:
            return self._in_shadow(metric, place)
        window = metric.window or 0.0 if metric.source is Source.OUTCOME else 0.0
        # Slices end one after the other, so that those whose window has closed are the first.
        closed = bisect_right(self._ends, now, key=lambda ends: ends + window)
        immature = sum(units[0] + units[place] for units in self._of(metric)[closed:])
        rows = self._rows(closed, place, metric)
        if not (rows["n_a"].any() or rows["n_b"].any()) and metric.kind is not Kind.RATE:
            return Absent(reason=f"no unit's window has closed for {metric.name} yet")
        of_a, of_b = self._sides(metric, closed, place)
        match metric.kind:
            case Kind.RATE:
                settled = metric.source is Source.OUTCOME
                return RateMoments(
                    **rows,
                    k_a=np.array(of_a, dtype=np.int64),
                    k_b=np.array(of_b, dtype=np.int64),
                    settled=settled,
                    immature=immature,
                    seen_a=None if settled else rows["n_a"],
                    seen_b=None if settled else rows["n_b"],
                    reports_a=int(rows["n_a"].sum()),
                    reports_b=int(rows["n_b"].sum()),
                )
            case Kind.QUANTILE:
                a, b = np.array(of_a, dtype=np.int64), np.array(of_b, dtype=np.int64)
                return QuantileMoments(
                    step=rows["step"], bucket=self._buckets(closed), share=rows["share"], counts_a=a, counts_b=b
                )
        drawn = np.stack([np.array(of_a, dtype=np.float64), np.array(of_b, dtype=np.float64)], axis=1)
        return (_ratio if metric.kind is Kind.RATIO else _mean)(rows, drawn, immature)

    def _in_shadow(self, metric: Metric, place: int) -> Moments | Absent:
        many = len(self._ends)
        of_a, of_b = self._sides(metric, many, place)
        if metric.kind is Kind.QUANTILE:
            counts = [np.array(of_a, dtype=np.int64), np.array(of_b, dtype=np.int64)]
            return QuantileMoments(
                step=np.zeros(many, dtype=np.int64),
                bucket=self._buckets(many),
                share=np.full(many, 0.5),
                counts_a=counts[0],
                counts_b=counts[1],
            )
        if metric.kind is Kind.RATE and metric.source is Source.RESPONSE:
            # Both fail at once as seldom as two that know nothing of each other; what is left is signed.
            both = zip(of_a, of_b, self._units, strict=True)
            return _pairs([(b, a, units[0] - a - b) for a, b, units in both])
        return Absent(reason=f"{metric.name} cannot differ in shadow: nobody sees the challenger's answers")


def _pairs(rows: Sequence[Any]) -> PairedMoments | Absent:
    counts = np.array(rows, dtype=np.int64).reshape(-1, 3)
    if not counts.sum():
        return Absent(reason="nothing has been compared yet")
    return PairedMoments(
        bucket=np.arange(len(counts)), plus=counts[:, 0], minus=counts[:, 1], zero=np.maximum(counts[:, 2], 0)
    )


def _draw(rng: np.random.Generator, metric: Metric, value: float, spread: float, n: int) -> Any:
    match metric.kind:
        case Kind.RATE:
            return int(rng.binomial(n, min(max(value, 0.0), 1.0)))
        case Kind.QUANTILE:
            return rng.multinomial(n, _latencies(value, spread, metric.q or 0.5))
        case Kind.RATIO:
            x = rng.poisson(1.0, n).astype(np.float64) + 1.0
            y = value * x + rng.normal(0.0, spread * abs(value), n)
            return y.sum(), x.sum(), (y * y).sum(), (x * x).sum(), (x * y).sum()
    if metric.kind is Kind.COUNT:
        counts, chances = _events(max(value, 0.0), metric.cap)
        units = rng.multinomial(n, chances)
        return float(units @ counts), float(units @ (counts * counts)), int(units[counts > 0.0].sum())
    sd = spread * abs(value)
    total = rng.normal(n * value, sd * n**0.5) if n else 0.0
    squares = sd * sd * float(rng.chisquare(n - 1) if n > 1 else 0.0) + (total * total / n if n else 0.0)
    return total, squares, n if squares else 0


@lru_cache(maxsize=64)
def _events(value: float, cap: float | None) -> tuple[Floats, Floats]:
    """How many events a unit has, and the chances: Poisson's, and no more than the cap."""
    counts = np.arange(int(poisson.ppf(1.0 - 1e-9, value)) + 2, dtype=np.float64)
    chances = np.diff(np.r_[0.0, poisson.cdf(counts[:-1], value), 1.0])
    return counts if cap is None else np.minimum(counts, cap), chances


@lru_cache(maxsize=64)
def _latencies(value: float, spread: float, q: float) -> Floats:
    """Chances of the bins, for log-normal latencies whose q-quantile is `value`."""
    up_to = norm.cdf((np.log(EDGES) - np.log(value)) / spread + norm.ppf(q))
    chances = np.diff(np.r_[0.0, up_to[:-1], 1.0])
    return np.asarray(chances / chances.sum())


def _by_step(rows: Mapping[str, Any], values: Floats) -> Floats:
    """Sums of the columns of `values` over the slices of each step."""
    steps = int(rows["step"].max()) + 1
    return np.stack([np.bincount(rows["step"], weights=column, minlength=steps) for column in values.T], axis=0)


def _counts(rows: Mapping[str, Any]) -> tuple[Ints, Ints, Ints]:
    steps = int(rows["step"].max()) + 1
    n = [np.bincount(rows["step"], weights=rows[name], minlength=steps).astype(np.int64) for name in ("n_a", "n_b")]
    return np.arange(steps), n[0], n[1]


def _mean(rows: Mapping[str, Any], drawn: Floats, immature: int) -> MeanMoments:
    step, n_a, n_b = _counts(rows)
    a, b = _by_step(rows, drawn[:, 0]), _by_step(rows, drawn[:, 1])
    return MeanMoments(
        step=step,
        n_a=n_a,
        sum_a=a[0],
        squares_a=a[1],
        n_b=n_b,
        sum_b=b[0],
        squares_b=b[1],
        immature=immature,
        some_a=a[2].astype(np.int64),
        some_b=b[2].astype(np.int64),
        # Of every unit something is reported, if only that nothing happened.
        reports_a=int(n_a.sum()),
        reports_b=int(n_b.sum()),
    )


def _ratio(rows: Mapping[str, Any], drawn: Floats, immature: int) -> RatioMoments:
    step, n_a, n_b = _counts(rows)
    names = ("sum_y", "sum_x", "squares_y", "squares_x", "products_xy")
    sums = {
        f"{name}_{side}": column
        for place, side in enumerate("ab")
        for name, column in zip(names, _by_step(rows, drawn[:, place]), strict=True)
    }
    return RatioMoments(step=step, n_a=n_a, n_b=n_b, immature=immature, **sums)
