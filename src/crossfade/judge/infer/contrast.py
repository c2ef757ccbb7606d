"""The anytime-valid comparison of two averages over units, stratified over steps; means and ratios share it.

A stratum is one step: how many units each arm has, its value there and the variance of one unit's share of it. Many
lines are compared at once: their strata are laid end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_es, one_sided_radii
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import Floats, Ints

MINIMUM_UNITS = 100
"""Units the smaller arm needs: the method is asymptotic, so it does not speak before."""

LARGEST = 1e100
"""Averages and deviations beyond it are no measurement: their squares, and what is made of these, are no numbers."""

IMMENSE = f"has values beyond {LARGEST:g}, of which nobody can say how they vary; they have to be corrected"
"""Why such are not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """Both arms of some lines, step by step; only steps in which both have units, and each line has one."""

    line: Ints
    """Which line a stratum belongs to; those of one line are side by side."""
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
    """The difference B − slope·A of each line, combined over steps, with its variance.

    A step's variance is the larger of two: that of both arms pooled, because a small arm without a rare large value
    shows no variance, and that of each arm on its own, because a small arm with one shows more than its share.
    """

    def __init__(self, strata: Strata, slope: Floats) -> None:
        many, line_ = len(slope), strata.line
        n_a, n_b = strata.n_a, strata.n_b
        n, product = n_a + n_b, n_a * n_b

        def total(terms: Floats) -> Floats:
            return np.bincount(line_, weights=terms, minlength=many).astype(np.float64)

        part = strata.weight / total(strata.weight)[line_]
        square = part * part
        self.slope = slope
        steep = (slope * slope)[line_]
        self.value_a = total(part * strata.value_a)
        self.value_b = total(part * strata.value_b)
        # Of one sample's worth of units, 4 n_a n_b / n where steps are weighted by their counts alone.
        self.information = 1.0 / total(square * (n / product))
        pooled = (strata.within_a + strata.within_b) / np.maximum(n - 2.0, 1.0)
        together = total(square * (pooled * (n_a + steep * n_b) / product))
        own_a = strata.within_a / (np.maximum(n_a - 1.0, 1.0) * n_a)
        own_b = strata.within_b / (np.maximum(n_b - 1.0, 1.0) * n_b)
        apart = total(square * (own_b + steep * own_a))
        self.spread = np.sqrt(np.maximum(together, apart) * self.information)
        self._share = total(part * (product / (n * n)))

    @property
    def effective(self) -> Floats:
        """Units of one sample that would tell as much."""
        return 4.0 * self.information

    def log_e(self, offset: Floats, sign: Floats, alpha: Floats) -> Floats:
        """Log e-value against `B ≤ slope·A + offset` (sign +1) or `≥` (−1), with the variance under that null."""
        away = self.value_b - self.slope * self.value_a - offset
        score = np.sqrt(self.spread**2 + self._share * away * away)
        with np.errstate(invalid="ignore", divide="ignore"):
            return one_sided_log_es(sign * away * np.sqrt(self.information) / score, self.effective, alpha)

    def reach(self, alpha: Floats) -> Floats:
        """How far from the estimate the test stops rejecting; NaN while no distance would be rejected."""
        z = one_sided_radii(self.effective, alpha) * np.sqrt(self.effective)
        left = self.information - z * z * self._share
        return np.where(left > 0.0, z * self.spread / np.sqrt(np.where(left > 0.0, left, 1.0)), np.nan)


def refusals(asked: Sequence[tuple[Question, Numbers]], minimum: int = MINIMUM_UNITS) -> list[str]:
    """Per line why there are too few units to speak; empty where there are enough."""
    return [few(question, numbers, minimum) for question, numbers in asked]


def compare(asked: Sequence[tuple[Question, Numbers]], refused: Sequence[str], strata: Strata) -> list[Evidence]:
    """The lines that the strata give. Their lines are those of `asked` that nothing refuses, in that order."""
    speaking = [place for place, words in enumerate(refused) if not words]
    told = dict(zip(speaking, _numbers([asked[place] for place in speaking], strata), strict=True)) if speaking else {}
    return [
        line(question, told[place] if place in told else replace(numbers, refuse=refused[place]))
        for place, (question, numbers) in enumerate(asked)
    ]


def _numbers(asked: Sequence[tuple[Question, Numbers]], strata: Strata) -> list[Numbers]:
    slope_harm, offset_harm = np.array([question.boundary(True) for question, _ in asked]).T
    slope_safe, offset_safe = np.array([question.boundary(False) for question, _ in asked]).T
    sign = np.array([float(question.harm_sign) for question, _ in asked])
    alpha_harm = np.array([question.alpha_harm for question, _ in asked])
    alpha_safe = np.array([question.alpha_safe for question, _ in asked])
    alpha_lower, alpha_upper = np.array([ends_alpha(question) for question, _ in asked]).T
    shown = Contrast(strata, slope_safe)
    harm = shown if (slope_harm == slope_safe).all() else Contrast(strata, slope_harm)
    # The interval is that of B − slope·A, moved by (slope − 1)·A: then it meets the limit exactly when the test does.
    columns = zip(
        asked,
        shown.spread.tolist(),
        shown.value_a.tolist(),
        shown.value_b.tolist(),
        harm.log_e(offset_harm, sign, alpha_harm).tolist(),
        shown.log_e(offset_safe, -sign, alpha_safe).tolist(),
        shown.reach(alpha_lower).tolist(),
        shown.reach(alpha_upper).tolist(),
        strict=True,
    )
    found = []
    for (question, numbers), spread, value_a, value_b, log_harm, log_safe, below, above in columns:
        refuse = _meaningless(question, spread, value_a, value_b)
        if refuse:
            found.append(replace(numbers, refuse=refuse))
            continue
        estimate = value_b - value_a
        found.append(
            Numbers(
                units=numbers.units,
                immature=numbers.immature,
                assumptions=numbers.assumptions,
                reason=numbers.reason,
                log_harm=log_harm,
                log_safe=log_safe,
                estimate=estimate,
                lower=None if below != below else estimate - below,
                upper=None if above != above else estimate + above,
                limit=question.limit_as_difference(value_a),
                values={question.baseline: value_a, question.arm: value_b},
            )
        )
    return found


def immense(*numbers: float) -> bool:
    """Whether some are beyond LARGEST, or what comes of such: no number at all."""
    return not all(abs(one) <= LARGEST for one in numbers)


def _meaningless(question: Question, spread: float, value_a: float, value_b: float) -> str:
    name = question.metric.name
    if immense(spread, value_a, value_b):
        return f"{name} {IMMENSE}"
    if spread == 0.0:
        return f"{name} has the same value for every unit, so nothing says how it varies"
    if question.relative and value_a <= 0.0:
        # Below zero a share of the value points the other way: an equal challenger would be called worse.
        return no_scale(question)
    return ""


def no_scale(question: Question) -> str:
    """Why a relative margin cannot be asked about."""
    name = question.metric.name
    return f"{name} has no scale for a margin of a share while {question.baseline}'s {name} is not above zero"


def few(question: Question, numbers: Numbers, minimum: int) -> str:
    """Why there are too few units to speak; empty where there are enough."""
    arm, fewest = min(numbers.units.items(), key=lambda item: item[1])
    if fewest >= minimum:
        return ""
    waiting = f"; {numbers.immature} more wait for their window to close" if numbers.immature else ""
    count = "no unit" if fewest == 0 else f"{fewest} units"
    return f"{question.metric.name} has {count} from {arm}, needs {minimum}{waiting}"
