"""An effect by days since first exposure: each day's difference with its own interval, for people to read.

Exploratory: many days are shown, each interval holds for its day alone (at every look), and nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.day import Day
from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.cohorts import EVERYBODY, MOST
from crossfade.judge.moments import Floats, MeanMoments
from crossfade.spec.model import Kind, Metric, Rollout, Source


def aged(rollout: Rollout) -> tuple[Metric, ...]:
    """The metrics that can be told by day: rates, means and counts of outcomes."""
    kinds = (Kind.RATE, Kind.MEAN, Kind.COUNT)
    return tuple(m for m in rollout.metrics if m.source is Source.OUTCOME and m.kind in kinds)


def days(rollout: Rollout, rows: Rows, stage: str) -> tuple[Day, ...]:
    """Rows of `measure.cohorts` as differences by day."""
    asked, labels = [], []
    for metric in aged(rollout):
        for arm in rollout.challengers:
            for age, moments in enumerate(_by_day(metric, rows, rollout.champion.name, arm.name)):
                labels.append((metric, arm.name, age, moments))
                asked.append((_question(rollout, metric, arm.name, stage), moments))
    return tuple(
        Day(
            metric=metric.name,
            arm=arm,
            baseline=rollout.champion.name,
            age=age,
            units={rollout.champion.name: int(moments.n_a[0]), arm: int(moments.n_b[0])},
            values={
                rollout.champion.name: _mean(moments.sum_a, moments.n_a),
                arm: _mean(moments.sum_b, moments.n_b),
            },
            estimate=line.estimate if line.verdict is not Verdict.UNMEASURED else None,
            lower=line.lower,
            upper=line.upper,
            confidence=1.0 - rollout.alpha,
        )
        for (metric, arm, age, moments), line in zip(labels, answers(asked), strict=True)
    )


def _question(rollout: Rollout, metric: Metric, arm: str, stage: str) -> Question:
    half = rollout.alpha / 2.0
    return Question(
        metric=metric,
        role="guardrail",
        limit=None,
        arm=arm,
        baseline=rollout.champion.name,
        stage=stage,
        step=None,
        alpha_harm=half,
        alpha_safe=half,
    )


def _by_day(metric: Metric, rows: Rows, champion: str, arm: str) -> Sequence[MeanMoments]:
    """One set of moments a day, as long as both arms have units whose day is over."""
    name = metric.outcome or metric.name
    there = {side: _there(rows, side) for side in (champion, arm)}
    found = []
    for age in range(MOST):
        n_a, n_b = (int(there[side][age + 1 :].sum()) for side in (champion, arm))
        if not n_a or not n_b:
            break
        sums = [
            _sums(metric, rows, (rows["name"] == name) & (rows["arm"] == side) & (rows["age"] == age)) for side in there
        ]
        found.append(
            MeanMoments(
                step=np.zeros(1, dtype=np.int64),
                n_a=np.array([n_a]),
                sum_a=np.array([sums[0][0]]),
                squares_a=np.array([sums[0][1]]),
                n_b=np.array([n_b]),
                sum_b=np.array([sums[1][0]]),
                squares_b=np.array([sums[1][1]]),
            )
        )
    return found


def _there(rows: Rows, arm: str) -> Floats:
    """Units of an arm by the whole days since they came."""
    mine = (rows["name"] == EVERYBODY) & (rows["arm"] == arm) & (rows["age"] >= 0)
    ages = rows["age"][mine].astype(np.int64)
    return np.bincount(ages, weights=rows["n"][mine].astype(np.float64), minlength=MOST + 2).astype(np.float64)


def _sums(metric: Metric, rows: Rows, mine: np.ndarray) -> tuple[float, float]:
    match metric.kind:
        case Kind.RATE:
            k = float(rows["n"][mine].sum())
            return k, k
        case Kind.COUNT:
            return float(rows["events"][mine].sum()), float(rows["events_squared"][mine].sum())
    return float(rows["total"][mine].sum()), float(rows["squares"][mine].sum())


def _mean(total: Floats, n: np.ndarray) -> float | None:
    return float(total[0]) / int(n[0]) if int(n[0]) else None
