"""Means: values summed per unit, plain or adjusted for a covariate that the arm cannot have affected (CUPED)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import nothing
from crossfade.judge.infer.contrast import MINIMUM_UNITS, Strata, compare, refusals
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers
from crossfade.judge.moments import Floats, MeanMoments
from crossfade.spec.model import Kind

__all__ = ["ASSUMPTIONS", "MINIMUM_UNITS", "infer_mean", "infer_means"]

ASSUMPTIONS = (
    "asymptotic confidence sequence over units: units independent, variance finite",
    "difference within each step, steps weighted by their units",
)

ADJUSTED = "adjusted for a covariate that the arm cannot have affected; its slope is estimated over both arms together"


def infer_mean(question: Question, moments: MeanMoments) -> Evidence:
    """Evidence on the difference of two means."""
    return infer_means([(question, moments)])[0]


def infer_means(asked: Sequence[tuple[Question, MeanMoments]]) -> list[Evidence]:
    """Evidence of many lines, in their order; together they take a small part of the time that each alone takes."""
    covariates = [_covariate(moments) for _, moments in asked]
    numbered = [
        (
            question,
            Numbers(
                units={question.baseline: int(moments.n_a.sum()), question.arm: int(moments.n_b.sum())},
                immature=moments.immature,
                assumptions=(*ASSUMPTIONS, *_further(question, covariate)),
                reason="" if covariate is None else covariate.told,
            ),
        )
        for (question, moments), covariate in zip(asked, covariates, strict=True)
    ]
    refused = refusals(numbered)
    speaking = [
        (moments, covariate)
        for (_, moments), covariate, words in zip(asked, covariates, refused, strict=True)
        if not words
    ]
    alone = [_alone(question, moments) for (question, moments), words in zip(asked, refused, strict=True) if not words]
    kinds = [question.metric.kind for (question, _), words in zip(asked, refused, strict=True) if not words]
    strata = _strata(speaking, kinds)
    return _with_widths(numbered, refused, speaking, kinds, compare(numbered, refused, strata, alone))


def _further(question: Question, covariate: _Covariate | None) -> tuple[str, ...]:
    cap = question.metric.cap
    of_cap = () if cap is None else (nothing.capped(cap),)
    both = (nothing.BOTH,) if nothing.alone_of(question, 0.0, 0.0, None, None) is not None else ()
    return (*of_cap, *both, *(() if covariate is None else (ADJUSTED,)))


def _alone(question: Question, moments: MeanMoments) -> nothing.Alone | None:
    """The challenger's units of the steps that are compared."""
    if question.metric.cap is None:
        return None
    use = (moments.n_a > 0) & (moments.n_b > 0)
    n, total = float(moments.n_b[use].sum()), float(moments.sum_b[use].sum())
    return nothing.alone_of(question, n, total, moments.reports_a, moments.reports_b)


def _with_widths(
    numbered: Sequence[tuple[Question, Numbers]],
    refused: Sequence[str],
    speaking: Sequence[tuple[MeanMoments, _Covariate | None]],
    kinds: Sequence[Kind],
    found: list[Evidence],
) -> list[Evidence]:
    """The lines, those that were adjusted with what they would say without: that is what a covariate is worth."""
    spoken = [place for place, words in enumerate(refused) if not words]
    mine = [at for at, (_, covariate) in enumerate(speaking) if covariate is not None and covariate.slope]
    if not mine:
        return found
    bare = _strata([(speaking[at][0], None) for at in mine], [kinds[at] for at in mine])
    plain = compare([numbered[spoken[at]] for at in mine], [""] * len(mine), bare)
    for at, line in zip(mine, plain, strict=True):
        place = spoken[at]
        if found[place].estimate is not None and line.estimate is not None:
            widths = {"estimate": line.estimate, "lower": line.lower, "upper": line.upper}
            found[place] = replace(found[place], unadjusted=widths)
    return found


def _strata(speaking: Sequence[tuple[MeanMoments, _Covariate | None]], kinds: Sequence[Kind]) -> Strata:
    line = np.repeat(np.arange(len(speaking)), [len(moments.n_a) for moments, _ in speaking])

    def column(name: str) -> Floats:
        columns = [getattr(moments, name) for moments, _ in speaking]
        return np.concatenate(columns).astype(np.float64) if columns else np.zeros(0)

    n_a, n_b = column("n_a"), column("n_b")
    use = (n_a > 0) & (n_b > 0)
    n_a, n_b, line = n_a[use], n_b[use], line[use]
    sum_a, sum_b = column("sum_a")[use], column("sum_b")[use]
    squares_a, squares_b = column("squares_a")[use], column("squares_b")[use]
    value_a, value_b = sum_a / n_a, sum_b / n_b
    within_a, within_b = squares_a - n_a * value_a**2, squares_b - n_b * value_b**2
    known = np.array([moments.some_a is not None and moments.some_b is not None for moments, _ in speaking], dtype=bool)
    counts = np.array([kind is Kind.COUNT for kind in kinds], dtype=bool)

    def total(terms: Floats) -> Floats:
        return np.bincount(line, weights=terms, minlength=len(speaking)).astype(np.float64)

    unseen = _unseen(
        total(n_a + n_b),
        total(sum_a + sum_b),
        total(squares_a + squares_b),
        total(_some(speaking)[use]),
        known,
        counts,
    )
    for place, (_, covariate) in enumerate(speaking):
        if covariate is not None:
            mine = line == place
            value_a[mine], within_a[mine] = covariate.adjusted(value_a[mine], within_a[mine], covariate.a)
            value_b[mine], within_b[mine] = covariate.adjusted(value_b[mine], within_b[mine], covariate.b)
    return Strata(
        line=line,
        n_a=n_a,
        n_b=n_b,
        value_a=value_a,
        value_b=value_b,
        within_a=np.maximum(within_a, 0.0),
        within_b=np.maximum(within_b, 0.0),
        weight=n_a * n_b / (n_a + n_b),
        unseen=unseen[0],
        most_unseen=unseen[1],
        some=unseen[2],
    )


