"""Simulated traffic for the guarantees: units that come, return, fail and convert, told as the judge's moments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import beta

from crossfade.judge.infer import labels
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH, QuantileMoments, RateMoments

RAMP = (0.01, 0.05, 0.25, 0.5)


def holds(times: int, runs: int, bound: float) -> bool:
    """Whether the 99 % binomial interval of a simulated share reaches down to the bound."""
    return times == 0 or float(beta.ppf(0.005, times, runs - times + 1)) <= bound


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Shares per step; each step lasts `buckets` buckets of `arrivals` units."""

    shares: Sequence[float]
    buckets: int = 50
    arrivals: int = 20

    @property
    def share(self) -> np.ndarray:
        return np.repeat(np.asarray(self.shares, dtype=np.float64), self.buckets)

    @property
    def step(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.shares)), self.buckets)


def settled(
    rng: np.random.Generator, plan: Plan, rate_a: np.ndarray | float, rate_b: np.ndarray | float
) -> RateMoments:
    """Fresh units, each with its outcome known."""
    share = plan.share
    n_b = rng.binomial(plan.arrivals, share)
    n_a = plan.arrivals - n_b
    return RateMoments(
        step=plan.step,
        bucket=np.arange(len(share)),
        share=share,
        n_a=n_a,
        k_a=rng.binomial(n_a, rate_a),
        n_b=n_b,
        k_b=rng.binomial(n_b, rate_b),
        settled=True,
    )


def fresh(rng: np.random.Generator, plan: Plan, rate_a: np.ndarray | float, rate_b: np.ndarray | float) -> RateMoments:
    """Units that come evenly and once, each with its first failure at once or never."""
    moments = settled(rng, plan, rate_a, rate_b)
    return replace(moments, settled=False, seen_a=moments.n_a, seen_b=moments.n_b)


def returning(
    rng: np.random.Generator,
    plan: Plan,
    rate_a: float,
    rate_b: float,
    *,
    visits: float,
    spread: float,
    trend: Callable[[np.ndarray], np.ndarray] = np.ones_like,
    counted: bool = True,
) -> RateMoments:
    """Units with rates of their own that return about `visits` times; a unit moves over when the weight passes it.

    `spread` is the intra-class correlation of a unit's requests; `counted`: whether the units of each step are known.
    """
    share, step = plan.share, plan.step
    slots = len(share)
    units = plan.arrivals * slots // max(1, round(visits))
    # Half the units are there from the start, as on a site with regulars; the others come evenly.
    first = np.where(rng.random(units) < 0.5, 0, rng.integers(0, slots, units))
    owner = rng.random(units)
    shape = (1.0 - spread) / spread if spread > 0 else math.inf
    times = rng.poisson(visits, units)
    unit = np.repeat(np.arange(units), times + 1)
    at = rng.integers(0, slots, len(unit))
    begins = np.r_[0, np.cumsum(times + 1)[:-1]]
    at = np.maximum(at, first[unit])
    at[begins] = first
    own = (
        np.ones(units)
        if math.isinf(shape)
        else rng.gamma(max(shape * rate_a, 1e-3), 1.0, units) / max(shape * rate_a, 1e-3)
    )
    is_b = owner[unit] < share[at]
    chance = np.clip(np.where(is_b, rate_b, rate_a) * own[unit] * trend(at / slots), 0.0, 1.0)
    failed = rng.random(len(unit)) < chance
    order = np.lexsort((at, unit))

    def earliest(keep: np.ndarray, key: np.ndarray) -> np.ndarray:
        kept = order[keep[order]]
        _, where = np.unique(key[kept], return_index=True)
        return kept[where]

    def per_bucket(rows: np.ndarray, of_b: bool) -> np.ndarray:
        return np.bincount(at[rows][is_b[rows] == of_b], minlength=slots)

    everything = np.ones(len(unit), dtype=bool)
    came, fell = earliest(everything, unit), earliest(failed, unit)
    seen = earliest(everything, unit * len(plan.shares) + step[at])
    moments = RateMoments(
        step=step,
        bucket=np.arange(slots),
        share=share,
        n_a=per_bucket(came, False),
        k_a=per_bucket(fell, False),
        n_b=per_bucket(came, True),
        k_b=per_bucket(fell, True),
    )
    return replace(moments, seen_a=per_bucket(seen, False), seen_b=per_bucket(seen, True)) if counted else moments


