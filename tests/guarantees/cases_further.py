"""Rows about drift and about groups that nobody declared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import hunted, test_drift
from .rows import DRIFT, SEARCHED, Case, Row, seldom, soon


def _harmed(runs: int) -> Iterator[Row]:
    what = "errors 1 % to 7 % in a group of 3 % of 80,000 units, four fields searched"
    first, wrong = hunted.harmed(runs)
    yield seldom(SEARCHED, f"{what}: it is not what is named first", runs - first, runs, 0.1)
    yield seldom(SEARCHED, f"{what}: another group was named at any look", wrong, runs, 0.05)


def _nobody(runs: int) -> Iterator[Row]:
    yield seldom(SEARCHED, "nobody harmed, 40,000 units: a group was named", hunted.alarms(runs), runs, 0.05)


def _alike(runs: int) -> Iterator[Row]:
    alike = hunted.alarms(runs, everyone=0.03)
    yield seldom(SEARCHED, "everyone harmed alike (+3 pp): a group was named", alike, runs, 0.05)


def _still(each: int, daily: float) -> Case:
    cycle = f", a daily cycle of {daily:g} standard deviations" if daily else ""

    def measure(runs: int) -> Iterator[Row]:
        count = test_drift.alarms(np.random.default_rng(21), runs, 5 * test_drift.LIFE, each, daily)
        what = f"a field that is as it was, {each} requests a block{cycle}: called drift"
        yield seldom(DRIFT, what, count, runs, 0.05)

    return Case(name=f"drift/none, {each} a block{cycle}", measure=measure)


def _both(spread: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        told = [test_drift.blamed(np.random.default_rng([22, run]), both=1.5, spread=spread) for run in range(runs)]
        what = f"predictions of both arms move together, one's vary {spread:g} times as much: an arm is named"
        yield seldom(DRIFT, what, sum(map(bool, told)), runs, 0.05)

    return Case(name=f"drift/both arms, spread {spread:g}", measure=measure)


def _one(runs: int) -> Iterator[Row]:
    told = [test_drift.blamed(np.random.default_rng([23, run]), worse=1.5) for run in range(runs)]
    wrong, missed = sum("v1" in one for one in told), sum("v2" not in one for one in told)
    yield seldom(DRIFT, "one arm moves by 1.5 standard deviations: the other is named", wrong, runs, 0.05)
    yield seldom(DRIFT, "one arm moves by 1.5 standard deviations: it is not named", missed, runs, 0.05)


def _shift(runs: int) -> Iterator[Row]:
    found = [test_drift.found_after(np.random.default_rng([24, run]), 0.5, 10) for run in range(runs)]
    what = "a field of twenty moves by half a standard deviation: requests until it is called drift"
    yield soon(DRIFT, what, found, 450, "requests")


CASES: tuple[Case, ...] = (
    Case(name="searched/one group harmed", measure=_harmed),
    Case(name="searched/nobody harmed", measure=_nobody),
    Case(name="searched/everyone harmed", measure=_alike),
    *(_still(*one) for one in ((2, 0.0), (20, 0.0), (20, 1.5))),
    *(_both(spread) for spread in (1.4, 3.0)),
    Case(name="drift/one arm", measure=_one),
    Case(name="drift/found after", measure=_shift),
)
