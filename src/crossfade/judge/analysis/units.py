"""Units as a table of columns, and what a look at it says about one metric and one pair of arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from crossfade.judge.analysis import blocks
from crossfade.judge.analysis.asked import Asked
from crossfade.judge.moments import (
    BINS,
    FIRST_EDGE,
    GROWTH,
    Floats,
    Ints,
    MeanMoments,
    Moments,
    QuantileMoments,
    RateMoments,
    RatioMoments,
)
from crossfade.spec.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One metric's columns; what a metric does not need is None."""

    events: Floats
    """Outcomes with a value other than 0."""
    total: Floats
    per: Floats | None = None
    covariate: Floats | None = None
    reports: Mapping[str, int] = field(default_factory=dict)
    """Outcomes that arrived under the metric's name, those with a value of 0 too, for the units of each arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Each unit once, in the order of first exposure; columns share one length."""

    arms: tuple[str, ...]
    arm: Ints
    """Index into `arms`."""
    entered: Floats
    values: Mapping[str, Values]
    """By the metric's name."""
    segments: Mapping[str, tuple[tuple[str, ...], Ints]] = field(default_factory=dict)
    """Names of a segment column's values, and each unit's."""
    ended: float = 0.0
    """When the last thing in the data happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The units of two arms that a look takes in, with their blocks and steps."""

    chosen: Ints
    """Indices of the units."""
    is_b: npt.NDArray[np.bool_]
    block: Ints
    step: Ints
    """Per block."""
    share: Floats
    """Per block."""
    immature: int
    names: tuple[str, str]
    """Of both arms, the baseline first."""

    @property
    def unit_step(self) -> Ints:
        return self.step[self.block] if len(self.block) else self.block


def pair(
    units: Units,
    baseline: str,
    arm: str,
    *,
    now: float,
    window: float | None,
    looks: Floats,
    planned: Mapping[str, float] | None = None,
    within: npt.NDArray[np.bool_] | None = None,
) -> Pair:
    """The units of two arms whose window has closed by `now` (all of them where there is no window)."""
    a, b = units.arms.index(baseline), units.arms.index(arm)
    of_pair = (units.arm == a) | (units.arm == b)
    if within is not None:
        of_pair &= within
    due = units.entered if window is None else units.entered + window
    chosen = np.flatnonzero(of_pair & (due <= now))
    is_b = units.arm[chosen] == b
    boundaries = np.searchsorted(due[chosen], looks, side="right")
    block = blocks.cut(is_b, boundaries)
    count = int(block[-1]) + 1 if len(block) else 0
    n_b = np.bincount(block[is_b], minlength=count)
    n_a = np.bincount(block[~is_b], minlength=count)
    expected = None if planned is None else planned[arm] / (planned[arm] + planned[baseline])
    return Pair(
        chosen=chosen,
        is_b=is_b,
        block=block,
        step=blocks.steps(n_a, n_b),
        share=blocks.shares(n_a, n_b, expected),
        immature=int((of_pair & (units.entered <= now)).sum()) - len(chosen),
        names=(baseline, arm),
    )


def moments(asked: Asked, values: Values, seen: Pair) -> Moments:
    """What the units of a pair say about a metric."""
    # What is too large to be squared is no number here, and refused as such where it is judged.
    with np.errstate(over="ignore", invalid="ignore"):
        match asked.metric.kind:
            case Kind.RATE:
                return _rate(values, seen)
            case Kind.RATIO:
                return _ratio(values, seen)
            case Kind.QUANTILE:
                return _quantile(values, seen)
        return _mean(asked, values, seen)


class _Sums:
    """Sums by row (step or block) and arm."""

    def __init__(self, row: Ints, rows: int, is_b: npt.NDArray[np.bool_]) -> None:
        self._cell = row + rows * is_b
        self._rows = rows

    def of(self, values: Floats) -> tuple[Floats, Floats]:
        sums = np.bincount(self._cell, weights=values, minlength=2 * self._rows).astype(np.float64)
        return sums[: self._rows], sums[self._rows :]

    def count(self) -> tuple[Ints, Ints]:
        counts = np.bincount(self._cell, minlength=2 * self._rows)
        return counts[: self._rows], counts[self._rows :]