def until(moments: RateMoments, rows: int) -> RateMoments:
    """What was known after the first buckets."""
    cut = {
        name: value[:rows]
        for name in ("step", "bucket", "share", "n_a", "k_a", "n_b", "k_b", "seen_a", "seen_b")
        if (value := getattr(moments, name)) is not None
    }
    return replace(moments, **cut)


def rate_log_e(
    moments: RateMoments, sign: int, slope: float = 1.0, offset: float = 0.0, weights: np.ndarray = labels.WEIGHTS
) -> float:
    """The log e-value that `infer` reads."""
    at = np.array([slope]), np.array([offset])
    if moments.settled:
        return float(labels.trials_log_e(labels.trials(moments), *at, sign, weights)[0])
    return float(labels.events_log_e(labels.events(moments), *at, sign, weights)[0])


def log_e_path(
    moments: RateMoments, sign: int, slope: float = 1.0, offset: float = 0.0, weights: np.ndarray = labels.WEIGHTS
) -> np.ndarray:
    """The log e-value after every bucket: `rate_log_e` of each beginning, in one pass where that can be."""
    at = np.array([slope]), np.array([offset])
    if not moments.settled and (moments.seen_a is None or moments.seen_b is None):
        rows = range(1, len(moments.share) + 1)
        return np.array([rate_log_e(until(moments, row), sign, slope, offset, weights) for row in rows])
    if not moments.settled:
        seen_a, seen_b = np.asarray(moments.seen_a, float), np.asarray(moments.seen_b, float)
        both, counted = seen_a + seen_b, {"seen_a": seen_a, "seen_b": seen_b, "k_a": moments.k_a, "k_b": moments.k_b}
        rows = labels.Events(share=moments.share, at_least=both, at_most=both, **counted)
        return labels.mixture(np.cumsum(labels.events_won(rows, *at, sign)[:, 0], axis=0), weights)
    starts, before = labels.epoch_starts(moments.n_a + moments.n_b, moments.share)
    begun = starts[np.searchsorted(starts, np.arange(len(before)), side="right") - 1]
    happened = np.cumsum(moments.k_a + moments.k_b) - (moments.k_a + moments.k_b)
    odds = labels.bets(moments.share, (happened[begun] + 0.5) / (before[begun] + 1.0), *at, sign)
    won = odds.gathered(*(np.asarray(n, float) for n in (moments.n_a, moments.k_a, moments.n_b, moments.k_b)))[:, 0]
    unlearnt = np.flatnonzero(before[begun] == 0)
    won[unlearnt] = 0.0
    if len(unlearnt):
        won[unlearnt[-1]] = labels.trials_won(labels.trials(until(moments, int(unlearnt[-1]) + 1)), *at, sign)[0]
    return labels.mixture(np.cumsum(won, axis=0), weights)


def first_rejection(
    moments: RateMoments,
    sign: int,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    alpha: float = 0.05,
    weights: np.ndarray = labels.WEIGHTS,
) -> int | None:
    """The first bucket after which the null is rejected, looked at after every one; counted from one."""
    rejected = np.flatnonzero(log_e_path(moments, sign, slope, offset, weights) >= -math.log(alpha))
    return int(rejected[0]) + 1 if len(rejected) else None


def latencies(
    rng: np.random.Generator, plan: Plan, *, factor: float = 1.0, spread: float = 0.5, daily: float = 0.0
) -> QuantileMoments:
    """Log-normal latencies around 20 ms; the challenger's are `factor` times as long; `daily` swings both."""
    share = plan.share
    slots = len(share)
    swing = np.exp(daily * np.sin(np.linspace(0.0, 6.0 * math.pi, slots)))
    at = np.repeat(np.arange(slots), plan.arrivals)
    is_b = rng.random(len(at)) < share[at]
    ms = 20.0 * swing[at] * np.exp(rng.normal(0.0, spread, len(at))) * np.where(is_b, factor, 1.0)
    bins = np.clip(np.ceil(np.log(ms / FIRST_EDGE) / math.log(GROWTH)), 0, BINS - 1).astype(np.int64)
    counts = np.zeros((2, slots, BINS), dtype=np.int64)
    np.add.at(counts, (is_b.astype(int), at, bins), 1)
    return QuantileMoments(step=plan.step, bucket=np.arange(slots), share=share, counts_a=counts[0], counts_b=counts[1])


def quantiles_until(moments: QuantileMoments, rows: int) -> QuantileMoments:
    """What was known after the first buckets."""
    return replace(
        moments,
        step=moments.step[:rows],
        bucket=moments.bucket[:rows],
        share=moments.share[:rows],
        counts_a=moments.counts_a[:rows],
        counts_b=moments.counts_b[:rows],
    )
