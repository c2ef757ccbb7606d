"""The guarantees measured and written as a page: `make guarantees`, or `PYTHONPATH=tests python -m guarantees DIR`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from crossfade.sim.rehearsal import Run

from . import (
    budgets,
    hunted,
    segmented,
    test_averages,
    test_burns,
    test_drift,
    test_mismatch,
    test_quantiles,
    test_rates,
)
from .worlds import RAMP, Plan, fresh, settled


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: something that must not happen too often, or must come soon enough."""

    table: str
    scenario: str
    runs: int
    found: str
    bound: str
    holds: bool


def seldom(table: str, scenario: str, times: int, runs: int, bound: float) -> Row:
    """A share of runs, which holds when its 99 % interval reaches down to the bound."""
    lower = float(beta.ppf(0.005, times, runs - times + 1)) if times else 0.0
    upper = float(beta.ppf(0.995, times + 1, runs - times)) if times < runs else 1.0
    found = f"{100 * times / runs:.1f} % ({100 * lower:.1f}–{100 * upper:.1f})"
    return Row(
        table=table, scenario=scenario, runs=runs, found=found, bound=f"≤ {100 * bound:g} %", holds=lower <= bound
    )


def soon(scenario: str, values: np.ndarray, bound: float, unit: str, table: str | None = None) -> Row:
    """A median that may not be larger than the bound."""
    median = float(np.median(values))
    found = f"{median:,.0f} {unit}" if np.isfinite(median) else "never"
    return Row(
        table=table or DIFFERENT,
        scenario=scenario,
        runs=len(values),
        found=found,
        bound=f"≤ {bound:,.0f}",
        holds=median <= bound,
    )


SAME = "Champion and challenger the same: wrong verdicts of harm, looked at continuously"
DIFFERENT = "Challenger really different: units in all until it is found, at the median"
SEGMENTS = "Declared segments: ten metrics for each of twenty, over a canary and a test of half of the units"
SEARCHED = "Groups that nobody declared: searched as units come in, tested on later units alone"
DRIFT = "Drift: inputs, predictions and outcomes beside their reference, looked at after every block"
BURNT = "After promotion: a holdback, and changes that begin late"
RUIN = "A canary whose steps a prior sizes (budget 50, 1 % of the champion's units fail)"
BUDGET = "A canary's budget: what it cost beyond the champion's failures"


