"""Signed differences of pairs: is their mean at most a limit? A mixture of bets on −1, 0 and +1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.labels import DELTAS, mixture
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisected, line
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
    return infer_paireds([(question, moments)])[0]


def infer_paireds(asked: Sequence[tuple[Question, PairedMoments]]) -> list[Evidence]:
    """Evidence of many lines, in their order; together they take a small part of the time that each alone takes."""
    if not asked:
        return []
    counted = [[int(counts.sum()) for counts in (one.plus, one.minus, one.zero)] for _, one in asked]
    counts = np.array(counted, dtype=np.float64)
    limit = np.array([question.limit.value if question.limit is not None else 0.0 for question, _ in asked])
    limit_safe = np.where([question.role == "goal" for question, _ in asked], 0.0, limit)
    harm, safe = mean_log_es(counts, limit, +1).tolist(), mean_log_es(counts, limit_safe, -1).tolist()
    alphas = np.array([(question.alpha_harm, question.alpha_safe) for question, _ in asked])
    ends = _intervals(counts, alphas)
    lines = []
    for place, (question, moments) in enumerate(asked):
        plus, minus, zero = counted[place]
        pairs, at = plus + minus + zero, float(limit_safe[place])
        log_safe = _discordant_log_e(plus, minus, 1.0 + at) if question.relative else safe[place]
        few = f"{question.metric.name} has {pairs or 'no'} pairs, needs {MINIMUM_PAIRS}"
        lower, upper = ends[place] if pairs else (None, None)
        lines.append(
            line(
                question,
                Numbers(
                    units={question.baseline: pairs, question.arm: pairs},
                    log_harm=harm[place],
                    log_safe=log_safe,
                    estimate=(plus - minus) / pairs if pairs else None,
                    lower=lower,
                    upper=upper,
                    limit=None if question.relative and question.role != "goal" else at,
                    events={question.baseline: minus, question.arm: plus},
                    assumptions=(*ASSUMPTIONS, RELATIVE) if question.relative else ASSUMPTIONS,
                    refuse=few if pairs < MINIMUM_PAIRS else "",
                    reason=moments.remark,
                ),
            )
        )
    return lines


def mean_log_e(counts: tuple[int, int, int], mean: float, sign: int) -> float:
    """Log e-value against "mean ≤ `mean`" (sign +1) or "mean ≥ `mean`" (−1) from counts of +1, −1 and 0."""
    return float(mean_log_es(np.array([counts], dtype=np.float64), np.array([mean]), sign)[0])


def mean_log_es(counts: Floats, mean: Floats, sign: int) -> Floats:
    """`mean_log_e` of many: `counts` has a row each."""
    sure = np.abs(mean) >= 1.0
    m = np.where(sure, 0.0, mean)[:, None]
    bet = sign * PORTIONS / (1.0 + sign * m)
    plus, minus, zero = counts.T[:, :, None]
    log_e = plus * np.log1p(bet * (1.0 - m)) + minus * np.log1p(-bet * (1.0 + m)) + zero * np.log1p(-bet * m)
    return np.where(sure, 0.0, mixture(log_e, WEIGHTS))


def _discordant_log_e(plus: int, minus: int, ratio: float) -> float:
    """Log e-value against "+1 is at least `ratio` times as likely as −1", on pairs in which one arm has the event."""
    null = ratio / (1.0 + ratio)
    bet = expit(logit(null) - DELTAS)
    log_e = plus * np.log(bet / null) + minus * np.log((1.0 - bet) / (1.0 - null))
    return float(mixture(log_e))


def _intervals(counts: Floats, alphas: Floats) -> list[tuple[float | None, float | None]]:
    estimate = (counts[:, 0] - counts[:, 1]) / np.maximum(counts.sum(axis=1), 1.0)
    low_at, high_at = -np.log(alphas.T)
    edge = np.full(len(estimate), 1.0 - 1e-9)
    lower = bisected(lambda mean: mean_log_es(counts, mean, +1) >= low_at, estimate, -edge)
    upper = bisected(lambda mean: mean_log_es(counts, mean, -1) >= high_at, estimate, edge)
    return list(zip(lower, upper, strict=True))
