"""The anytime-valid comparison of two averages over units, stratified over steps; means and ratios share it.

A stratum is one step: how many units each arm has, its value there and the variance of one unit's share of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_e, radius
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import Floats

MINIMUM_UNITS = 100
"""Units the smaller arm needs: the method is asymptotic, so it does not speak before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """Both arms, step by step; only steps in which both have units."""

    n_a: Floats
    n_b: Floats
    value_a: Floats
    value_b: Floats
    within_a: Floats
    """Sum of squares of the units' deviations, in the units of `value_a`."""
    within_b: Floats
    weight: Floats
    """How much a step counts; the same for both arms, and blind to their difference."""


class Contrast:
    """The difference B − slope·A, combined over steps, with its variance.

    A step's variance is the larger of two: that of both arms pooled, because a small arm without a rare large value
    shows no variance, and that of each arm on its own, because a small arm with one shows more than its share.
    """

    def __init__(self, strata: Strata, slope: float) -> None:
        n_a, n_b = strata.n_a, strata.n_b
        n, product = n_a + n_b, n_a * n_b
        part = strata.weight / strata.weight.sum()
        square = part * part
        self.slope = slope
        self.value_a = float(part @ strata.value_a)
        self.value_b = float(part @ strata.value_b)
        # Of one sample's worth of units, 4 n_a n_b / n where steps are weighted by their counts alone.
        self.information = 1.0 / float(square @ (n / product))
        pooled = (strata.within_a + strata.within_b) / np.maximum(n - 2.0, 1.0)
        together = float(square @ (pooled * (n_a + slope * slope * n_b) / product))
        own_a = strata.within_a / (np.maximum(n_a - 1.0, 1.0) * n_a)
        own_b = strata.within_b / (np.maximum(n_b - 1.0, 1.0) * n_b)
        apart = float(square @ (own_b + slope * slope * own_a))
        self.spread = math.sqrt(max(together, apart) * self.information)
        self._share = float(part @ (product / (n * n)))

    @property
    def effective(self) -> float:
        """Units of one sample that would tell as much."""
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


def compare(
    question: Question, strata: Callable[[], Strata | str], numbers: Numbers, *, minimum: int = MINIMUM_UNITS
) -> Evidence:
    """The line that the strata give; `strata` is asked once there are units enough, and may refuse in words."""
    refuse = few(question, numbers, minimum)
    if refuse:
        return line(question, replace(numbers, refuse=refuse))
    found = strata()
    if isinstance(found, str):
        return line(question, replace(numbers, refuse=found))
    slope_harm, offset_harm = question.boundary(True)
    slope_safe, offset_safe = question.boundary(False)
    shown = Contrast(found, slope_safe)
    harm = Contrast(found, slope_harm) if slope_harm != slope_safe else shown
    refuse = _meaningless(question, shown)
    if refuse:
        return line(question, replace(numbers, refuse=refuse))
    alpha_lower, alpha_upper = ends_alpha(question)
    below, above = shown.reach(alpha_lower), shown.reach(alpha_upper)
    estimate = shown.value_b - shown.value_a
    sign = question.harm_sign
    # The interval is that of B − slope·A, moved by (slope − 1)·A: then it meets the limit exactly when the test does.
    return line(
        question,
        replace(
            numbers,
            log_harm=harm.log_e(offset_harm, sign, question.alpha_harm),
            log_safe=shown.log_e(offset_safe, -sign, question.alpha_safe),
            estimate=estimate,
            lower=None if below is None else estimate - below,
            upper=None if above is None else estimate + above,
            limit=question.limit_as_difference(shown.value_a),
            values={question.baseline: shown.value_a, question.arm: shown.value_b},
        ),
    )


def _meaningless(question: Question, shown: Contrast) -> str:
    name = question.metric.name
    if shown.spread == 0.0:
        return f"{name} has the same value for every unit, so nothing says how it varies"
    if question.relative and shown.value_a <= 0.0:
        # Below zero a share of the value points the other way: an equal challenger would be called worse.
        of = f"{question.baseline}'s {name}"
        return f"{name} has no scale for a margin of a share while {of} is not above zero"
    return ""


def few(question: Question, numbers: Numbers, minimum: int) -> str:
    """Why there are too few units to speak; empty where there are enough."""
    arm, fewest = min(numbers.units.items(), key=lambda item: item[1])
    if fewest >= minimum:
        return ""
    waiting = f"; {numbers.immature} more wait for their window to close" if numbers.immature else ""
    count = "no unit" if fewest == 0 else f"{fewest} units"
    return f"{question.metric.name} has {count} from {arm}, needs {minimum}{waiting}"
