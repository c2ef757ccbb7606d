"""Rows in which the challenger is really different: how soon it is found, and what it costs until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from crossfade.judge.moments import RateMoments
from crossfade.sim.rehearsal import Run

from . import budgets, segmented, test_averages, test_burns, test_mismatch, test_quantiles, test_rare, test_rates
from .rows import BUDGET, DIFFERENT, RARE, RUIN, Case, Row, compared, ratio, seldom, soon
from .test_rates import needed, plan
from .worlds import Plan, fresh, settled

World = Callable[[np.random.Generator], RateMoments]


def _four_times(runs: int) -> Iterator[Row]:
    units = needed(lambda rng: fresh(rng, plan((0.05,), 150), 0.008, 0.036), runs, 150)
    scenario = "errors 0.8 % to 3.6 % at 1,000 a second, 5 % canary"
    yield soon(DIFFERENT, scenario, units / 1000.0, 10, "seconds")
    yield seldom(DIFFERENT, f"{scenario}: not found by 30,000 units", int((~np.isfinite(units)).sum()), runs, 0.01)


def _twice(runs: int) -> Iterator[Row]:
    canary = needed(lambda rng: fresh(rng, plan((0.05,), 200), 0.01, 0.02), runs, 200)
    yield soon(DIFFERENT, "errors 1 % to 2 %, 5 % canary", canary, 20_000, "units")
    late = int((canary > 40_000).sum())
    yield seldom(DIFFERENT, "errors 1 % to 2 %, 5 % canary: not found by 40,000 units", late, runs, 0.15)


def _twice_even(runs: int) -> Iterator[Row]:
    even = needed(lambda rng: settled(rng, plan((0.5,), 40), 0.01, 0.02), runs, 40)
    yield soon(DIFFERENT, "errors 1 % to 2 %, even", even, 5500, "units")


def _mismatch(runs: int) -> Iterator[Row]:
    rng = np.random.default_rng(3)
    paths = test_mismatch.paths(rng, 0.49, 0.5, 600, 100, runs) >= -np.log(test_mismatch.ALPHA)
    first = np.where(paths.any(axis=1), 100.0 * (paths.argmax(axis=1) + 1), np.inf)
    yield soon(DIFFERENT, "sample ratio 51/49 instead of 50/50, alpha 1 %", first, 30_000, "units")


def _better(runs: int) -> Iterator[Row]:
    better = test_rates.proven_better(runs)
    scenario = "conversion 5 % to 6 %, even"
    yield soon(DIFFERENT, f"{scenario} (1.25 × the best asymptotic sequence)", better, 17_000, "units")
    late = int((better > 2.2 * test_rates.FIXED_HORIZON).sum())
    yield seldom(DIFFERENT, f"{scenario}: not found by 2.2 × a fixed horizon of 80 % power", late, runs, 0.2)


def _slower(runs: int) -> Iterator[Row]:
    rng, half = np.random.default_rng(9), Plan(shares=(0.5,), buckets=150, arrivals=20)
    slow = [test_quantiles.decided(rng, half, 0.95, 0.0, 1.2, looks=150, daily=0.0) for _ in range(runs)]
    yield soon(DIFFERENT, "p95 + 20 %, even", slow, 1000, "observations")


def _adjusted(runs: int) -> Iterator[Row]:
    plain, adjusted = test_averages.halved(runs, 12_000, 100)
    scenario = f"revenue + 1 %, adjusted by a covariate of correlation 0.7 (CUPED): {adjusted:,.0f} units to a decision"
    yield ratio(DIFFERENT, f"{scenario}, over {plain:,.0f} unadjusted", adjusted / plain, runs, 0.6)


def _eroded(runs: int) -> Iterator[Row]:
    late = int((~np.isfinite(test_burns.eroded(runs))).sum())
    name = "holdback 5 %, conversions from 0 to −10 % over 30 days (one of six tests): not demoted by then"
    yield seldom(DIFFERENT, name, late, runs, 0.05)


def _segment(runs: int) -> Iterator[Row]:
    right, wrong = segmented.named(runs)
    harmed = "four times the rate in a segment of 3 % of units, ten metrics, twenty segments"
    yield seldom(DIFFERENT, f"{harmed}: it is not what is named first", runs - right, runs, 0.1)
    yield seldom(DIFFERENT, f"{harmed}: another segment is named too", wrong, runs, 0.05)


def _spent(severity: str, automatic: bool) -> Case:
    change, steps = budgets.SEVERITIES[severity], "automatic steps" if automatic else "steps 1/5/20/50 %"
    table = DIFFERENT if automatic else BUDGET

    def measure(runs: int) -> Iterator[Row]:
        found = budgets.runs(severity, automatic=automatic, count=runs)
        worse = f"{severity} (+{100 * change:g} pp)" if change else severity
        times = budgets.overspent(found)
        yield seldom(table, f"{steps}, budget 50, harm {worse}: over its budget", times, runs, 0.05)
        if not change:
            yield _reached(steps, found, table)

    return Case(name=f"budget/{steps}, {severity}", measure=measure)


def _reached(steps: str, found: list[Run], table: str) -> Row:
    clock = (len(budgets.FIXED) - 1) * 60.0
    times = np.array([np.inf if run.reached is None else run.reached for run in found])
    scenario = f"{steps}, harmless: time to half of the units, beside fixed steps by the clock"
    there = f"{100 * np.isfinite(times).mean():.1f} % get there"
    return ratio(table, f"{scenario}; {there}", float(np.median(times)) / clock, len(found), 1.5)


def _believed(runs: int) -> Iterator[Row]:
    times = budgets.overspent(budgets.believed(runs))
    yield seldom(RUIN, "risk of ruin, prior 0 ± 2 pp, harm drawn from it: over its budget", times, runs, 0.05)


def _ruined(harm: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        found = budgets.ruined(harm, runs)
        times = budgets.overspent(found)
        if harm <= 0.05:
            yield seldom(RUIN, f"harm +{100 * harm:g} pp: over its budget", times, runs, 0.05)
        else:
            what = f"harm +{100 * harm:g} pp, beyond what the prior calls credible: over its budget"
            yield compared(RUIN, what, times, runs)
        if not harm:
            yield _reached("risk of ruin", found, RUIN)

    return Case(name=f"ruin/harm +{100 * harm:g} pp", measure=measure)


def _rare(name: str, share: float) -> Case:
    what = f"rare events, {name}, {100 * share:g} % canary, at the margin"

    def measure(runs: int) -> Iterator[Row]:
        yield seldom(RARE, f"{what}: proven safe, ever", test_rare.wrongly_safe(name, share, runs), runs, 0.05)

    return Case(name=f"rare/{name}, {100 * share:g} %", measure=measure, least=1000)


def _nobody(runs: int) -> Iterator[Row]:
    found = test_rare.healthy(runs)
    what = "a rollout whose crashes nobody has, canary 5/25 %, margin 0.02, cap 10, 20 units a second"
    yield seldom(RARE, f"{what}: not promoted within 6 h", runs - sum(found), runs, 0.05)
    worse = test_rare.healthy(runs, crashes=0.02)
    yield seldom(RARE, "the same, where the challenger has 0.02 crashes a unit: promoted", sum(worse), runs, 0.05)


CASES: tuple[Case, ...] = (
    Case(name="different/errors 0.8 to 3.6 %", measure=_four_times, least=1000),
    Case(name="different/errors 1 to 2 %, 5 % canary", measure=_twice, least=1000),
    Case(name="different/errors 1 to 2 %, even", measure=_twice_even, least=1000),
    Case(name="different/sample ratio 51 to 49", measure=_mismatch, least=1000),
    Case(name="different/conversion 5 to 6 %", measure=_better, least=1000),
    Case(name="different/p95 + 20 %", measure=_slower),
    Case(name="different/covariate", measure=_adjusted),
    *(_spent(severity, True) for severity in budgets.SEVERITIES),
    Case(name="different/harm in one segment", measure=_segment),
    Case(name="different/erosion after promotion", measure=_eroded),
    *(_spent(severity, False) for severity in budgets.SEVERITIES),
    Case(name="ruin/harm drawn from the prior", measure=_believed),
    *(_rare(name, share) for name in test_rare.AT_MARGIN for share in (0.5, 0.05)),
    Case(name="rare/a healthy rollout", measure=_nobody, portion=0.2),
    *(_ruined(harm) for harm in (0.0, 0.01, 0.05, 0.1, 0.3)),
)