def _rate(values: Values, seen: Pair) -> RateMoments:
    rows = len(seen.step)
    sums = _Sums(seen.block, rows, seen.is_b)
    n_a, n_b = sums.count()
    k_a, k_b = sums.of((values.events[seen.chosen] > 0).astype(np.float64))
    return RateMoments(
        step=seen.step,
        bucket=np.arange(rows),
        share=seen.share,
        n_a=n_a,
        k_a=k_a.astype(np.int64),
        n_b=n_b,
        k_b=k_b.astype(np.int64),
        settled=True,
        immature=seen.immature,
        reports_a=values.reports.get(seen.names[0], 0),
        reports_b=values.reports.get(seen.names[1], 0),
    )


def _by_step(seen: Pair) -> tuple[_Sums, Ints]:
    rows = int(seen.step[-1]) + 1 if len(seen.step) else 0
    return _Sums(seen.unit_step, rows, seen.is_b), np.arange(rows)


def _mean(asked: Asked, values: Values, seen: Pair) -> MeanMoments:
    sums, step = _by_step(seen)
    y = (values.events if asked.metric.kind is Kind.COUNT else values.total)[seen.chosen]
    if asked.cap is not None:
        y = np.clip(y, -asked.cap, asked.cap)
    (n_a, n_b), (sum_a, sum_b), (squares_a, squares_b) = sums.count(), sums.of(y), sums.of(y * y)
    some_a, some_b = (of.astype(np.int64) for of in sums.of((y != 0.0).astype(np.float64)))
    plain = MeanMoments(
        step=step,
        n_a=n_a,
        sum_a=sum_a,
        squares_a=squares_a,
        n_b=n_b,
        sum_b=sum_b,
        squares_b=squares_b,
        immature=seen.immature,
        some_a=some_a,
        some_b=some_b,
        reports_a=values.reports.get(seen.names[0], 0),
        reports_b=values.reports.get(seen.names[1], 0),
    )
    if values.covariate is None:
        return plain
    x = values.covariate[seen.chosen]
    (cov_sum_a, cov_sum_b), (cov_squares_a, cov_squares_b) = sums.of(x), sums.of(x * x)
    cov_products_a, cov_products_b = sums.of(x * y)
    return replace(
        plain,
        cov_sum_a=cov_sum_a,
        cov_squares_a=cov_squares_a,
        cov_products_a=cov_products_a,
        cov_sum_b=cov_sum_b,
        cov_squares_b=cov_squares_b,
        cov_products_b=cov_products_b,
    )


def _ratio(values: Values, seen: Pair) -> RatioMoments:
    assert values.per is not None
    sums, step = _by_step(seen)
    y, x = values.total[seen.chosen], values.per[seen.chosen]
    (n_a, n_b), (sum_y_a, sum_y_b), (sum_x_a, sum_x_b) = sums.count(), sums.of(y), sums.of(x)
    (squares_y_a, squares_y_b), (squares_x_a, squares_x_b) = sums.of(y * y), sums.of(x * x)
    products_xy_a, products_xy_b = sums.of(x * y)
    return RatioMoments(
        step=step,
        n_a=n_a,
        sum_y_a=sum_y_a,
        sum_x_a=sum_x_a,
        squares_y_a=squares_y_a,
        squares_x_a=squares_x_a,
        products_xy_a=products_xy_a,
        n_b=n_b,
        sum_y_b=sum_y_b,
        sum_x_b=sum_x_b,
        squares_y_b=squares_y_b,
        squares_x_b=squares_x_b,
        products_xy_b=products_xy_b,
        immature=seen.immature,
    )


def has_value(values: Values) -> npt.NDArray[np.bool_]:
    """Units that a quantile counts: those with a value at all."""
    return ~np.isnan(values.total)


def _quantile(values: Values, seen: Pair) -> QuantileMoments:
    rows = len(seen.step)
    value = values.total[seen.chosen]
    with np.errstate(divide="ignore"):
        bins = np.ceil(np.log(value / FIRST_EDGE) / np.log(GROWTH) - 1e-9)
    counts = np.zeros((2, rows, BINS), dtype=np.int64)
    np.add.at(counts, (seen.is_b.astype(np.int64), seen.block, np.clip(bins, 0, BINS - 1).astype(np.int64)), 1)
    return QuantileMoments(
        step=seen.step, bucket=np.arange(rows), share=seen.share, counts_a=counts[0], counts_b=counts[1]
    )
