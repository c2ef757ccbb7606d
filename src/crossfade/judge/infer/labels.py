"""Label betting: given what happened and when, bet on which arm it happened in.

A null is a line `p_B = slope · p_A + offset`; `sign` says on which side of it the alternative lies (+1: B has more).
Rejecting harm or safety at a margin is rejecting such a line. Both forms are non-negative supermartingales
under the null for every path of the base rate and every predictable assignment probability, so a ramp or a daily cycle
cannot hurt them. After Turner, Ly and Grünwald (safe tests for two proportions, 2021) and betting on bounded means
(Waudby-Smith and Ramdas 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import expit, logit

from crossfade.judge.moments import Floats, RateMoments

DELTAS: Floats = np.array([0.06, 0.18, 0.4, 0.7, 1.2, 2.2, 4.5])
"""Log odds ratios bet on: from 6 % more to a model that fails nearly always."""

WEIGHTS: Floats = np.array([0.5, 2.0, 1.5, 3.0, 1.5, 1.0, 0.7]) / 10.2
"""The stake on each: most on 20 % more, which tests of conversion look for, and on twice as much, which canaries do."""

FINE: Floats = np.array([0.6, 3.0, 1.2, 0.8, 0.5, 0.3, 0.1]) / 6.5
"""The stake on each where a goal is to be proven better: goals improve by a fifth, hardly ever threefold."""

FIRST_RATES: Floats = np.array([0.001, 0.01, 0.06, 0.25, 0.5, 0.75, 0.94, 0.99, 0.999])
"""Base rates averaged over while no past exists to learn one from; the same for an event as for its opposite."""

EPOCH_GROWTH = 1.4
"""The base rate is learnt anew whenever the units seen have grown by this factor."""

TINY = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """First events by arm, and units that could have one, per step (and assignment probability)."""

    share: Floats
    k_a: Floats
    k_b: Floats
    at_least: Floats
    """Units exposed in the step that are known: the newcomers, or all of them where they were counted."""
    at_most: Floats
    """The same with every unit of earlier steps, which may have returned; equal where they were counted."""
    seen_a: Floats
    seen_b: Floats
    """Units of each arm exposed in the step; the share of `at_most` where they were not counted."""


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
    """Events summed over the buckets of each step."""
    use = _informative(moments.share)
    # Shares lie strictly between 0 and 1, so that this names a (step, share) pair by one number.
    keys, group = np.unique(2.0 * moments.step[use] + np.round(moments.share[use], 12), return_inverse=True)
    share = keys - 2.0 * np.floor(keys / 2.0)

    def total(counts: np.ndarray) -> Floats:
        return np.bincount(group, weights=counts[use], minlength=len(share)).astype(np.float64)

    k_a, k_b, new_a, new_b = total(moments.k_a), total(moments.k_b), total(moments.n_a), total(moments.n_b)
    if moments.seen_a is not None and moments.seen_b is not None:
        seen_a, seen_b = total(moments.seen_a), total(moments.seen_b)
        both = seen_a + seen_b
        return Events(share=share, k_a=k_a, k_b=k_b, at_least=both, at_most=both, seen_a=seen_a, seen_b=seen_b)
    new = new_a + new_b
    possible = np.cumsum(new)
    if len(share) > 1:
        new_a, new_b = (1.0 - share) * possible, share * possible
    return Events(share=share, k_a=k_a, k_b=k_b, at_least=new, at_most=possible, seen_a=new_a, seen_b=new_b)


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
    all_a, all_b = total(n_a), total(n_b)
    # Without a prediction a lost unit could look like a difference, so the first epoch is one block of its own: bets at
    # the share that came, which gain nothing on average whatever the counts of the arms.
    with np.errstate(invalid="ignore"):
        share_at = np.where(seen > 0, share[starts], all_b / (all_a + all_b))
    use = (share_at > 0.0) & (share_at < 1.0)
    return Trials(
        share=share_at[use], n_a=all_a[use], k_a=total(k_a)[use], n_b=all_b[use], k_b=total(k_b)[use], base=base[use]
    )


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


def events_log_e(data: Events, slope: Floats, offset: Floats, sign: int, weights: Floats = WEIGHTS) -> Floats:
    """Log e-value against each null (slope, offset) when only events are bet on, stakes as in `weights`."""
    return mixture(events_won(data, slope, offset, sign).sum(axis=0), weights)


def events_won(data: Events, slope: Floats, offset: Floats, sign: int) -> Floats:
    """What each row has won for the bet on each difference, in logs; shape (rows, nulls, deltas).

    A unit may have its event at any time after it arrived. Under the null an event is B's with odds
    `share · slope / (1 − share)`. An offset is paid for (or earned) at each unit of a step, whichever arm it is in: the
    factor is one minus what the bet would gain on average from `offset` more events, so that no estimate of the base
    rate is needed. Where it is not known how many units of earlier steps came back, it is paid for all and earned
    for none.
    """
    pi = data.share[:, None, None]
    a, m = slope[None, :, None], offset[None, :, None]
    null = pi * a / (pi * a + 1.0 - pi)
    bet = expit(logit(null) + sign * DELTAS)
    gain_b = bet / null
    gain_a = (1.0 - bet) / (1.0 - null)
    paid = np.where(m >= 0, m * pi * (gain_b - 1.0), (-m / a) * (1.0 - pi) * (gain_a - 1.0))
    units = np.where(paid > 0, data.at_most[:, None, None], data.at_least[:, None, None])
    return np.asarray(
        units * np.log1p(-np.minimum(paid, 1.0 - TINY))
        + data.k_b[:, None, None] * np.log(gain_b)
        + data.k_a[:, None, None] * np.log(gain_a)
    )


def event_bets(share: Floats, sign: int) -> tuple[Floats, Floats]:
    """Log factors of one event in A and in B against no difference, shape (rows, deltas); nothing else is bet on."""
    pi = share[:, None]
    bet = expit(logit(pi) + sign * DELTAS)
    return np.log((1.0 - bet) / (1.0 - pi)), np.log(bet / pi)


def trials_log_e(data: Trials, slope: Floats, offset: Floats, sign: int, weights: Floats = WEIGHTS) -> Floats:
    """Log e-value against each null (slope, offset) when every unit's outcome is known, stakes as in `weights`."""
    return mixture(trials_won(data, slope, offset, sign), weights)


