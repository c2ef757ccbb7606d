"""Quantiles: exceedances of the champion's running quantile, compared by label betting.

Under "the challenger exceeds the cut no more often than the champion exceeds its own" an exceedance tells nothing about
the arm. A margin moves the challenger's cut. The cut is learnt from earlier buckets only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import labels
from crossfade.judge.infer.exceeding import EPOCH_GROWTH, Below, Exceeding, in_parts, needed, summed_up
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH, Floats, Ints, QuantileMoments, RateMoments

MINIMUM_UNITS = 10
"""Observations the smaller arm needs before anything but proven harm is said."""

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
SHIFTS = np.unique(np.r_[np.arange(0, 24), np.round(np.geomspace(24, _FURTHEST, 24))]).astype(np.int64)
"""Bins away from the estimate at which nulls are tried; one bin is 1.9 %."""


def infer_quantile(question: Question, moments: QuantileMoments) -> Evidence:
    """Evidence on the difference of two quantiles, in ms."""
    return infer_quantiles([(question, moments)])[0]


def infer_quantiles(asked: Sequence[tuple[Question, QuantileMoments]]) -> list[Evidence]:
    """Evidence of many lines, in their order; together they take a small part of the time that each alone takes."""
    found: dict[int, Evidence] = {}
    for part in in_parts([moments for _, moments in asked]):
        found |= zip(part, _part([asked[place] for place in part]), strict=True)
    return [found[place] for place in range(len(asked))]


def _part(asked: Sequence[tuple[Question, QuantileMoments]]) -> list[Evidence]:
    q = np.array([_q(question) for question, _ in asked])
    shadow = np.array([question.stage == "shadow" for question, _ in asked])
    seen = Exceeding([moments for _, moments in asked], q, shadow)
    value_a, value_b = (_values(total.whole, total.quantile(q)) for total in (seen.total_a, seen.total_b))
    harm, safe = _tests(asked, seen)
    ends = _intervals(asked, seen, value_a, value_b)
    first = np.ceil(needed(q)).astype(np.int64).tolist()
    units = zip(seen.total_a.whole.tolist(), seen.total_b.whole.tolist(), strict=True)
    lines = []
    for place, ((question, _), (n_a, n_b)) in enumerate(zip(asked, units, strict=True)):
        seen_of, betting = {question.baseline: n_a, question.arm: n_b}, bool(seen.betting[place])
        assumptions = PAIRED if shadow[place] else ASSUMPTIONS
        refuse = _refusal(question, seen_of, betting, first[place])
        if refuse and not betting:
            lines.append(line(question, Numbers(units=seen_of, refuse=refuse, assumptions=assumptions)))
            continue
        a, b = value_a[place], value_b[place]
        lower, upper = (None, None) if refuse else ends[place]
        lines.append(
            line(
                question,
                Numbers(
                    units=seen_of,
                    log_harm=harm[place],
                    log_safe=safe[place],
                    estimate=None if a is None or b is None else b - a,
                    lower=lower,
                    upper=upper,
                    limit=question.limit_as_difference(a),
                    values={question.baseline: a, question.arm: b},
                    assumptions=assumptions,
                    refuse=refuse,
                ),
            )
        )
    return lines


def _q(question: Question) -> float:
    return question.metric.q if question.metric.q is not None else 0.5


def _values(counts: Ints, bins: Ints) -> list[float | None]:
    """Upper edges of the bins that hold the quantiles; None where nothing was counted."""
    return [edge if count else None for edge, count in zip(EDGES[bins].tolist(), counts.tolist(), strict=True)]


def _tests(asked: Sequence[tuple[Question, QuantileMoments]], seen: Exceeding) -> tuple[list[float], list[float]]:
    """Log e-values for harm and for safety."""
    sign = np.array([question.harm_sign for question, _ in asked])
    harm, safe = (np.array([question.boundary(of) for question, _ in asked]).T for of in (True, False))
    up, down = (
        seen.log_e(cuts(np.where(first, one, other)[:, seen.line], seen.cut, way), way)
        for way, first, one, other in ((1, sign > 0, harm, safe), (-1, sign < 0, harm, safe))
    )
    return np.where(sign > 0, up, down).tolist(), np.where(sign > 0, down, up).tolist()


def running_quantile(counts: np.ndarray, q: float) -> float | None:
    """The upper edge of the bin that holds the q-quantile; None without observations."""
    total = int(counts.sum())
    return float(EDGES[int(np.searchsorted(np.cumsum(counts), q * total, side="left"))]) if total else None


def exceedances(question: Question, moments: QuantileMoments) -> RateMoments | None:
    """Observations beyond the cuts at the limit, slice by slice, from when the first cut was learnt; None before.

    None in blocks, too: a bet that begins with a slice would take the slices of a spell for independent.
    """
    if question.metric.blocks is not None:
        return None
    q = _q(question)
    use = (moments.share > 0.0) & (moments.share < 1.0)
    counts_a, counts_b, share = moments.counts_a[use], moments.counts_b[use], moments.share[use]
    if not len(share):
        return None
    starts, _ = labels.epoch_starts(counts_a.sum(axis=1) + counts_b.sum(axis=1), share, EPOCH_GROWTH)
    of = np.searchsorted(starts, np.arange(len(share)), side="right") - 1
    every = np.arange(len(share))
    sums_a, sums_b = (summed_up([counts]) for counts in (counts_a, counts_b))
    low = np.full(len(share), moments.low)
    past = Below(sums_a, 0 * starts, starts, low[starts])
    bet = np.flatnonzero((past.whole >= needed(np.array(q)))[of])
    if not len(bet):
        return None
    cut = past.quantile(np.full(len(starts), q))
    slope, offset = question.boundary(True)
    cut_b = cuts(np.repeat([[slope], [offset]], len(cut), axis=1), cut, question.harm_sign)
    a, b = (Below(sums, every, every + 1, low).of(bet) for sums in (sums_a, sums_b))
    n_a, n_b = a.whole, b.whole
    return RateMoments(
        step=moments.step[use][bet],
        bucket=moments.bucket[use][bet],
        share=share[bet],
        n_a=n_a,
        k_a=n_a - a.up_to(cut[of[bet]]),
        n_b=n_b,
        k_b=n_b - b.up_to(cut_b[of[bet]]),
        settled=True,
    )


def cuts(boundary: Floats, cut: Ints, alternative: int) -> Ints:
    """The challenger's cut at the limit (slope and offset of each cut), rounded to the bin edge that makes the claim
    harder to prove."""
    slope, offset = boundary
    target = np.log((EDGES[cut] * slope + offset).clip(FIRST_EDGE) / FIRST_EDGE) / math.log(GROWTH)
    rounded = np.ceil(target - 1e-9) if alternative > 0 else np.floor(target + 1e-9)
    return np.asarray(np.clip(rounded, 0, BINS - 1), dtype=np.int64)


def _intervals(
    asked: Sequence[tuple[Question, QuantileMoments]],
    seen: Exceeding,
    value_a: Sequence[float | None],
    value_b: Sequence[float | None],
) -> list[tuple[float | None, float | None]]:
    """The differences in ms that the tests do not reject.

    Nulls are moved by whole bins, so no rounding enters: by the same ratio in every epoch, shown at the champion's
    present quantile.
    """
    both = np.array([a is not None and b is not None for a, b in zip(value_a, value_b, strict=True)])
    a, b = (np.array([1.0 if value is None else value for value in values]) for values in (value_a, value_b))
    centre = np.round(np.log(b / a) / math.log(GROWTH)).astype(np.int64)
    alphas = np.array([ends_alpha(question) for question, _ in asked])
    told = []
    for way, alpha in zip((-1, 1), alphas.T, strict=True):
        shifts = centre[:, None] + way * SHIFTS[None, :]
        threshold = -np.log(alpha)
        at, evidence, before = seen.first_rejected(shifts, -way, threshold)
        here, near = (np.take_along_axis(shifts, np.clip(one, 0, len(SHIFTS) - 1)[:, None], 1)[:, 0]
                      for one in (at, at - 1))  # fmt: skip
        with np.errstate(invalid="ignore", divide="ignore"):
            portion = np.where(at > 0, (threshold - before) / (evidence - before), 1.0)
            portion = np.where(at < len(SHIFTS), portion, 0.0)
        ends = a * (np.power(GROWTH, near + portion * (here - near)) - 1.0)
        told.append([end if one and there < len(SHIFTS) else None
                     for end, one, there in zip(ends.tolist(), both.tolist(), at.tolist(), strict=True)])  # fmt: skip
    return list(zip(*told, strict=True))


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


def _refusal(question: Question, units: dict[str, int], betting: bool, first: int) -> str:
    arm, fewest = min(units.items(), key=lambda item: item[1])
    if fewest < MINIMUM_UNITS:
        count = "no observation" if fewest == 0 else f"{fewest} observations"
        return f"{question.metric.name} has {count} from {arm}, needs {MINIMUM_UNITS}"
    if not betting:
        return (
            f"{question.metric.name} is still learning {question.baseline}'s quantile: "
            f"{units[question.baseline]} of {first} observations"
        )
    return ""
