"""Quantiles: exceedances of the champion's running quantile, compared by label betting.

Under "the challenger exceeds the cut no more often than the champion exceeds its own" an exceedance tells nothing about
the arm. A margin moves the challenger's cut. The cut is learnt from earlier buckets only.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import labels
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, crossing, ends_alpha, line
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH, Floats, QuantileMoments, RateMoments

MINIMUM_UNITS = 10
"""Observations the smaller arm needs before anything but proven harm is said."""

EXCEEDANCES_FIRST = 2
"""Champion observations above the cut that its first estimate must rest on; nothing is bet before."""

EPOCH_GROWTH = 1.25
"""The cut is learnt anew whenever the observations have grown by this factor."""

_BETTING = "label betting on exceedances of the champion's running quantile, learnt from earlier buckets"

ASSUMPTIONS = (
    _BETTING,
    "each unit's first request in each step of the stage: a slowdown that begins late is seen on units new to the step",
    "units independent given the time; over many small steps, regulars that differ much can make it a little too sure",
)

PAIRED = (
    _BETTING,
    "both arms answered the same requests, independent given the time; at most one per unit and bucket",
)
"""The assumptions in shadow."""

OF_UNITS = (
    _BETTING,
    "each unit's value once; units without a value are left out, so the arms must not differ in who has one",
    "interval and test see values in steps of 1.9 %",
)
"""The assumptions where each unit has one value."""

EDGES: Floats = FIRST_EDGE * np.exp(math.log(GROWTH) * np.arange(BINS, dtype=np.float64))
"""Upper edges of the bins, in ms."""

_FURTHEST = 400
_SHIFTS = np.unique(np.r_[np.arange(0, 24), np.round(np.geomspace(24, _FURTHEST, 24))]).astype(np.int64)
"""Bins away from the estimate at which nulls are tried; one bin is 1.9 %."""


def infer_quantile(question: Question, moments: QuantileMoments) -> Evidence:
    """Evidence on the difference of two quantiles, in ms."""
    q = question.metric.q if question.metric.q is not None else 0.5
    shadow = question.stage == "shadow"
    assumptions = PAIRED if shadow else ASSUMPTIONS
    epochs = _Epochs(moments, q, paired=shadow)
    units = {question.baseline: epochs.seen_a, question.arm: epochs.seen_b}
    value_a, value_b = running_quantile(epochs.total_a, q), running_quantile(epochs.total_b, q)
    refuse = _refusal(question, units, epochs)
    if refuse and not epochs.betting:
        return line(question, Numbers(units=units, refuse=refuse, assumptions=assumptions))
    sign = question.harm_sign
    log_harm = float(epochs.log_e(_cuts(question, epochs.cut, True, sign), sign)[0])
    log_safe = float(epochs.log_e(_cuts(question, epochs.cut, False, -sign), -sign)[0])
    lower, upper = (None, None) if refuse else _interval(question, epochs, value_a, value_b)
    return line(
        question,
        Numbers(
            units=units,
            log_harm=log_harm,
            log_safe=log_safe,
            estimate=None if value_a is None or value_b is None else value_b - value_a,
            lower=lower,
            upper=upper,
            limit=question.limit_as_difference(value_a),
            values={question.baseline: value_a, question.arm: value_b},
            assumptions=assumptions,
            refuse=refuse,
        ),
    )


def running_quantile(counts: np.ndarray, q: float) -> float | None:
    """The upper edge of the bin that holds the q-quantile; None without observations."""
    index = _quantile_bin(counts, q)
    return None if index is None else float(EDGES[index])


def _quantile_bin(counts: np.ndarray, q: float) -> int | None:
    total = int(counts.sum())
    if total == 0:
        return None
    return int(np.searchsorted(np.cumsum(counts), q * total, side="left"))


class _Epochs:
    """Histograms gathered into epochs, each with the champion's quantile as known when it began."""

    def __init__(self, moments: QuantileMoments, q: float, *, paired: bool) -> None:
        self._paired = paired
        use = (moments.share > 0.0) & (moments.share < 1.0)
        counts_a, counts_b, share = moments.counts_a, moments.counts_b, moments.share
        if not use.all():
            counts_a, counts_b, share = counts_a[use], counts_b[use], share[use]
        rows_a, rows_b = counts_a.sum(axis=1), counts_b.sum(axis=1)
        starts, _ = labels.epoch_starts(rows_a + rows_b, share, EPOCH_GROWTH)
        a, b = _gather(counts_a, starts), _gather(counts_b, starts)
        self.total_a, self.total_b = a.sum(axis=0), b.sum(axis=0)
        self.seen_a, self.seen_b = int(self.total_a.sum()), int(self.total_b.sum())
        past = np.cumsum(a, axis=0) - a
        needed = EXCEEDANCES_FIRST / min(q, 1.0 - q)
        self.needed = math.ceil(needed)
        bet = past.sum(axis=1) >= needed
        running = np.cumsum(past[bet], axis=1)
        self.cut = (running < q * running[:, -1:]).sum(axis=1) if len(running) else np.zeros(0, dtype=np.int64)
        self._share = share[starts][bet]
        self._n_a, self._n_b = a[bet].sum(axis=1), b[bet].sum(axis=1)
        self._up_to_a, self._up_to_b = np.cumsum(a[bet], axis=1), np.cumsum(b[bet], axis=1)
        self._rate = np.full(len(self.cut), 1.0 - q)

    @property
    def betting(self) -> bool:
        """Whether any observation came after the first cut was learnt."""
        return len(self.cut) > 0

    def log_e(self, cuts_b: npt.NDArray[np.int64], sign: int) -> Floats:
        """Log e-value against "the challenger exceeds `cuts_b` as often", shape (nulls, epochs) → (nulls,)."""
        rows = np.arange(len(self.cut))
        over_a = (self._n_a - self._up_to_a[rows, self.cut]).astype(np.float64)
        over_b = (self._n_b - self._up_to_b[rows, np.clip(cuts_b, 0, BINS - 1)]).astype(np.float64)
        odds = labels.bets(self._share, self._rate, np.ones(1), np.zeros(1), sign)
        if self._paired:
            hit_a, hit_b = labels.event_bets(self._share, sign)
            return labels.mixture(over_a @ hit_a + over_b @ hit_b)
        fixed = over_a @ odds.hit_a[:, 0] + (self._n_a - over_a) @ odds.miss_a[:, 0]
        return labels.mixture(fixed + over_b @ odds.hit_b[:, 0] + (self._n_b - over_b) @ odds.miss_b[:, 0])


