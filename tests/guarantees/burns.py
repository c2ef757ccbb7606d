"""Watches after promotion, for the guarantees: outcomes by the hour with a daily cycle, and when what is found."""

from __future__ import annotations

import math

import numpy as np

from crossfade.judge.burning import stakes
from crossfade.judge.infer import labels
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.restarts import Tape, tape
from crossfade.judge.measure import bucket
from crossfade.judge.moments import RateMoments
from crossfade.spec.model import Better, Kind, Metric, Source

from .worlds import log_e_path

DAY = 86400.0
DAILY_UNITS = 150_000
RATE = 0.05
HOLDBACK = 0.05
PURCHASE = Metric(name="purchase", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, goal=True, window=DAY)


def question(alpha: float) -> Question:
    """Harm to the goal, after promotion."""
    return Question(
        metric=PURCHASE, role="goal", limit=None, arm="v2", baseline="v1", stage="promote", step=None,
        alpha_harm=alpha, alpha_safe=0.05, window=DAY,
    )  # fmt: skip


def cycle(days: float) -> np.ndarray:
    """By the hour, how a day swings: twice as many units come at its best time as at its worst."""
    return np.sin(2.0 * math.pi * np.arange(int(24 * days)) / 24.0)


def watch(
    rng: np.random.Generator, days: float, erosion: np.ndarray | float, hourly: float = DAILY_UNITS / 24
) -> RateMoments:
    """Units that settle in each hour of a watch; those of the challenger lose the share `erosion` of their rate."""
    swing = cycle(days)
    units = rng.poisson(hourly * (1.0 + swing / 3.0))
    rate = RATE * (1.0 + 0.3 * swing)
    n_b = rng.binomial(units, 1.0 - HOLDBACK)
    first = bucket(DAY)
    rows = len(units)
    return RateMoments(
        step=np.zeros(rows, dtype=np.int64),
        bucket=first + np.arange(rows),
        share=np.full(rows, 1.0 - HOLDBACK),
        n_a=units - n_b,
        k_a=rng.binomial(units - n_b, rate),
        n_b=n_b,
        k_b=rng.binomial(n_b, rate * (1.0 - erosion)),
        settled=True,
    )


def eroding(days: float, most: float = 0.1, over: float = 30.0) -> np.ndarray:
    """From nothing to `most` over so many days, and no further."""
    return most * np.minimum(np.arange(int(24 * days)) / (24.0 * over), 1.0)


def late_path(found: Tape, stake: np.ndarray, kept: float) -> np.ndarray:
    """The log e-value of bets that begin late after every slice, as `restarts.late` has it for the last."""
    open_, left = np.full(len(found.stakes), -np.inf), kept + stake.sum()
    path = np.empty(len(stake))
    for row, (won, more) in enumerate(zip(found.won, stake, strict=True)):
        with np.errstate(divide="ignore"):
            open_ = np.logaddexp(open_, np.log(more * found.stakes)) + won
        left -= more
        path[row] = np.logaddexp(np.logaddexp.reduce(open_), np.log(max(left, 1e-300)))
    return path


def demoted(moments: RateMoments, days: float, alpha: float) -> float:
    """Days of the watch after which it is demoted, looked at every hour; infinite where it is not."""
    asked = question(alpha)
    found = tape(asked, moments)
    assert found is not None
    stake, kept = stakes(found, watch=(days + 1.0) * DAY, horizon=DAY)
    late = late_path(found, stake, kept)
    start = log_e_path(moments, asked.harm_sign, weights=labels.WEIGHTS)
    harmful = np.flatnonzero(np.logaddexp(late, start) - math.log(2.0) >= -math.log(alpha))
    return float(harmful[0] + 1) / 24.0 if len(harmful) else math.inf


def alarmed_alone(moments: RateMoments, days: float, alpha: float) -> bool:
    """Whether the same detector alarms that sees the challenger alone, against its own rate of the first week."""
    week = 7 * 24
    base = moments.k_b[:week].sum() / moments.n_b[:week].sum()
    less = 1.0 / (1.0 + np.exp(-(np.log(base / (1.0 - base)) - labels.DELTAS)))
    hits, misses = np.log(less / base), np.log((1.0 - less) / (1.0 - base))
    won = moments.k_b[week:, None] * hits + (moments.n_b - moments.k_b)[week:, None] * misses
    alone = Tape(
        bucket=moments.bucket[week:], won=won, stakes=labels.FINE,
        n_a=np.zeros(0), n_b=np.zeros(0), sum_a=np.zeros(0), sum_b=np.zeros(0),
    )  # fmt: skip
    stake = np.full(len(won), 1.0 / len(won))
    return bool((late_path(alone, stake, 0.0) >= -math.log(alpha)).any())