def same(runs: int) -> Iterator[Row]:
    """False alarms."""
    for name, world in test_rates.NULLS.items():
        yield seldom(SAME, f"rate, {name}", test_rates.rejected(world, runs, +1), runs, 0.05)
    for shares, label in (((0.05,), "5 % canary"), ((0.5,), "even"), (RAMP, "ramp")):
        times = test_quantiles.share(runs // 4, test_quantiles.plan(shares), 0.95, 0.0, 1.0)
        yield seldom(SAME, f"p95 latency with a daily swing, {label}", times, runs // 4, 0.05)
    for draw, tails in ((test_averages.lognormal, "log-normal, sigma 2"), (test_averages.purchases, "bought by 5 %")):
        for share in (0.5, 0.05, 0.01):
            sums = test_averages.mean_sums(draw)
            harm, _ = test_averages.crossings(
                sums, test_averages.mean_of, test_averages.REVENUE, share=share, runs=runs, alpha=0.05
            )
            yield seldom(SAME, f"mean, {tails}, {100 * share:g} %", harm, runs, 0.05)
    for planned in (0.5, 0.05, 0.01):
        paths = test_mismatch.paths(np.random.default_rng(1), planned, planned, 1000, 100, 1000)
        yield seldom(SAME, f"sample ratio as planned, {100 * planned:g} %", test_mismatch.alarms(paths), 1000, 0.01)


def different(runs: int) -> Iterator[Row]:
    """Time to detection."""
    plan, needed = test_rates.plan, test_rates.needed
    canary = needed(lambda rng: fresh(rng, plan((0.05,), 200), 0.01, 0.02), runs, 200)
    yield soon("errors 1 % to 2 %, 5 % canary", canary, 20_000, "units")
    late = int((canary > 40_000).sum())
    yield seldom(DIFFERENT, "errors 1 % to 2 %, 5 % canary: not found by 40,000 units", late, runs, 0.15)
    even = needed(lambda rng: settled(rng, plan((0.5,), 40), 0.01, 0.02), runs, 40)
    yield soon("errors 1 % to 2 %, even", even, 5500, "units")
    fast = needed(lambda rng: fresh(rng, plan((0.05,), 150), 0.008, 0.036), runs, 150)
    yield soon("errors 0.8 % to 3.6 %, 5 % canary", fast, 10_000, "units")
    missed = int((~np.isfinite(fast)).sum())
    yield seldom(DIFFERENT, "errors 0.8 % to 3.6 %: not found by 30,000 units", missed, runs, 0.01)
    better = test_rates.proven_better(runs)
    yield soon("conversion 5 % to 6 %, even (1.25 × the best asymptotic sequence)", better, 17_000, "units")
    late = int((better > 2.2 * test_rates.FIXED_HORIZON).sum())
    yield seldom(DIFFERENT, "conversion 5 % to 6 %: not found by 2.2 × a fixed horizon of 80 % power", late, runs, 0.2)
    rng, half = np.random.default_rng(9), Plan(shares=(0.5,), buckets=150, arrivals=20)
    slow = [test_quantiles.decided(rng, half, 0.95, 0.0, 1.2, looks=150, daily=0.0) for _ in range(runs // 4)]
    yield soon("p95 + 20 %, even", np.array(slow), 1000, "observations")
    paths = test_mismatch.paths(np.random.default_rng(3), 0.49, 0.5, 600, 100, 1000) >= -np.log(test_mismatch.ALPHA)
    first = np.where(paths.any(axis=1), 100.0 * (paths.argmax(axis=1) + 1), np.inf)
    yield soon("sample ratio 51/49", first, 30_000, "units")


def burnt(runs: int) -> Iterator[Row]:
    """After promotion."""
    few = runs // 2
    world = "holdback 5 %, 150,000 units a day that convert at 5 %, daily cycle"
    for days in (30, 365):
        many = runs if days == 30 else few
        times = test_burns.kept(many, days, test_burns.ALPHA)
        yield seldom(BURNT, f"{world}, no difference: demoted within {days} days", times, many, 0.05)
    eroded = test_burns.eroded(runs)
    late = int((~np.isfinite(eroded)).sum())
    name = "from 0 to −10 % over 30 days (one of six tests): not demoted by then"
    yield seldom(BURNT, name, late, runs, 0.05)
    for name, draw in (("log-normal, sigma 2", test_averages.lognormal), ("bought by 5 %", test_averages.purchases)):
        times = test_burns.averages(few, draw)
        yield seldom(BURNT, f"means that begin late, {name}, no difference, 30 days", times, few, 0.05)
    alone = test_burns.alone(few)
    yield Row(
        table=BURNT,
        scenario="for comparison: the same detector on the challenger alone, no difference, 60 days",
        runs=few,
        found=f"{100 * alone / few:.0f} % alarm",
        bound="none",
        holds=True,
    )


def ruins(runs: int) -> Iterator[Row]:
    """Risk of ruin."""
    found = budgets.believed(runs)
    name = "risk of ruin, prior 0 ± 2 pp, harm drawn from it: over its budget"
    yield seldom(RUIN, name, budgets.overspent(found), runs, 0.05)
    for harm in (0.0, 0.01, 0.05, 0.1, 0.3):
        found = budgets.ruined(harm, runs)
        times = budgets.overspent(found)
        if harm <= 0.05:
            yield seldom(RUIN, f"harm +{100 * harm:g} pp: over its budget", times, runs, 0.05)
        else:
            yield Row(
                table=RUIN,
                scenario=f"harm +{100 * harm:g} pp, beyond what the prior calls credible: over its budget",
                runs=runs,
                found=f"{100 * times / runs:.1f} %",
                bound="none",
                holds=True,
            )
        if not harm:
            yield _reached("risk of ruin", found, RUIN)


def spent(runs: int) -> Iterator[Row]:
    """Budgets."""
    for automatic, steps in ((True, "automatic steps"), (False, "steps 1/5/20/50 %")):
        for severity, change in budgets.SEVERITIES.items():
            found = budgets.runs(severity, automatic=automatic, count=runs)
            worse = f"{severity} (+{100 * change:g} pp)" if change else severity
            yield seldom(BUDGET, f"{steps}, harm {worse}: over its budget", budgets.overspent(found), runs, 0.05)
            if not change:
                yield _reached(steps, found)


def _reached(steps: str, found: list[Run], table: str = BUDGET) -> Row:
    clock = (len(budgets.FIXED) - 1) * 60.0
    times = np.array([np.inf if run.reached is None else run.reached for run in found])
    median = float(np.median(times))
    return Row(
        table=table,
        scenario=f"{steps}, harmless: time to half of the units, beside fixed steps by the clock; "
        f"{100 * np.isfinite(times).mean():.0f} % get there",
        runs=len(found),
        found=f"{median / clock:.2f} ×",
        bound="≤ 1.5 ×",
        holds=median <= 1.5 * clock,
    )


def by_segment(runs: int) -> Iterator[Row]:
    """Whole rollouts that are judged by segment too."""
    alarms = segmented.false_alarms(runs)
    yield seldom(SEGMENTS, "equal arms, ten metrics, twenty segments: harm claimed anywhere, ever", alarms, runs, 0.05)
    few = max(runs // 5, 8)
    right, wrong = segmented.named(few)
    harmed = "four times the rate in a segment of 3 % of units"
    yield seldom(SEGMENTS, f"{harmed}: it is not what is named first", few - right, few, 0.1)
    yield seldom(SEGMENTS, f"{harmed}: another segment is named too", wrong, few, 0.05)


def drifted(runs: int) -> Iterator[Row]:
    """Fields beside their reference, and whose a change is said to be."""
    for each, daily in ((2, 0.0), (20, 0.0), (20, 1.5)):
        count = test_drift.alarms(np.random.default_rng(21), runs, 5 * test_drift.LIFE, each, daily)
        cycle = f", a daily cycle of {daily:g} standard deviations" if daily else ""
        yield seldom(
            DRIFT, f"a field that is as it was, {each} requests a block{cycle}: called drift", count, runs, 0.05
        )
    few = max(runs // 5, 8)
    for spread in (1.4, 3.0):
        told = [test_drift.blamed(np.random.default_rng([22, run]), both=1.5, spread=spread) for run in range(few)]
        what = f"predictions of both arms move together, one's vary {spread:g} times as much: an arm is named"
        yield seldom(DRIFT, what, sum(map(bool, told)), few, 0.05)
    told = [test_drift.blamed(np.random.default_rng([23, run]), worse=1.5) for run in range(few)]
    wrong, missed = sum("v1" in one for one in told), sum("v2" not in one for one in told)
    yield seldom(DRIFT, "one arm moves by 1.5 standard deviations: the other is named", wrong, few, 0.05)
    yield seldom(DRIFT, "one arm moves by 1.5 standard deviations: it is not named", missed, few, 0.05)
    found = [test_drift.found_after(np.random.default_rng([24, run]), 0.5, 10) for run in range(few)]
    what = "a field of twenty moves by half a standard deviation: requests until it is called drift"
    yield soon(what, np.array(found), 450, "requests", DRIFT)


def searched(runs: int) -> Iterator[Row]:
    """Groups that nobody declared."""
    what = "errors 1 % to 7 % in a group of 3 % of 80,000 units, four fields searched"
    first, wrong = hunted.harmed(runs)
    yield seldom(SEARCHED, f"{what}: it is not what is named first", runs - first, runs, 0.1)
    yield seldom(SEARCHED, f"{what}: another group was named at any look", wrong, runs, 0.05)
    yield seldom(SEARCHED, "nobody harmed, 40,000 units: a group was named", hunted.alarms(runs), runs, 0.05)
    alike = hunted.alarms(runs, everyone=0.03)
    yield seldom(SEARCHED, "everyone harmed alike (+3 pp): a group was named", alike, runs, 0.05)


PARTS: dict[str, tuple[Callable[[int], Iterator[Row]], float]] = {
    "same": (same, 1.0),
    "different": (different, 1.0),
    "segments": (by_segment, 1.0),
    "searched": (searched, 0.1),
    "burns": (burnt, 1.0),
    "budgets": (spent, 1.0),
    "ruin": (ruins, 1.0),
    "drift": (drifted, 1.0),
}
"""The parts of the page, and how many of the runs each takes."""


def page(rows: list[Row]) -> str:
    """The page, in Markdown."""
    told = [
        "# Guarantees, measured",
        "",
        "Written by `make guarantees` (seeded; `make guarantees RUNS=1000` takes an hour). A share holds when its 99 %",
        "binomial interval reaches down to its bound. The worlds are those of `tests/guarantees`.",
    ]
    for table in dict.fromkeys(row.table for row in rows):
        told += ["", f"## {table}", "", "| scenario | runs | found | bound | |", "| --- | ---: | ---: | ---: | --- |"]
        told += [
            f"| {row.scenario} | {row.runs:,} | {row.found} | {row.bound} | {'holds' if row.holds else '**misses**'} |"
            for row in rows
            if row.table == table
        ]
    return "\n".join(told) + "\n"


def main() -> int:
    """0 when every row holds, 1 when one misses."""
    parser = argparse.ArgumentParser(prog="python -m guarantees", description=__doc__)
    parser.add_argument("folder", type=Path, help="where guarantees.md and guarantees.json are written")
    parser.add_argument("--runs", type=int, default=200, help="runs a row (default 200)")
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts; the others keep their rows"
    )
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    kept = asked.folder / "guarantees.json"
    rows = [Row(**row) for row in json.loads(kept.read_text())] if kept.exists() else []
    for name in asked.only:
        part, portion = PARTS[name]
        began, measured = time.monotonic(), []
        for row in part(max(int(asked.runs * portion), 8)):
            measured.append(row)
            sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {row.scenario}: {row.found} {row.bound}\n")
        tables = {row.table for row in measured}
        rows = [row for row in rows if row.table not in tables] + measured
        order = [SAME, DIFFERENT, BURNT, SEGMENTS, SEARCHED, BUDGET, RUIN, DRIFT]
        rows.sort(key=lambda row: order.index(row.table))
        kept.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
        (asked.folder / "guarantees.md").write_text(page(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
