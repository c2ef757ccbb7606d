"""The anytime-valid comparison of two averages over units, stratified over steps; means and ratios share it.

A stratum is one step: how many units each arm has, its value there and the variance of one unit's share of it. Many
lines are compared at once: their strata are laid end to end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_es, one_sided_radii
from crossfade.judge.infer.nothing import Alone, bounded, unproven
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, line
from crossfade.judge.moments import Floats, Ints

MINIMUM_UNITS = 100
"""Units the smaller arm needs: the method is asymptotic, so it does not speak before."""

LARGEST = 1e100
"""Averages and deviations beyond it are no measurement: their squares, and what is made of these, are no numbers."""

MINIMUM_SOME = 30
"""Units with a value other than 0 that both arms need together before safety is proven: what is missing in an arm is
taken to be made of values like these, of which too few say nothing."""

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
    unseen: Floats | None = None
    """Per line the variance that a unit of missing mean would bring, made of values like those that were seen."""
    most_unseen: Floats | None = None
    """Per line the most of it, where every unit had such a value."""
    some: Floats | None = None
    """Per line how many units have a value other than 0. All three are given, or none."""


class Contrast:
    """The difference B − slope·A of each line, combined over steps, with its variance.

    A step's variance is the larger of two: that of both arms pooled, because a small arm without a rare large value
    shows no variance, and that of each arm on its own, because a small arm with one shows more than its share.

    Safety is tested with what the null says is *missing* in an arm, too. Where events are rare, an arm that has met
    none shows no variance, and at the margin it would have some: by the observed variance alone, one event of a large
    champion and none of a small challenger prove the challenger safe.
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
        self._apart = apart * self.information
        self._share = total(part * (product / (n * n)))
        nothing = np.zeros(many)
        self._unseen = nothing if strata.unseen is None else strata.unseen
        self._most = nothing if strata.most_unseen is None else strata.most_unseen
        self._of_a = total(square * steep / n_a) * self.information
        self._of_b = total(square / n_b) * self.information

    @property
    def effective(self) -> Floats:
        """Units of one sample that would tell as much."""
        return 4.0 * self.information

    def log_e(self, offset: Floats, sign: Floats, alpha: Floats, *, safety: bool = False) -> Floats:
        """Log e-value against `B ≤ slope·A + offset` (sign +1) or `≥` (−1), with the variance under that null."""
        away = self.value_b - self.slope * self.value_a - offset
        square = self.spread**2
        if safety:
            missing = np.minimum(self._unseen * np.abs(away), self._most)
            square = np.maximum(square, self._apart + np.where(sign > 0.0, self._of_a, self._of_b) * missing)
        score = np.sqrt(square + self._share * away * away)
        with np.errstate(invalid="ignore", divide="ignore"):
            return one_sided_log_es(sign * away * np.sqrt(self.information) / score, self.effective, alpha)

    def reach(self, alpha: Floats, sign: Floats | None = None) -> Floats:
        """How far from the estimate the test stops rejecting; NaN while no distance would be rejected.

        With a sign it is the test of safety in that direction, which solves `away² · left = z² · variance(away)` where
        the variance is the largest of three, one of which grows with the distance.
        """
        z = one_sided_radii(self.effective, alpha) * np.sqrt(self.effective)
        left = self.information - z * z * self._share
        some = np.where(left > 0.0, left, 1.0)
        found = z * self.spread / np.sqrt(some)
        if sign is not None:
            of = np.where(sign > 0.0, self._of_a, self._of_b)
            growing = 0.5 * z * z * of * self._unseen
            with_it = (growing + np.sqrt(growing * growing + some * z * z * self._apart)) / some
            at_most = z * np.sqrt((self._apart + of * self._most) / some)
            found = np.maximum(found, np.minimum(with_it, at_most))
        return np.where(left > 0.0, found, np.nan)


def refusals(asked: Sequence[tuple[Question, Numbers]], minimum: int = MINIMUM_UNITS) -> list[str]:
    """Per line why there are too few units to speak; empty where there are enough."""
    return [few(question, numbers, minimum) for question, numbers in asked]