def exceedances(question: Question, moments: QuantileMoments) -> RateMoments | None:
    """Observations beyond the cuts at the limit, slice by slice, from when the first cut was learnt; None before."""
    q = question.metric.q if question.metric.q is not None else 0.5
    use = (moments.share > 0.0) & (moments.share < 1.0)
    counts_a, counts_b, share = moments.counts_a[use], moments.counts_b[use], moments.share[use]
    if not len(share):
        return None
    starts, _ = labels.epoch_starts(counts_a.sum(axis=1) + counts_b.sum(axis=1), share, EPOCH_GROWTH)
    of = np.searchsorted(starts, np.arange(len(share)), side="right") - 1
    a = _gather(counts_a, starts)
    past = np.cumsum(a, axis=0) - a
    total = past.sum(axis=1)
    bet = (total >= EXCEEDANCES_FIRST / min(q, 1.0 - q))[of]
    if not bet.any():
        return None
    cut = (np.cumsum(past, axis=1) < q * total[:, None]).sum(axis=1).clip(0, BINS - 1)
    cut_b = _cuts(question, cut, True, question.harm_sign)[0].clip(0, BINS - 1)
    rows = np.arange(int(bet.sum()))
    up_to_a, up_to_b = (np.cumsum(counts[bet], axis=1) for counts in (counts_a, counts_b))
    n_a, n_b = up_to_a[:, -1], up_to_b[:, -1]
    return RateMoments(
        step=moments.step[use][bet],
        bucket=moments.bucket[use][bet],
        share=share[bet],
        n_a=n_a,
        k_a=n_a - up_to_a[rows, cut[of[bet]]],
        n_b=n_b,
        k_b=n_b - up_to_b[rows, cut_b[of[bet]]],
        settled=True,
    )


