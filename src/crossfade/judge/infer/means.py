"""Means: the asymptotic confidence sequence on units, with the score variance, stratified over steps."""

from __future__ import annotations

import math

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_e, radius
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import MeanMoments

MINIMUM_UNITS = 100
"""Units the smaller arm needs: the method is asymptotic, so it does not speak before."""

ASSUMPTIONS = (
    "asymptotic confidence sequence over units: units independent, variance finite",
    "difference within each step, steps weighted by their units",
)


def infer_mean(question: Question, moments: MeanMoments) -> Evidence:
    """Evidence on the difference of two means."""
    units = {question.baseline: int(moments.n_a.sum()), question.arm: int(moments.n_b.sum())}
    refuse = _refusal(question, units, moments.immature)
    if refuse:
        return line(question, Numbers(units=units, refuse=refuse, immature=moments.immature, assumptions=ASSUMPTIONS))
    slope_harm, offset_harm = question.boundary(True)
    slope_safe, offset_safe = question.boundary(False)
    sign = question.harm_sign
    shown = _Contrast(moments, slope_safe)
    harm = _Contrast(moments, slope_harm)
    if shown.spread == 0.0:
        refuse = f"{question.metric.name} has the same value for every unit, so nothing says how it varies"
        return line(question, Numbers(units=units, refuse=refuse, immature=moments.immature, assumptions=ASSUMPTIONS))
    if question.relative and shown.value_a <= 0.0:
        # Below zero a share of the value points the other way: an equal challenger would be called worse.
        of = f"{question.baseline}'s {question.metric.name}"
        refuse = f"{question.metric.name} has no scale for a margin of a share while {of} is not above zero"
        return line(question, Numbers(units=units, refuse=refuse, immature=moments.immature, assumptions=ASSUMPTIONS))
    alpha_lower, alpha_upper = ends_alpha(question)
    values = {question.baseline: shown.value_a, question.arm: shown.value_b}
    below, above = shown.reach(alpha_lower), shown.reach(alpha_upper)
    # The interval is that of B − slope·A, moved by (slope − 1)·A: then it meets the limit exactly when the test does.
    return line(
        question,
        Numbers(
            units=units,
            log_harm=harm.log_e(offset_harm, sign, question.alpha_harm),
            log_safe=shown.log_e(offset_safe, -sign, question.alpha_safe),
            estimate=shown.value_b - shown.value_a,
            lower=None if below is None else shown.value_b - shown.value_a - below,
            upper=None if above is None else shown.value_b - shown.value_a + above,
            limit=question.limit_as_difference(shown.value_a),
            values=values,
            immature=moments.immature,
            assumptions=ASSUMPTIONS,
        ),
    )


class _Contrast:
    """The difference B − slope·A, combined over steps, with its score variance.

    Steps are weighted by n_a n_b / n, counts alone; the variance of a step pools both arms, for a small arm's own
    variance is what makes the textbook interval fail at unequal shares.
    """

    def __init__(self, moments: MeanMoments, slope: float) -> None:
        use = (moments.n_a > 0) & (moments.n_b > 0)
        n_a, n_b = moments.n_a[use].astype(np.float64), moments.n_b[use].astype(np.float64)
        mean_a, mean_b = moments.sum_a[use] / n_a, moments.sum_b[use] / n_b
        within = (moments.squares_a[use] - n_a * mean_a**2) + (moments.squares_b[use] - n_b * mean_b**2)
        n = n_a + n_b
        weight = n_a * n_b / n
        total = weight.sum()
        self.information = float(total)
        self.value_a = float((weight * mean_a).sum() / total)
        self.value_b = float((weight * mean_b).sum() / total)
        self.slope = slope
        # With both arms at one variance, var(B − slope·A) = variance·(1/n_b + slope²/n_a).
        inflated = (n_a + slope * slope * n_b) / n
        variance = np.maximum(within, 0.0) / np.maximum(n - 2.0, 1.0)
        self.spread = float(math.sqrt((weight * variance * inflated).sum() / total))
        self._share = float((weight * (n_a / n) * (n_b / n)).sum() / total)

    @property
    def effective(self) -> float:
        """Units of one sample that would tell as much: 4 n_a n_b / n."""
        return 4.0 * self.information

    def log_e(self, offset: float, sign: int, alpha: float) -> float:
        """Log e-value against `B ≤ slope·A + offset` (sign +1) or `≥` (−1), with the variance under that null."""
        away = self.value_b - self.slope * self.value_a - offset
        score = math.sqrt(self.spread**2 + self._share * away * away)
        return one_sided_log_e(sign * away * math.sqrt(self.information) / score, self.effective, alpha)

    def reach(self, alpha: float) -> float | None:
        """How far from the estimate the test stops rejecting; None while no distance would be rejected."""
        z = radius(self.effective, alpha, two_sided=False) * math.sqrt(self.effective)
        left = self.information - z * z * self._share
        return z * self.spread / math.sqrt(left) if left > 0.0 else None


def _refusal(question: Question, units: dict[str, int], immature: int) -> str:
    arm, fewest = min(units.items(), key=lambda item: item[1])
    if fewest >= MINIMUM_UNITS:
        return ""
    waiting = f"; {immature} more wait for their window to close" if immature else ""
    count = "no unit" if fewest == 0 else f"{fewest} units"
    return f"{question.metric.name} has {count} from {arm}, needs {MINIMUM_UNITS}{waiting}"
