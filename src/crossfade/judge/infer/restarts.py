"""Changes that begin late: bets that start anew at every slice of time, after promotion.

A bet from the start of a stage has to win back what it lost while nothing was wrong. Here one bet starts at each slice,
and together they have one stake, spread evenly over the time of the watch: after Shin, Ramdas and Rinaldo
(*E-detectors*, 2024), whose Shiryaev-Roberts detector this is, with a stake in place of a run length. A mixture of
e-processes that start later is an e-process itself: it reaches 1/alpha with probability at most alpha while nothing is
worse than its limit, for any path of the base rate, as it compares arms and not today with yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.judge.infer import labels
from crossfade.judge.infer.quantiles import exceedances
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats, Ints, MeanMoments, Moments, QuantileMoments, RateMoments

EFFECTS: Floats = np.array([0.01, 0.03, 0.08, 0.2, 0.6])
"""Differences of means bet on, in standard deviations of one unit."""

EFFECT_STAKES: Floats = np.array([1.0, 2.0, 2.0, 1.0, 0.5]) / 6.5

LEARNT = 100
"""Units that each arm must have had before its values are bet on: their mean and spread come from earlier slices."""

LOST = 1e6
"""What a bet has lost, in logs, that has lost everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """What each slice of time would have won for the bet on each difference, and what was seen in it."""

    bucket: Ints
    won: Floats
    """Log factors against the limit, shape (slices, differences)."""
    stakes: Floats
    n_a: Floats
    n_b: Floats
    sum_a: Floats
    """Events, or values."""
    sum_b: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What the bets that started later say together."""

    log_e: float
    bucket: int
    """The slice at which the one that won most began."""
    units: tuple[int, int]
    """Units since then, of the champion and of the challenger."""
    values: tuple[float | None, float | None]
    """Their rates or means."""


def tape(question: Question, moments: Moments) -> Tape | None:
    """The tape of a line; None where its moments do not say when what happened.

    None for first failures, too: units that the worse arm has failed are gone from among those that may fail first, so
    that the better arm has more first failures later on, and whoever begins to bet late would call it worse.
    """
    slope, offset = question.boundary(True)
    at, sign = (np.array([slope]), np.array([offset])), question.harm_sign
    match moments:
        case RateMoments(settled=True):
            return _rates(moments, at, sign)
        case MeanMoments(bucket=bucket, share=share) if bucket is not None and share is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                return _means(moments, slope, offset, sign)
        case QuantileMoments():
            return _exceedances(question, moments, sign)
    return None


def late(found: Tape, stake: Floats, kept: float) -> Late:
    """The log e-value of bets with `stake` on each slice and `kept` on those that have not begun."""
    since = np.cumsum(found.won[::-1], axis=0)[::-1]
    with np.errstate(divide="ignore"):
        terms = np.log(stake)[:, None] + np.log(found.stakes)[None, :] + since
    each = np.logaddexp.reduce(terms, axis=1)
    log_e = float(np.logaddexp(np.logaddexp.reduce(each), np.log(max(kept, 1e-300))))
    best = int(np.argmax(each))
    n_a, n_b = int(found.n_a[best:].sum()), int(found.n_b[best:].sum())
    return Late(
        log_e=log_e,
        bucket=int(found.bucket[best]),
        units=(n_a, n_b),
        values=(
            float(found.sum_a[best:].sum()) / n_a if n_a else None,
            float(found.sum_b[best:].sum()) / n_b if n_b else None,
        ),
    )


def _used(moments: RateMoments | MeanMoments, names: tuple[str, ...]) -> dict[str, Floats]:
    share = np.asarray(moments.share, dtype=np.float64)
    use = (share > 0.0) & (share < 1.0)
    return {name: np.asarray(getattr(moments, name), dtype=np.float64)[use] for name in ("bucket", "share", *names)}


def _begun(n: Floats, share: Floats) -> tuple[Ints, Floats]:
    """For each row the row at which its epoch began, and the units before that."""
    starts, before = labels.epoch_starts(n, share)
    if not len(starts):
        return np.zeros(0, dtype=np.int64), before
    begun = starts[np.searchsorted(starts, np.arange(len(n)), side="right") - 1]
    return begun, before[begun]


def _rates(moments: RateMoments, at: tuple[Floats, Floats], sign: int) -> Tape:
    rows = _used(moments, ("n_a", "k_a", "n_b", "k_b"))
    n, k = rows["n_a"] + rows["n_b"], rows["k_a"] + rows["k_b"]
    begun, before = _begun(n, rows["share"])
    base = ((np.cumsum(k) - k)[begun] + 0.5) / (before + 1.0)
    odds = labels.bets(rows["share"], base, *at, sign)
    won = odds.gathered(rows["n_a"], rows["k_a"], rows["n_b"], rows["k_b"])[:, 0]
    won[before == 0.0] = 0.0
    return _tape(rows, won, labels.FINE, rows["k_a"], rows["k_b"])


def _means(moments: MeanMoments, slope: float, offset: float, sign: int) -> Tape:
    """Bets on how values lean to an arm, `exp(λx − λ²(x² + 2v)/6)`, which gains nothing on average for any x of mean
    zero and variance v (Delyon 2009); v is that of earlier slices, or what came if that is more."""
    names = ("n_a", "sum_a", "squares_a", "n_b", "sum_b", "squares_b")
    rows = _used(moments, names)
    pi, n = rows["share"], rows["n_a"] + rows["n_b"]
    begun, before = _begun(n, pi)

    def past(column: Floats) -> Floats:
        return np.asarray((np.cumsum(column) - column)[begun])

    units = np.maximum(before, 1.0)
    pooled = past(rows["sum_a"] + rows["sum_b"]) / units
    variance = past(rows["squares_a"] + rows["squares_b"]) / units - pooled**2
    learnt = (np.minimum(past(rows["n_a"]), past(rows["n_b"])) >= LEARNT) & (variance > 0.0) & np.isfinite(variance)
    scale = np.sqrt(np.where(learnt, variance, 1.0))
    mean_a = (pooled - pi * offset) / (1.0 - pi + pi * slope)
    mean_b = slope * mean_a + offset
    leaning = (1.0 - pi) * (rows["sum_b"] - rows["n_b"] * mean_b) - pi * slope * (rows["sum_a"] - rows["n_a"] * mean_a)
    came = (1.0 - pi) ** 2 * (rows["squares_b"] - 2.0 * mean_b * rows["sum_b"] + rows["n_b"] * mean_b**2)
    came += (pi * slope) ** 2 * (rows["squares_a"] - 2.0 * mean_a * rows["sum_a"] + rows["n_a"] * mean_a**2)
    came /= scale**2
    expected = n * pi * (1.0 - pi) * (1.0 - pi + pi * slope**2)
    spent = (came + 2.0 * np.maximum(came, expected)) / 6.0
    won = sign * (leaning / scale)[:, None] * EFFECTS - spent[:, None] * EFFECTS**2
    won[~learnt] = 0.0
    # A slice with a value too large to be squared loses what was staked on it.
    won = np.nan_to_num(won, nan=-LOST, neginf=-LOST, posinf=-LOST)
    return _tape(rows, won, EFFECT_STAKES, rows["sum_a"], rows["sum_b"])


def _exceedances(question: Question, moments: QuantileMoments, sign: int) -> Tape | None:
    """Exceedances of the champion's quantile at the limit, as rates that are known at once."""
    counted = exceedances(question, moments)
    if counted is None:
        return None
    rate = 1.0 - (question.metric.q if question.metric.q is not None else 0.5)
    rows = _used(counted, ("n_a", "k_a", "n_b", "k_b"))
    odds = labels.bets(rows["share"], np.full(len(rows["share"]), rate), np.ones(1), np.zeros(1), sign)
    won = odds.gathered(rows["n_a"], rows["k_a"], rows["n_b"], rows["k_b"])[:, 0]
    return _tape(rows, won, labels.FINE, rows["k_a"], rows["k_b"])


def _tape(rows: dict[str, Floats], won: Floats, stakes: Floats, sum_a: Floats, sum_b: Floats) -> Tape:
    return Tape(
        bucket=rows["bucket"].astype(np.int64),
        won=won,
        stakes=stakes,
        n_a=rows["n_a"],
        n_b=rows["n_b"],
        sum_a=sum_a,
        sum_b=sum_b,
    )