def _gather(counts: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    ends = [*starts.tolist(), len(counts)]
    rows = [counts[start:end].sum(axis=0) for start, end in pairwise(ends)]
    return np.stack(rows) if rows else np.zeros((0, BINS), dtype=np.int64)


def _cuts(question: Question, cut: npt.NDArray[np.int64], harm: bool, alternative: int) -> npt.NDArray[np.int64]:
    """The challenger's cut at the limit, rounded to the bin edge that makes the claim harder to prove."""
    slope, offset = question.boundary(harm)
    target = np.log((EDGES[cut] * slope + offset).clip(FIRST_EDGE) / FIRST_EDGE) / math.log(GROWTH)
    rounded = np.ceil(target - 1e-9) if alternative > 0 else np.floor(target + 1e-9)
    return rounded.astype(np.int64)[None, :]


def _interval(
    question: Question, epochs: _Epochs, value_a: float | None, value_b: float | None
) -> tuple[float | None, float | None]:
    """The differences in ms that the tests do not reject.

    Nulls are moved by whole bins, so no rounding enters: by the same ratio in every epoch, shown at the champion's
    present quantile.
    """
    if value_a is None or value_b is None:
        return None, None
    centre = round(math.log(value_b / value_a) / math.log(GROWTH))
    alpha_lower, alpha_upper = ends_alpha(question)
    down, up = centre - _SHIFTS, centre + _SHIFTS
    low = crossing(down.astype(np.float64), epochs.log_e(epochs.cut[None, :] + down[:, None], +1), alpha_lower)
    high = crossing(up.astype(np.float64), epochs.log_e(epochs.cut[None, :] + up[:, None], -1), alpha_upper)

    def in_ms(shift: float | None) -> float | None:
        return None if shift is None else value_a * (GROWTH**shift - 1.0)

    return in_ms(low), in_ms(high)


def exact_values(line_: Evidence, question: Question, a: Floats, b: Floats, scale: float) -> Evidence:
    """A line on binned values, told in the values' own units with their exact quantiles.

    `line_` speaks of values `scale` times as large; its interval keeps the bins' resolution.
    """
    if line_.estimate is None:
        return replace(line_, limit=question.limit_as_difference(None))
    q = question.metric.q if question.metric.q is not None else 0.5
    value_a, value_b = float(np.quantile(a, q)), float(np.quantile(b, q))
    estimate = value_b - value_a
    return replace(
        line_,
        estimate=estimate,
        lower=None if line_.lower is None else min(line_.lower / scale, estimate),
        upper=None if line_.upper is None else max(line_.upper / scale, estimate),
        limit=question.limit_as_difference(value_a),
        values={question.baseline: value_a, question.arm: value_b},
        assumptions=OF_UNITS,
    )


def _refusal(question: Question, units: dict[str, int], epochs: _Epochs) -> str:
    arm, fewest = min(units.items(), key=lambda item: item[1])
    if fewest < MINIMUM_UNITS:
        count = "no observation" if fewest == 0 else f"{fewest} observations"
        return f"{question.metric.name} has {count} from {arm}, needs {MINIMUM_UNITS}"
    if not epochs.betting:
        return (
            f"{question.metric.name} is still learning {question.baseline}'s quantile: "
            f"{units[question.baseline]} of {epochs.needed} observations"
        )
    return ""
