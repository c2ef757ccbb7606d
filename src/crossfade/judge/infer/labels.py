"""Label betting: given what happened and when, bet on which arm it happened in.

A null is a line `p_B = slope · p_A + offset`; `sign` says on which side of it the alternative lies (+1: B has more).
Rejecting harm or safety at a margin is rejecting such a line. Both forms are non-negative supermartingales
under the null for every path of the base rate and every predictable assignment probability, so a ramp or a daily cycle
cannot hurt them. After Turner, Ly and Grünwald (safe tests for two proportions, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import expit, logit

from crossfade.judge.moments import Floats, RateMoments

DELTAS: Floats = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.7, 2.7, 4.5])
"""Log odds ratios bet on, equally weighted: from 5 % more to a model that fails nearly always."""

FIRST_RATES: Floats = np.array([0.001, 0.01, 0.05, 0.2, 0.5])
"""Base rates averaged over while no past exists to learn one from."""

EPOCH_GROWTH = 1.4
"""The base rate is learnt anew whenever the units seen have grown by this factor."""

_TINY = 1e-7
_NEWTON_STEPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Units that arrived, and first events by arm, per distinct assignment probability."""

    share: Floats
    arrivals: Floats
    k_a: Floats
    k_b: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Settled units per epoch: a stretch of buckets with one assignment probability and one predicted base rate."""

    share: Floats
    n_a: Floats
    k_a: Floats
    n_b: Floats
    k_b: Floats
    base: Floats
    """Predicted from earlier buckets only; NaN in the first epoch, which has no past."""


def events(moments: RateMoments) -> Events:
    """Events summed over all buckets of one assignment probability."""
    use = _informative(moments.share)
    share, group = np.unique(np.round(moments.share[use], 12), return_inverse=True)

    def total(counts: np.ndarray) -> Floats:
        return np.bincount(group, weights=counts[use], minlength=len(share)).astype(np.float64)

    return Events(
        share=share, arrivals=total(moments.n_a + moments.n_b), k_a=total(moments.k_a), k_b=total(moments.k_b)
    )


def trials(moments: RateMoments) -> Trials:
    """Buckets gathered into epochs, each with the base rate that was known when it began."""
    use = _informative(moments.share)
    return gather(moments.share[use], moments.n_a[use], moments.k_a[use], moments.n_b[use], moments.k_b[use])


def gather(share: Floats, n_a: np.ndarray, k_a: np.ndarray, n_b: np.ndarray, k_b: np.ndarray) -> Trials:
    """Rows in time order gathered into epochs of `EPOCH_GROWTH`."""
    starts, seen_before = epoch_starts(n_a + n_b, share)
    if len(starts) == 0:
        nothing = np.zeros(0)
        return Trials(share=nothing, n_a=nothing, k_a=nothing, n_b=nothing, k_b=nothing, base=nothing)

    def total(counts: np.ndarray) -> Floats:
        return np.add.reduceat(counts, starts).astype(np.float64)

    happened = np.cumsum(k_a + k_b) - (k_a + k_b)
    seen = seen_before[starts]
    base = np.where(seen > 0, (happened[starts] + 0.5) / (seen + 1.0), np.nan)
    return Trials(share=share[starts], n_a=total(n_a), k_a=total(k_a), n_b=total(n_b), k_b=total(k_b), base=base)


def epoch_starts(seen: np.ndarray, share: Floats, growth: float = EPOCH_GROWTH) -> tuple[np.ndarray, np.ndarray]:
    """Indices of rows that begin an epoch, and what had been seen before each row.

    An epoch begins at a row chosen by earlier rows alone, so what is predicted at its start is predictable.
    """
    before = np.cumsum(seen) - seen
    if len(seen) == 0:
        return np.zeros(0, dtype=np.int64), before
    level = np.floor(np.log1p(before) / np.log(growth)).astype(np.int64)
    level[before == 0] = -1
    changed = np.r_[True, (level[1:] != level[:-1]) | (share[1:] != share[:-1])]
    return np.flatnonzero(changed), before


def events_log_e(data: Events, slope: Floats, offset: Floats, sign: int) -> Floats:
    """Log e-value against each null (slope, offset) when only events are bet on.

    A unit may have its event at any time after it arrived. Under the null an event is B's with odds
    `share · slope / (1 − share)`. An offset is paid for at each arrival, whichever arm it went to: the factor is one
    minus what the bet would gain on average from `offset` more events, so that no estimate of the base rate is needed.
    """
    pi = data.share[:, None, None]
    a, m = slope[None, :, None], offset[None, :, None]
    null = pi * a / (pi * a + 1.0 - pi)
    bet = expit(logit(null) + sign * DELTAS)
    gain_b = bet / null
    gain_a = (1.0 - bet) / (1.0 - null)
    paid = np.where(m >= 0, m * pi * (gain_b - 1.0), (-m / a) * (1.0 - pi) * (gain_a - 1.0))
    terms = (
        data.arrivals[:, None, None] * np.log1p(-np.minimum(paid, 1.0 - _TINY))
        + data.k_b[:, None, None] * np.log(gain_b)
        + data.k_a[:, None, None] * np.log(gain_a)
    )
    return log_mean_exp(terms.sum(axis=0), axis=-1)


def event_bets(share: Floats, sign: int) -> tuple[Floats, Floats]:
    """Log factors of one event in A and in B against no difference, shape (rows, deltas); nothing else is bet on."""
    pi = share[:, None]
    bet = expit(logit(pi) + sign * DELTAS)
    return np.log((1.0 - bet) / (1.0 - pi)), np.log(bet / pi)


def trials_log_e(data: Trials, slope: Floats, offset: Floats, sign: int) -> Floats:
    """Log e-value against each null (slope, offset) when every unit's outcome is known.

    Each unit multiplies by alternative / nearest null, where nearest (in Kullback–Leibler divergence) makes the ratio
    an e-variable for the whole half-plane beyond the line, since the joint law of (arm, outcome) is linear in the
    rates.
    """
    first = np.flatnonzero(np.isnan(data.base))
    known = np.flatnonzero(~np.isnan(data.base))
    rows = np.r_[known, np.tile(first, len(FIRST_RATES))]
    base = np.r_[data.base[known], np.repeat(FIRST_RATES, len(first))]
    odds = bets(data.share[rows], base, slope, offset, sign)
    terms = odds.gathered(data.n_a[rows], data.k_a[rows], data.n_b[rows], data.k_b[rows])
    log_e = terms[: len(known)].sum(axis=0)
    if len(first):
        guesses = terms[len(known) :].reshape(len(FIRST_RATES), len(first), *log_e.shape).sum(axis=1)
        log_e = log_e + log_mean_exp(guesses, axis=0)
    return log_mean_exp(log_e, axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """Log factors of one unit by arm and outcome, shape (rows, nulls, deltas)."""

    hit_a: Floats
    miss_a: Floats
    hit_b: Floats
    miss_b: Floats

    def gathered(self, n_a: Floats, k_a: Floats, n_b: Floats, k_b: Floats) -> Floats:
        """Log factors of each row's units together."""
        a, b, c, d = (counts[:, None, None] for counts in (k_a, n_a - k_a, k_b, n_b - k_b))
        return a * self.hit_a + b * self.miss_a + c * self.hit_b + d * self.miss_b