def trials_won(data: Trials, slope: Floats, offset: Floats, sign: int) -> Floats:
    """What the bets on each difference have won, in logs; shape (nulls, deltas)."""
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
    return cast(Floats, log_e)


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

    `base` picks a point (x, y) of the null line. A unit of B multiplies by `1 + stake · (Y − y) / (share · slope)`,
    one of A by `1 − stake · (Y − x) / (1 − share)`. Over both the mean is one plus
    `stake · (p_B − slope · p_A − offset) / slope`: one on the whole line, whatever the rates. It is the likelihood
    ratio of two rates on either side of (x, y) to the null nearest to them, which is (x, y) itself; the stake makes
    their log odds ratio δ. If the prediction is right, each arm alone has mean one, too, so that lost units of an arm
    are not taken for a difference.
    """
    pi = share[:, None, None]
    a, m = slope[None, :, None], offset[None, :, None]
    low, high = np.maximum(TINY, (TINY - m) / a), np.minimum(1 - TINY, (1 - TINY - m) / a)
    x = np.clip((base[:, None, None] - pi * m) / (1.0 - pi + pi * a), low, high)
    y = a * x + m
    up_b, down_b = (1.0 - y) / (pi * a), y / (pi * a)
    down_a, up_a = (1.0 - x) / (1.0 - pi), x / (1.0 - pi)
    odds = np.exp(sign * DELTAS)
    wanted = odds - 1.0
    linear = up_b + up_a + odds * (down_b + down_a)
    square = up_b * up_a - odds * down_b * down_a
    stake = 2.0 * wanted / (linear + np.sqrt(np.maximum(linear * linear + 4.0 * square * wanted, 0.0)))
    return Bets(
        hit_a=np.log1p(-stake * down_a),
        miss_a=np.log1p(stake * up_a),
        hit_b=np.log1p(stake * up_b),
        miss_b=np.log1p(-stake * down_b),
    )


def log_mean_exp(log_e: Floats, axis: int) -> Floats:
    """The log of the plain average of e-values given by their logs."""
    top = log_e.max(axis=axis, keepdims=True)
    return cast(Floats, np.log(np.exp(log_e - top).mean(axis=axis)) + top.squeeze(axis))


def mixture(log_e: Floats, weights: Floats = WEIGHTS) -> Floats:
    """The log of the weighted average over the last axis, by default over `DELTAS`."""
    top = log_e.max(axis=-1)
    return cast(Floats, np.log(np.exp(log_e - top[..., None]) @ weights) + top)


def _informative(share: Floats) -> np.ndarray:
    return (share > 0.0) & (share < 1.0)
