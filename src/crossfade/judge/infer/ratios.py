"""Ratios: one total per arm over another (clicks per impression), with the delta method's variance over units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.contrast import IMMENSE, MINIMUM_UNITS, Strata, compare, immense, refusals
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
    return infer_ratios([(question, moments)])[0]


def infer_ratios(asked: Sequence[tuple[Question, RatioMoments]]) -> list[Evidence]:
    """Evidence of many lines, in their order; together they take a small part of the time that each alone takes."""
    numbered = [
        (
            question,
            Numbers(
                units={question.baseline: int(moments.n_a.sum()), question.arm: int(moments.n_b.sum())},
                immature=moments.immature,
                assumptions=ASSUMPTIONS,
            ),
        )
        for question, moments in asked
    ]
    refused = [
        words or _broken(question, moments)
        for words, (question, moments) in zip(refusals(numbered), asked, strict=True)
    ]
    return compare(numbered, refused, _strata([m for (_, m), words in zip(asked, refused, strict=True) if not words]))


def _broken(question: Question, moments: RatioMoments) -> str:
    name = question.metric.name
    if (moments.squares_x_a < 0.0).any() or (moments.squares_x_b < 0.0).any():
        return f"{name} has sums of squares below zero, so its moments are broken"
    if not _used(moments).any():
        arm = question.baseline if moments.sum_x_a.sum() <= 0.0 else question.arm
        return f"{name} has a denominator of zero: nothing of it was seen from {arm}"
    for arm, x, squares in (
        (question.baseline, moments.sum_x_a, moments.squares_x_a),
        (question.arm, moments.sum_x_b, moments.squares_x_b),
    ):
        # As many units with equal denominators would vary as much: where few units have any, those few are what there
        # is to say how the ratio varies.
        told = float(x.sum())
        like = told * told / max(float(squares.sum()), np.finfo(np.float64).tiny)
        if immense(like):
            return f"{name} {IMMENSE}"
        if like < MINIMUM_UNITS:
            return f"{name} has the denominators of about {like:.0f} units from {arm}, needs {MINIMUM_UNITS}"
    return ""


def _used(moments: RatioMoments) -> np.ndarray:
    """A step weighs by its denominators, so one in which an arm has none counts for nothing."""
    return np.asarray((moments.n_a > 0) & (moments.n_b > 0) & (moments.sum_x_a > 0.0) & (moments.sum_x_b > 0.0))


def _strata(speaking: Sequence[RatioMoments]) -> Strata:
    line = np.repeat(np.arange(len(speaking)), [len(moments.n_a) for moments in speaking])
    use = np.concatenate([_used(moments) for moments in speaking]) if speaking else np.zeros(0, dtype=bool)

    def column(name: str) -> Floats:
        columns = [getattr(moments, name) for moments in speaking]
        return np.concatenate(columns).astype(np.float64)[use] if columns else np.zeros(0)

    n_a, n_b = column("n_a"), column("n_b")
    x_a, x_b = column("sum_x_a"), column("sum_x_b")
    value_a, value_b = column("sum_y_a") / x_a, column("sum_y_b") / x_b
    return Strata(
        line=line[use],
        n_a=n_a,
        n_b=n_b,
        value_a=value_a,
        value_b=value_b,
        within_a=_within(n_a, value_a, x_a, column("squares_y_a"), column("squares_x_a"), column("products_xy_a")),
        within_b=_within(n_b, value_b, x_b, column("squares_y_b"), column("squares_x_b"), column("products_xy_b")),
        # In one line of algebra the weighted difference is a sum of y_b·X_a − y_a·X_b: no ratio of a few units enters.
        weight=x_a * x_b / (n_a + n_b),
    )


def _within(n: Floats, value: Floats, x: Floats, yy: Floats, xx: Floats, xy: Floats) -> Floats:
    """Sum of squares of `(y − value·x) / mean x`, which sums to zero over the arm's units."""
    mean_x = x / n
    return np.maximum(yy - 2.0 * value * xy + value * value * xx, 0.0) / (mean_x * mean_x)