def bets(share: Floats, base: Floats, slope: Floats, offset: Floats, sign: int) -> Bets:
    """The bets for rows with assignment probability `share` and predicted pooled rate `base`.

    The alternative moves both arms apart in log odds, from the point of the null line that agrees with `base`.
    """
    pi = share[:, None, None]
    a, m = slope[None, :, None], offset[None, :, None]
    low, high = np.maximum(_TINY, (_TINY - m) / a), np.minimum(1 - _TINY, (1 - _TINY - m) / a)
    null_a = np.clip((base[:, None, None] - pi * m) / (1.0 - pi + pi * a), low, high)
    null_b = a * null_a + m
    theta_b = expit(logit(null_b) + sign * DELTAS * (1.0 - pi))
    theta_a = expit(logit(null_a) - sign * DELTAS * pi)
    near_a = nearest_null(pi, theta_a, theta_b, a, m, null_a)
    near_b = a * near_a + m
    return Bets(
        hit_a=np.log(theta_a / near_a),
        miss_a=np.log1p(-theta_a) - np.log1p(-near_a),
        hit_b=np.log(theta_b / near_b),
        miss_b=np.log1p(-theta_b) - np.log1p(-near_b),
    )


def nearest_null(pi: Floats, theta_a: Floats, theta_b: Floats, a: Floats, m: Floats, guess: Floats) -> Floats:
    """The rate of A on the null line that is nearest to (theta_a, theta_b) in Kullback–Leibler divergence."""
    if np.all(a == 1.0) and np.all(m == 0.0):
        return pi * theta_b + (1.0 - pi) * theta_a
    at_b = (theta_b - m) / a
    low = np.maximum(np.minimum(theta_a, at_b), np.maximum(0.0, -m / a))
    high = np.minimum(np.maximum(theta_a, at_b), np.minimum(1.0, (1.0 - m) / a))
    x = np.clip(guess, low, high)
    for _ in range(_NEWTON_STEPS):
        y = a * x + m
        vx, vy = x * (1.0 - x), y * (1.0 - y)
        value = pi * a * (theta_b - y) * vx + (1.0 - pi) * (theta_a - x) * vy
        slope = pi * a * ((theta_b - y) * (1.0 - 2.0 * x) - a * vx) + (1.0 - pi) * (
            (theta_a - x) * a * (1.0 - 2.0 * y) - vy
        )
        low, high = np.where(value > 0, x, low), np.where(value > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - value / slope
        x = np.where((step > low) & (step < high), step, 0.5 * (low + high))
    return x


def log_mean_exp(log_e: Floats, axis: int) -> Floats:
    """The log of the plain average of e-values given by their logs."""
    top = log_e.max(axis=axis, keepdims=True)
    return cast(Floats, np.log(np.exp(log_e - top).mean(axis=axis)) + top.squeeze(axis))


def _informative(share: Floats) -> np.ndarray:
    return (share > 0.0) & (share < 1.0)
