"""Rows in which champion and challenger are the same, or stand exactly where nothing may be said against either."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import segmented, test_averages, test_burns, test_mismatch, test_quantiles, test_rates, test_strayed
from .rows import BURNT, SAME, Case, Row, compared, seldom
from .worlds import RAMP

ALPHA = 0.05


def _rate(name: str) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        yield seldom(SAME, f"rate, {name}", test_rates.rejected(test_rates.NULLS[name], runs, +1), runs, ALPHA)

    return Case(name=f"same/rate, {name}", measure=measure, least=1000)


def _segments(runs: int) -> Iterator[Row]:
    scenario = "ten metrics for each of twenty segments, over a canary and a test of half of the units: harm claimed"
    yield seldom(SAME, f"{scenario} anywhere, ever", segmented.false_alarms(runs), runs, ALPHA)


def _quantile(label: str, shares: tuple[float, ...]) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        times = test_quantiles.share(runs, test_quantiles.plan(shares), 0.95, 0.0, 1.0)
        yield seldom(SAME, f"p95 latency with a daily swing, {label}", times, runs, ALPHA)

    return Case(name=f"same/p95 latency, {label}", measure=measure)


def _mean(label: str, draw: test_averages.Draw, share: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        harm, _ = test_averages.crossings(
            test_averages.mean_sums(draw),
            test_averages.mean_of,
            test_averages.REVENUE,
            share=share,
            runs=runs,
            alpha=ALPHA,
        )
        yield seldom(SAME, f"revenue, {label}, {100 * share:g} % canary", harm, runs, ALPHA)

    return Case(name=f"same/revenue, {label}, {100 * share:g} %", measure=measure)


def _strayed(planned: float, came: float, rate: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        times = test_strayed.harmed(planned, came, (rate, rate), runs)
        what = f"first failures of {100 * rate:g} %, {100 * planned:g} % of units planned and {100 * came:g} % came"
        yield seldom(SAME, what, times, runs, ALPHA)

    return Case(name=f"same/strayed, {100 * planned:g} to {100 * came:g} %, {100 * rate:g} %", measure=measure)


def _ratio(share: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        planned = test_mismatch.paths(np.random.default_rng(1), share, share, 1000, 100, runs)
        times = test_mismatch.alarms(planned)
        yield seldom(SAME, f"sample ratio as planned, {100 * share:g} %", times, runs, test_mismatch.ALPHA)

    return Case(name=f"same/sample ratio, {100 * share:g} %", measure=measure, least=1000)


def _kept(days: int) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        world = "holdback 5 %, 150,000 units a day that convert at 5 %, daily cycle, no difference"
        times = test_burns.kept(runs, days, test_burns.ALPHA)
        yield seldom(SAME, f"{world}: demoted within {days} days", times, runs, ALPHA)

    return Case(name=f"same/holdback, {days} days", measure=measure)


def _alone(runs: int) -> Iterator[Row]:
    what = "for comparison: the same detector on the challenger alone, 60 days"
    yield compared(SAME, what, test_burns.alone(runs), runs)


def _late(label: str, draw: test_averages.Draw) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        times = test_burns.averages(runs, draw)
        yield seldom(BURNT, f"means that begin late, {label}, no difference, 30 days", times, runs, ALPHA)

    return Case(name=f"late/means, {label}", measure=measure)


TAILS = (("log-normal, sigma 2", test_averages.lognormal), ("bought by 5 %, log-normal", test_averages.purchases))

CASES: tuple[Case, ...] = (
    *(_rate(name) for name in test_rates.NULLS),
    *(_mean(label, draw, share) for label, draw in TAILS for share in (0.5, 0.05, 0.01)),
    *(_quantile(*one) for one in (("5 % canary", (0.05,)), ("even", (0.5,)), ("ramp", RAMP))),
    Case(name="same/ten metrics, twenty segments", measure=_segments),
    *(_ratio(share) for share in (0.5, 0.05, 0.01)),
    *(_strayed(*world) for world in test_strayed.WORLDS),
    *(_kept(days) for days in (30, 365)),
    Case(name="same/challenger alone, for comparison", measure=_alone, portion=0.5),
    *(_late(*one) for one in TAILS),
)
