"""Preference between two rankings from votes of units: wins against losses, ties reported."""

from __future__ import annotations

import math

from scipy.special import betainc, betaln

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisect, ends_alpha, line
from crossfade.judge.moments import PairedMoments
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


def infer_preference(question: Question, moments: PairedMoments) -> Evidence:
    """Evidence on the preference for the challenger, `(wins − losses) / (wins + losses)`."""
    wins, losses, ties = int(moments.minus.sum()), int(moments.plus.sum()), int(moments.zero.sum())
    votes = wins + losses
    refuse = ""
    if votes < MINIMUM_VOTES:
        refuse = f"{question.metric.name} has {votes or 'no'} votes and {ties} ties, needs {MINIMUM_VOTES} votes"
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
            refuse=refuse,
        ),
    )


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