def _some(speaking: Sequence[tuple[MeanMoments, _Covariate | None]]) -> Floats:
    """Units with a value, both arms together; 0 where nobody counted them."""
    found = [
        np.zeros(len(moments.n_a))
        if moments.some_a is None or moments.some_b is None
        else moments.some_a + moments.some_b
        for moments, _ in speaking
    ]
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def _unseen(
    n: Floats, total: Floats, squares: Floats, some: Floats, known: npt.NDArray[np.bool_], counts: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Per line what a unit of missing mean would bring of variance, the most of it, and how many units have a value.

    What is missing is made of values like those seen: where few units have one, more mean is more units with one, each
    of which brings its square. Where it is not `known` how many have one, the values of `counts` vary as their mean
    does, and as many have one as would if all were alike; of other values nothing is known.
    """
    total = np.abs(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(total > 0.0, squares / total, 0.0)
        by_some = np.where(some > 0.0, np.maximum(1.0 - some / n, 0.0) * squares / some, 0.0)
        alike = np.where(squares > 0.0, total * total / squares, 0.0)
        spread = np.maximum(each - total / n, 0.0)
    guessed = counts & (total > 0.0)
    return (
        np.where(known, each, np.where(guessed, spread, 0.0)),
        np.where(known, by_some, np.where(guessed, np.inf, 0.0)),
        np.where(known, some, np.where(guessed, alike, np.inf)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One arm's covariate, step by step: mean, and the sums of squares and products of deviations within the arm."""

    mean: Floats
    squares: Floats
    products: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covariate:
    """The covariate of both arms and the slope of the value on it."""

    a: _Side
    b: _Side
    centre: Floats
    """Mean over both arms, per step."""
    slope: float
    told: str

    def adjusted(self, value: Floats, within: Floats, side: _Side) -> tuple[Floats, Floats]:
        """An arm's value and sum of squares with what the covariate explains taken away."""
        left = within - 2.0 * self.slope * side.products + self.slope * self.slope * side.squares
        return value - self.slope * (side.mean - self.centre), left


def _covariate(moments: MeanMoments) -> _Covariate | None:
    if (
        moments.cov_sum_a is None
        or moments.cov_squares_a is None
        or moments.cov_products_a is None
        or moments.cov_sum_b is None
        or moments.cov_squares_b is None
        or moments.cov_products_b is None
    ):
        return None
    use = (moments.n_a > 0) & (moments.n_b > 0)
    n_a, n_b = moments.n_a[use].astype(np.float64), moments.n_b[use].astype(np.float64)
    sum_a, sum_b = moments.sum_a[use], moments.sum_b[use]
    x_a, x_b = moments.cov_sum_a[use], moments.cov_sum_b[use]
    xx_a, xx_b = moments.cov_squares_a[use], moments.cov_squares_b[use]
    xy_a, xy_b = moments.cov_products_a[use], moments.cov_products_b[use]
    n, x = n_a + n_b, x_a + x_b
    # Deviations from the mean of both arms: the slope must not be able to choose an arm.
    squares = float((xx_a + xx_b - x * x / n).sum())
    products = float((xy_a + xy_b - x * (sum_a + sum_b) / n).sum())
    values = float((moments.squares_a[use] + moments.squares_b[use] - (sum_a + sum_b) ** 2 / n).sum())
    constant = squares <= 1e-12 * float((xx_a + xx_b).sum())
    slope = 0.0 if constant else products / squares
    return _Covariate(
        a=_Side(mean=x_a / n_a, squares=xx_a - x_a * x_a / n_a, products=xy_a - x_a * sum_a / n_a),
        b=_Side(mean=x_b / n_b, squares=xx_b - x_b * x_b / n_b, products=xy_b - x_b * sum_b / n_b),
        centre=x / n,
        slope=slope,
        told=_told(constant, slope * products / values if values > 0.0 else 0.0, _known(moments)),
    )


def _known(moments: MeanMoments) -> float | None:
    """Share of units whose covariate is known; None where all are."""
    if moments.cov_known is None:
        return None
    return float(moments.cov_known.sum() / max(int(moments.n_a.sum() + moments.n_b.sum()), 1))


def _told(constant: bool, explained: float, known: float | None) -> str:
    of = "" if known is None else f"; it is known for {100.0 * known:.0f} % of the units"
    if constant:
        return f"not adjusted: the covariate has the same value for every unit{of}"
    percent = f"{100.0 * min(max(explained, 0.0), 1.0):.0f} %"
    return f"adjusted for its covariate, which explains {percent} of the variance{of}"
