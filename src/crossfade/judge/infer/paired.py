"""Signed differences of pairs: is their mean at most a limit? A mixture of bets on −1, 0 and +1."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.labels import DELTAS, mixture
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisect, line
from crossfade.judge.moments import Floats, PairedMoments

MINIMUM_PAIRS = 10
"""Pairs needed before anything but proven harm is said."""

PORTIONS: Floats = np.array([0.03, 0.08, 0.16, 0.32, 0.6, 0.97])
"""Bets tried, as portions of the largest that cannot go broke."""

WEIGHTS: Floats = np.array([0.7, 1.3, 2.0, 1.5, 1.3, 1.0]) / 7.8
"""The stake on each: most where a few per cent of difference stand against noise as large."""

ASSUMPTIONS = (
    "betting on the signed difference of each pair; exact when, given the past, its mean respects the limit",
    "pairs are requests: a client that repeats one request many times counts many times",
)

RELATIVE = (
    "a share of the champion's rate cannot be read from pairs: harm is tested against the largest it can be (the share "
    "itself), safety on pairs in which exactly one arm has the event"
)


def infer_paired(question: Question, moments: PairedMoments) -> Evidence:
    """Evidence on the mean of a signed difference; +1 speaks against the challenger, so lower is always better."""
    plus, minus, zero = (int(counts.sum()) for counts in (moments.plus, moments.minus, moments.zero))
    pairs = plus + minus + zero
    counts = (plus, minus, zero)
    units = {question.baseline: pairs, question.arm: pairs}
    events = {question.baseline: minus, question.arm: plus}
    limit = question.limit.value if question.limit is not None else 0.0
    limit_safe = 0.0 if question.role == "goal" else limit
    if question.relative:
        log_safe = _discordant_log_e(plus, minus, 1.0 + limit_safe)
    else:
        log_safe = mean_log_e(counts, limit_safe, -1)
    refuse = f"{question.metric.name} has {pairs or 'no'} pairs, needs {MINIMUM_PAIRS}" if pairs < MINIMUM_PAIRS else ""
    lower, upper = _interval(counts, question.alpha_harm, question.alpha_safe) if pairs else (None, None)
    return line(
        question,
        Numbers(
            units=units,
            log_harm=mean_log_e(counts, limit, +1),
            log_safe=log_safe,
            estimate=(plus - minus) / pairs if pairs else None,
            lower=lower,
            upper=upper,
            limit=None if question.relative and question.role != "goal" else limit_safe,
            events=events,
            assumptions=(*ASSUMPTIONS, RELATIVE) if question.relative else ASSUMPTIONS,
            refuse=refuse,
            reason=moments.remark,
        ),
    )


def mean_log_e(counts: tuple[int, int, int], mean: float, sign: int) -> float:
    """Log e-value against "mean ≤ `mean`" (sign +1) or "mean ≥ `mean`" (−1) from counts of +1, −1 and 0."""
    if abs(mean) >= 1.0:
        return 0.0
    plus, minus, zero = counts
    largest = 1.0 / (1.0 + sign * mean)
    bet = sign * PORTIONS * largest
    log_e = plus * np.log1p(bet * (1.0 - mean)) + minus * np.log1p(-bet * (1.0 + mean)) + zero * np.log1p(-bet * mean)
    return float(mixture(log_e, WEIGHTS))


def _discordant_log_e(plus: int, minus: int, ratio: float) -> float:
    """Log e-value against "+1 is at least `ratio` times as likely as −1", on pairs in which one arm has the event."""
    null = ratio / (1.0 + ratio)
    bet = expit(logit(null) - DELTAS)
    log_e = plus * np.log(bet / null) + minus * np.log((1.0 - bet) / (1.0 - null))
    return float(mixture(log_e))


def _interval(
    counts: tuple[int, int, int], alpha_lower: float, alpha_upper: float
) -> tuple[float | None, float | None]:
    estimate = (counts[0] - counts[1]) / sum(counts)
    low_at, high_at = -math.log(alpha_lower), -math.log(alpha_upper)
    edge = 1.0 - 1e-9
    return (
        bisect(lambda mean: mean_log_e(counts, mean, +1) >= low_at, estimate, -edge),
        bisect(lambda mean: mean_log_e(counts, mean, -1) >= high_at, estimate, edge),
    )
