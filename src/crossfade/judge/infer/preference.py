"""Preference between two rankings from votes of units: wins against losses, ties reported."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import betainc, betaln

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.graded import graded_log_e
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisect, bisected, ends_alpha, line
from crossfade.judge.moments import GRAIN, Floats, PairedMoments
from crossfade.spec.model import Better, Kind, Metric, Source

PREFERENCE = Metric(name="preference", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, goal=True)
"""The metric of an interleaving stage: it has no entry in the spec."""

CONCENTRATION = 100.0
"""Strength of the prior around the null; methods tuned to preferences of a few per cent to a few tens."""

MINIMUM_VOTES = 10
"""Votes for either side needed before anything but proven harm is said."""

ASSUMPTIONS = (
    "one vote a unit: the sign of its credit; units without a preference are ties and do not count",
    "preference is (wins − losses) / (wins + losses), from −1 to 1",
)


GRADED = (
    "one vote a unit: the credit of its list for all that it engaged with, over the most that it could have been, from "
    "−1 to 1; a bounded test of its mean, exact at every look; units without a preference are ties and do not count",
    "preference is the mean vote",
)


def infer_preference(question: Question, moments: PairedMoments) -> Evidence:
    """Evidence on the preference for the challenger: `(wins − losses) / (wins + losses)`, or graded votes' mean."""
    return infer_preferences([(question, moments)])[0]


def infer_preferences(asked: Sequence[tuple[Question, PairedMoments]]) -> list[Evidence]:
    """Evidence of many lines, in their order; whole votes together take a small part of the time of each alone."""
    found: dict[int, Evidence] = {}
    whole: list[int] = []
    for place, (question, one) in enumerate(asked):
        if one.total is None or one.squares is None:
            whole.append(place)
        else:
            found[place] = _graded(question, one, -int(one.total.sum()) / GRAIN, int(one.squares.sum()) / GRAIN**2)
    found |= zip(whole, _whole([asked[place] for place in whole]), strict=True)
    return [found[place] for place in range(len(asked))]


def _whole(asked: Sequence[tuple[Question, PairedMoments]]) -> list[Evidence]:
    if not asked:
        return []
    counted = [[int(counts.sum()) for counts in (one.minus, one.plus, one.zero)] for _, one in asked]
    wins, losses, _ = np.array(counted, dtype=np.float64).T
    low_at, high_at = -np.log(np.array([ends_alpha(question) for question, _ in asked]).T)
    shares = np.where(wins + losses > 0.0, wins / np.maximum(wins + losses, 1.0), 0.5)
    half, edge = np.full(len(shares), 0.5), np.full(len(shares), 1e-6)
    near = np.clip(shares, 1e-6, 1.0 - 1e-6)
    lower = bisected(lambda p: share_log_es(wins, losses, p, +1) >= low_at, near, edge)
    upper = bisected(lambda p: share_log_es(wins, losses, p, -1) >= high_at, near, 1.0 - edge)
    harm, safe = (share_log_es(wins, losses, half, sign).tolist() for sign in (-1, +1))
    lines = []
    for place, (question, _) in enumerate(asked):
        won, lost, ties = counted[place]
        votes, low, high = won + lost, lower[place], upper[place]
        lines.append(
            line(
                question,
                Numbers(
                    units={question.baseline: votes + ties, question.arm: votes + ties},
                    events={question.baseline: lost, question.arm: won, "ties": ties},
                    log_harm=harm[place],
                    log_safe=safe[place],
                    estimate=2.0 * float(shares[place]) - 1.0 if votes else None,
                    lower=None if low is None or not votes else 2.0 * low - 1.0,
                    upper=None if high is None or not votes else 2.0 * high - 1.0,
                    limit=0.0,
                    assumptions=ASSUMPTIONS,
                    refuse=_refused(question, votes, ties),
                ),
            )
        )
    return lines


def _graded(question: Question, moments: PairedMoments, total: float, squares: float) -> Evidence:
    wins, losses, ties = int(moments.minus.sum()), int(moments.plus.sum()), int(moments.zero.sum())
    votes = wins + losses
    low_at, high_at = (-math.log(alpha) for alpha in ends_alpha(question))
    mean = total / votes if votes else 0.0
    near = min(max(mean, -_EDGE), _EDGE)

    def log_e(limit: float, sign: int) -> float:
        return graded_log_e(votes, total, squares, limit, sign)

    return line(
        question,
        Numbers(
            units={question.baseline: votes + ties, question.arm: votes + ties},
            events={question.baseline: losses, question.arm: wins, "ties": ties},
            log_harm=log_e(0.0, -1),
            log_safe=log_e(0.0, +1),
            estimate=mean if votes else None,
            lower=bisect(lambda limit: log_e(limit, +1) >= low_at, near, -_EDGE) if votes else None,
            upper=bisect(lambda limit: log_e(limit, -1) >= high_at, near, _EDGE) if votes else None,
            limit=0.0,
            assumptions=GRADED,
            refuse=_refused(question, votes, ties),
        ),
    )


_EDGE = 1.0 - 1e-6


def _refused(question: Question, votes: int, ties: int) -> str:
    if votes >= MINIMUM_VOTES:
        return ""
    return f"{question.metric.name} has {votes or 'no'} votes and {ties} ties, needs {MINIMUM_VOTES} votes"


def two_sided_log_e(wins: int, losses: int, share: float = 0.5) -> float:
    """Log e-value against "a vote is a win with probability `share`", Dirichlet-multinomial around it."""
    return float(_two_sided(np.array(float(wins)), np.array(float(losses)), np.array(share)))


def share_log_e(wins: int, losses: int, share: float, sign: int) -> float:
    """Log e-value against "at most `share`" (sign +1) or "at least" (−1): the same prior, cut at the null."""
    return float(share_log_es(np.array([float(wins)]), np.array([float(losses)]), np.array([share]), sign)[0])


def share_log_es(wins: Floats, losses: Floats, share: Floats, sign: int) -> Floats:
    """`share_log_e` of many."""
    a, b = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    if sign > 0:
        before, after = betainc(b, a, 1.0 - share), betainc(b + losses, a + wins, 1.0 - share)
    else:
        before, after = betainc(a, b, share), betainc(a + wins, b + losses, share)
    with np.errstate(divide="ignore"):
        cut = _two_sided(wins, losses, share) + np.log(after) - np.log(before)
    return np.where((after <= 0.0) | (before <= 0.0), -np.inf, cut)


def _two_sided(wins: Floats, losses: Floats, share: Floats) -> Floats:
    a, b = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    against = wins * np.log(share) + losses * np.log1p(-share)
    return np.asarray(betaln(a + wins, b + losses) - betaln(a, b) - against)
