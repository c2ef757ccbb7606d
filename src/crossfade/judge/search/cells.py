"""What a segment is made of: conditions on recorded features, and how the values of a feature become few levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.moments import Floats, Ints

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Where the values of a numeric feature are cut: finer towards its ends, where models fail."""

MOST_LEVELS = 40
"""Values of a feature that are looked at, the most frequent."""

NUMERIC = 0.98
"""Share of the values present that have to be numbers for the feature to be one."""

FEW = 12
"""Distinct numbers up to which each is a level of its own."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One recorded field of all rows: the distinct values as text, and which of them each row has."""

    name: str
    values: tuple[str, ...]
    code: Ints


def feature(name: str, texts: Sequence[str] | np.ndarray) -> Feature:
    """A feature from one text a row; empty where it was absent."""
    values, code = np.unique(np.asarray(texts, dtype=object).astype("U"), return_inverse=True)
    return Feature(name=name, values=tuple(values.tolist()), code=code.astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One field has this value, or lies in [low, high); None is open."""

    field: str
    value: str | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.field}={self.value}" if self.value else f"{self.field} absent"
        low, high = ("" if end is None else f"{end:.6g}" for end in (self.low, self.high))
        if low and high:
            return f"{low} ≤ {self.field} < {high}"
        return f"{self.field} ≥ {low}" if low else f"{self.field} < {high}"

    def meets(self, values: Sequence[str]) -> Bools:
        """Which of these values it holds for."""
        if self.value is not None:
            return np.array([value == self.value for value in values], dtype=bool)
        numbers = np.array([number(value) for value in values], dtype=np.float64)
        with np.errstate(invalid="ignore"):
            inside = ~np.isnan(numbers)
            if self.low is not None:
                inside &= numbers >= self.low
            if self.high is not None:
                inside &= numbers < self.high
        return inside

    def within(self, other: Condition) -> bool:
        """Whether whatever meets this meets the other."""
        if self.field != other.field:
            return False
        if other.value is not None:
            return self == other
        if self.value is not None:
            return bool(other.meets([self.value])[0])
        low = other.low is None or (self.low is not None and self.low >= other.low)
        return low and (other.high is None or (self.high is not None and self.high <= other.high))

    def to_json(self) -> dict[str, Any]:
        """As records say it."""
        if self.value is not None:
            return {"field": self.field, "value": self.value}
        return {"field": self.field, "low": self.low, "high": self.high}


Cell = tuple[Condition, ...]
"""The units that meet every condition; no condition is everyone."""


def told(cell: Cell) -> str:
    """A cell in words."""
    return " and ".join(str(condition) for condition in cell)


def cell_of(conditions: Sequence[Mapping[str, Any]]) -> Cell:
    """The inverse of the conditions' `to_json`."""
    keys = ("field", "value", "low", "high")
    return tuple(Condition(**{key: one[key] for key in keys if key in one}) for one in conditions)


def inside(cell: Cell, other: Cell) -> bool:
    """Whether one cell is a part of another (or the same)."""
    return all(any(mine.within(theirs) for mine in cell) for theirs in other)


def members(cell: Cell, features: Sequence[Feature]) -> Bools:
    """Which rows are in a cell; none, where a feature of it is not recorded any more."""
    by_name = {one.name: one for one in features}
    rows = len(features[0].code) if features else 0
    found = np.ones(rows, dtype=bool)
    for condition in cell:
        of = by_name.get(condition.field)
        if of is None:
            return np.zeros(rows, dtype=bool)
        found &= condition.meets(of.values)[of.code]
    return found


def number(value: str) -> float:
    """The number that a text says; NaN where it says none."""
    try:
        found = float(value)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def cuts(of: Feature) -> tuple[float, ...]:
    """Where a numeric feature is cut, by the rows given (those of the past); empty where it is not numeric."""
    counts = np.bincount(of.code, minlength=len(of.values))
    numbers = np.array([number(value) for value in of.values], dtype=np.float64)
    present = np.array([value != "" for value in of.values], dtype=bool)
    numeric = present & ~np.isnan(numbers) & (counts > 0)
    if not numeric.any() or counts[numeric].sum() < NUMERIC * counts[present].sum():
        return ()
    if len(np.unique(numbers[numeric])) <= FEW:
        return ()
    order = np.argsort(numbers[numeric])
    ordered, seen = numbers[numeric][order], np.cumsum(counts[numeric][order])
    at = np.searchsorted(seen, np.array(QUANTILES) * seen[-1])
    edges: Floats = np.unique(ordered[np.minimum(at, len(ordered) - 1)])
    return tuple(edge for edge in edges.tolist() if edge > ordered[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """One feature cut into few levels: level 0 is whatever is not looked at."""

    conditions: tuple[Condition, ...]
    """Of level 1, 2, and so on."""
    level: npt.NDArray[np.int16]
    """Of each row."""
    ordered: int = 0
    """How many of the first levels are intervals, in their order."""


def levels(of: Feature, edges: Sequence[float]) -> Levels:
    """The levels of a feature: the intervals between its cuts, and the most frequent values of these rows."""
    place = np.zeros(len(of.values), dtype=np.int16)
    conditions: list[Condition] = []
    if edges:
        ends = [None, *edges, None]
        conditions = [Condition(field=of.name, low=low, high=high) for low, high in pairwise(ends)]
        numbers = np.array([number(value) for value in of.values], dtype=np.float64)
        known = ~np.isnan(numbers)
        place[known] = np.searchsorted(np.asarray(edges), numbers[known], side="right") + 1
    intervals = len(conditions)
    counts = np.bincount(of.code, minlength=len(of.values))
    counts[place > 0] = 0
    for value in np.argsort(-counts, kind="stable")[:MOST_LEVELS].tolist():
        if counts[value]:
            conditions.append(Condition(field=of.name, value=of.values[value]))
            place[value] = len(conditions)
    return Levels(conditions=tuple(conditions), level=place[of.code], ordered=intervals)
