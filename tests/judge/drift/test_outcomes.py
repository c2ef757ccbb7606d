"""Outcomes beside their reference: rates, failures and averages, per arm, and who is named for what."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.drift.averages import Average, Sums
from crossfade.judge.drift.causes import Finding, causes
from crossfade.judge.drift.outcomes import outcome_changes
from crossfade.judge.measure import Measured, bucket
from crossfade.judge.measure.questions import sliced
from crossfade.judge.moments import MeanMoments, Moments, RateMoments
from crossfade.spec.model import Drift, Kind
from guarantees.worlds import holds
from judge.decide.rollouts import AB, ERRORS, PURCHASE, rollout

ALPHA = 0.05
HOUR, DAY = 3600.0, 86400.0
REVENUE = replace(PURCHASE, name="revenue", kind=Kind.MEAN)


def hours(days: int) -> np.ndarray:
    return np.array([bucket(hour * HOUR) for hour in range(24 * days)])


def values(rng: np.random.Generator, hour: int, n: int, factor: float) -> np.ndarray:
    """Log-normal values whose mean follows the day."""
    return factor * (1.0 + 0.5 * math.sin(2.0 * math.pi * hour / 24.0)) * rng.lognormal(1.0, 0.8, n)


def averages(rng: np.random.Generator, days: int, factor: tuple[float, float], begins: int) -> MeanMoments:
    """Each arm's values are `factor` times as large from the hour at which that begins."""
    fields: dict[str, list[float]] = {f"{name}_{side}": [] for name in ("n", "sum", "squares") for side in "ab"}
    for hour in range(24 * days):
        for side, more in zip("ab", factor, strict=True):
            found = values(rng, hour, int(rng.poisson(60)), more if hour >= begins else 1.0)
            for name, value in (("n", len(found)), ("sum", found.sum()), ("squares", (found**2).sum())):
                fields[f"{name}_{side}"].append(value)
    rows = 24 * days
    counts = {name: np.array(column, dtype=np.int64 if name[0] == "n" else float) for name, column in fields.items()}
    return MeanMoments(step=np.zeros(rows, dtype=np.int64), bucket=hours(days), share=np.full(rows, 0.5), **counts)


def rates(rng: np.random.Generator, days: int, after: tuple[float, float], begins: int) -> RateMoments:
    rows = 24 * days
    late = np.arange(rows) >= begins
    n_a, n_b = rng.poisson(300, rows), rng.poisson(300, rows)
    return RateMoments(
        step=np.zeros(rows, dtype=np.int64), bucket=hours(days), share=np.full(rows, 0.5),
        n_a=n_a, k_a=rng.binomial(n_a, np.where(late, after[0], 0.02)),
        n_b=n_b, k_b=rng.binomial(n_b, np.where(late, after[1], 0.02)), settled=True,
    )  # fmt: skip


def told(name: str, moments: Moments, *, sliced_: bool = False) -> Finding:
    """The headline of one metric, alone."""
    measured = Measured(
        rollout="r", stage=0, step=0, mode="ab", since=0.0, now=30 * DAY,
        metrics={(name, "v2"): RateMoments() if sliced_ else moments},
        slices={(name, "v2"): moments} if sliced_ else {},
    )  # fmt: skip
    return causes(outcome_changes(measured, champion="v1", every=60.0, reference=DAY), ALPHA)[0]


@pytest.mark.parametrize(("factor", "cause"), [((1.0, 0.6), "model"), ((0.6, 0.6), "world"), ((1.0, 1.0), "none")])
def test_an_average_that_falls_in_one_arm_is_the_models_and_in_both_the_worlds(factor, cause):
    found = told("revenue", averages(np.random.default_rng(1), 6, factor, 60))
    assert found.cause == cause
    assert found.arm == ("v2" if cause == "model" else "")
    if cause == "model":
        assert "revenue fell from" in found.sentence


@pytest.mark.parametrize(("after", "cause"), [((0.02, 0.06), "model"), ((0.06, 0.06), "world"), ((0.02, 0.02), "none")])
def test_failures_are_set_beside_the_reference_too(after, cause):
    found = told("errors", rates(np.random.default_rng(2), 6, after, 60), sliced_=True)
    assert (found.cause, found.arm) == (cause, "v2" if cause == "model" else "")
    if cause == "model":
        assert "errors rose from 2" in found.sentence


def test_a_rollout_that_asks_for_drift_asks_when_failures_and_values_came():
    plain = rollout(AB, metrics=(ERRORS, REVENUE))
    asks = replace(plain, drift=Drift(sample=0.05, reference=DAY))
    for metric in (ERRORS, REVENUE):
        assert sliced(plain, "ab", metric) is None
        assert sliced(asks, "ab", metric) is not None
        assert sliced(asks, "shadow", metric) is None


def alarms(seed: int, runs: int, days: int, each: int) -> int:
    """In how many runs a mean that follows the day and nothing else is ever called drifted, looked at by the hour."""
    rng, count = np.random.default_rng(seed), 0
    for _ in range(runs):
        average = Average("revenue", "v1", every=HOUR, reference=DAY)
        for hour in range(24 * days):
            found = values(rng, hour, int(rng.poisson(each)), 1.0)
            average.take(hour * HOUR, Sums(len(found), float(found.sum()), float((found**2).sum())))
            change = average.change() if hour % 4 == 3 else None
            if change is not None and change.measured and change.log_e >= -math.log(ALPHA):
                count += 1
                break
    return count


@pytest.mark.parametrize("each", [12, 200])
def test_an_average_that_does_not_change_is_seldom_called_drifted(each):
    assert holds(alarms(3, 40, 6, each), 40, ALPHA)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("each", [6, 12, 200])
def test_an_average_that_does_not_change_is_seldom_called_drifted_at_full_size(each):
    count = alarms(4, 1000, 10, each)
    print(f"{each} values an hour: {count} of 1000 alarmed")
    assert holds(count, 1000, ALPHA)


def test_what_was_never_there_or_never_varies_is_not_measured():
    average = Average("revenue", "v1", every=HOUR, reference=DAY)
    assert "not complete" in average.change().reason
    for hour in range(60):
        average.take(hour * HOUR, Sums(50.0, 100.0, 200.0))
    assert "too alike" in average.change().reason
