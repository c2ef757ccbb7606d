"""Preference between two rankings from votes of units: wins against losses, ties reported."""

from __future__ import annotations

import math

from scipy.special import betainc, betaln

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.graded import graded_log_e
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisect, ends_alpha, line
from crossfade.judge.moments import GRAIN, PairedMoments
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
    if moments.total is not None and moments.squares is not None:
        return _graded(question, moments, -int(moments.total.sum()) / GRAIN, int(moments.squares.sum()) / GRAIN**2)
    wins, losses, ties = int(moments.minus.sum()), int(moments.plus.sum()), int(moments.zero.sum())
    votes = wins + losses
    alpha_lower, alpha_upper = ends_alpha(question)
    low_at, high_at = -math.log(alpha_lower), -math.log(alpha_upper)
    share = (wins / votes) if votes else 0.5
    near = min(max(share, 1e-6), 1.0 - 1e-6)
    lower = bisect(lambda p: share_log_e(wins, losses, p, +1) >= low_at, near, 1e-6) if votes else None
    upper = bisect(lambda p: share_log_e(wins, losses, p, -1) >= high_at, near, 1.0 - 1e-6) if votes else None
    return line(
        question,
        Numbers(
            units={question.baseline: votes + ties, question.arm: votes + ties},
            events={question.baseline: losses, question.arm: wins, "ties": ties},
            log_harm=share_log_e(wins, losses, 0.5, -1),
            log_safe=share_log_e(wins, losses, 0.5, +1),
            estimate=2.0 * share - 1.0 if votes else None,
            lower=None if lower is None else 2.0 * lower - 1.0,
            upper=None if upper is None else 2.0 * upper - 1.0,
            limit=0.0,
            assumptions=ASSUMPTIONS,
            refuse=_refused(question, votes, ties),
        ),
    )


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
    a, b = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    against = wins * math.log(share) + losses * math.log1p(-share)
    return float(betaln(a + wins, b + losses) - betaln(a, b)) - against


def share_log_e(wins: int, losses: int, share: float, sign: int) -> float:
    """Log e-value against "at most `share`" (sign +1) or "at least" (−1): the same prior, cut at the null."""
    a, b = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    if sign > 0:
        before, after = betainc(b, a, 1.0 - share), betainc(b + losses, a + wins, 1.0 - share)
    else:
        before, after = betainc(a, b, share), betainc(a + wins, b + losses, share)
    if after <= 0.0 or before <= 0.0:
        return -math.inf
    return two_sided_log_e(wins, losses, share) + math.log(after) - math.log(before)
