"""Ratios: one total per arm over another (clicks per impression), with the delta method's variance over units."""

from __future__ import annotations

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.contrast import Strata, compare
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers
from crossfade.judge.moments import Floats, RatioMoments

ASSUMPTIONS = (
    "asymptotic confidence sequence over units, by the delta method: units independent, variances finite",
    "difference within each step, steps weighted by their units and denominators",
    "a challenger that changes the denominator changes the ratio, too: read both",
)


def infer_ratio(question: Question, moments: RatioMoments) -> Evidence:
    """Evidence on the difference of two ratios of totals."""
    numbers = Numbers(
        units={question.baseline: int(moments.n_a.sum()), question.arm: int(moments.n_b.sum())},
        immature=moments.immature,
        assumptions=ASSUMPTIONS,
    )
    return compare(question, lambda: _strata(question, moments), numbers)


def _strata(question: Question, moments: RatioMoments) -> Strata | str:
    name = question.metric.name
    if (moments.squares_x_a < 0.0).any() or (moments.squares_x_b < 0.0).any():
        return f"{name} has sums of squares below zero, so its moments are broken"
    # A step weighs by its denominators, so one in which an arm has none counts for nothing.
    use = (moments.n_a > 0) & (moments.n_b > 0) & (moments.sum_x_a > 0.0) & (moments.sum_x_b > 0.0)
    if not use.any():
        arm = question.baseline if moments.sum_x_a.sum() <= 0.0 else question.arm
        return f"{name} has a denominator of zero: nothing of it was seen from {arm}"
    n_a, n_b = moments.n_a[use].astype(np.float64), moments.n_b[use].astype(np.float64)
    x_a, x_b = moments.sum_x_a[use], moments.sum_x_b[use]
    value_a, value_b = moments.sum_y_a[use] / x_a, moments.sum_y_b[use] / x_b
    return Strata(
        n_a=n_a,
        n_b=n_b,
        value_a=value_a,
        value_b=value_b,
        within_a=_within(
            n_a, value_a, x_a, moments.squares_y_a[use], moments.squares_x_a[use], moments.products_xy_a[use]
        ),
        within_b=_within(
            n_b, value_b, x_b, moments.squares_y_b[use], moments.squares_x_b[use], moments.products_xy_b[use]
        ),
        # In one line of algebra the weighted difference is a sum of y_b·X_a − y_a·X_b: no ratio of a few units enters.
        weight=x_a * x_b / (n_a + n_b),
    )


def _within(n: Floats, value: Floats, x: Floats, yy: Floats, xx: Floats, xy: Floats) -> Floats:
    """Sum of squares of `(y − value·x) / mean x`, which sums to zero over the arm's units."""
    mean_x = x / n
    return np.maximum(yy - 2.0 * value * xy + value * value * xx, 0.0) / (mean_x * mean_x)