def compare(
    asked: Sequence[tuple[Question, Numbers]],
    refused: Sequence[str],
    strata: Strata,
    alone: Sequence[Alone | None] | None = None,
) -> list[Evidence]:
    """The lines that the strata give. Their lines are those of `asked` that nothing refuses, in that order.

    `alone` has one for each of these: what is known of the challenger's units by themselves, where values have a cap.
    """
    speaking = [place for place, words in enumerate(refused) if not words]
    bounds = alone if alone is not None else [None] * len(speaking)
    numbers = _numbers([asked[place] for place in speaking], strata, bounds) if speaking else []
    told = dict(zip(speaking, numbers, strict=True))
    return [
        line(question, told[place] if place in told else replace(numbers, refuse=refused[place]))
        for place, (question, numbers) in enumerate(asked)
    ]


def _numbers(asked: Sequence[tuple[Question, Numbers]], strata: Strata, alone: Sequence[Alone | None]) -> list[Numbers]:
    slope_harm, offset_harm = np.array([question.boundary(True) for question, _ in asked]).T
    slope_safe, offset_safe = np.array([question.boundary(False) for question, _ in asked]).T
    sign = np.array([float(question.harm_sign) for question, _ in asked])
    alpha_harm = np.array([question.alpha_harm for question, _ in asked])
    # Two proofs of safety are tried where values have a cap, each at half of the error.
    halves = np.array([0.5 if one is not None else 1.0 for one in alone])
    alpha_safe = np.array([question.alpha_safe for question, _ in asked]) * halves
    shown = Contrast(strata, slope_safe)
    harm = shown if (slope_harm == slope_safe).all() else Contrast(strata, slope_harm)
    # The interval is that of B − slope·A, moved by (slope − 1)·A: then it meets the limit exactly when the test does.
    some = np.full(len(asked), np.inf) if strata.some is None else strata.some
    columns = zip(
        asked,
        alone,
        some.tolist(),
        shown.spread.tolist(),
        shown.value_a.tolist(),
        shown.value_b.tolist(),
        harm.log_e(offset_harm, sign, alpha_harm).tolist(),
        shown.log_e(offset_safe, -sign, alpha_safe, safety=True).tolist(),
        shown.reach(alpha_harm).tolist(),
        shown.reach(alpha_safe, -sign).tolist(),
        strict=True,
    )
    found = []
    proofs = iter(
        bounded([(question, one) for (question, _), one in zip(asked, alone, strict=True) if one is not None])
    )
    for (question, numbers), one, many, spread, value_a, value_b, log_harm, log_safe, harmful, safe in columns:
        refuse, proof = _meaningless(question, spread, value_a, value_b, one), None if one is None else next(proofs)
        if refuse:
            found.append(replace(numbers, refuse=refuse))
            continue
        estimate, scarce = value_b - value_a, many < MINIMUM_SOME
        safe = math.nan if scarce else safe
        below, above = (harmful, safe) if question.harm_sign > 0 else (safe, harmful)
        told = replace(
            numbers,
            log_harm=log_harm,
            log_safe=None if scarce else log_safe,
            reason=_scarce(question, many) if scarce and one is None else numbers.reason,
            estimate=estimate,
            lower=None if below != below else estimate - below,
            upper=None if above != above else estimate + above,
            limit=question.limit_as_difference(value_a),
            values={question.baseline: value_a, question.arm: value_b},
        )
        found.append(told if proof is None else proof.joined(told, nothing=spread == 0.0))
    return found


def _scarce(question: Question, some: float) -> str:
    """Why nothing is proven safe yet."""
    has = "1 unit has" if some < 1.5 else f"{some:.0f} units have"
    todo = ", or a cap" if question.harm_sign > 0 and question.role == "guardrail" and not question.relative else ""
    return (
        f"{has} {question.metric.name} other than 0, and safety takes {MINIMUM_SOME} such units{todo}, as fewer do not "
        "tell how large a rare one may be"
    )


def immense(*numbers: float) -> bool:
    """Whether some are beyond LARGEST, or what comes of such: no number at all."""
    return not all(abs(one) <= LARGEST for one in numbers)


def _meaningless(question: Question, spread: float, value_a: float, value_b: float, alone: Alone | None) -> str:
    name = question.metric.name
    if immense(spread, value_a, value_b):
        return f"{name} {IMMENSE}"
    if spread == 0.0 and value_a == value_b == 0.0:
        return unproven(question) if alone is None else alone.silent
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
