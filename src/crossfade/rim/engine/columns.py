"""Columns of numbers that grow, and what is kept in them: rows by number, the first row of each, chains of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints

Mask = npt.NDArray[np.bool_]
Blank = tuple[type[Any], float]
"""The type of a column and what it holds where nothing was written."""


class Columns:
    """Rows 0, 1, 2, … of several columns."""

    __slots__ = ("_arrays", "_blanks", "count")

    def __init__(self, **blanks: Blank) -> None:
        self._blanks = blanks
        self._arrays: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(0, dtype=type_) for name, (type_, _) in blanks.items()
        }
        self.count = 0

    def grow(self, count: int) -> None:
        """Let there be at least so many rows."""
        if count <= self.count:
            return
        for name, array in self._arrays.items():
            if count > len(array):
                wider = np.full(max(2 * len(array), count, 1024), self._blanks[name][1], dtype=array.dtype)
                wider[: len(array)] = array
                self._arrays[name] = wider
        self.count = count

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def at(self, rows: Ints) -> dict[str, npt.NDArray[Any]]:
        """A copy of some rows."""
        return {name: array[rows] for name, array in self._arrays.items()}

    def put(self, rows: Ints, values: Rows) -> None:
        """Write some rows; each comes once."""
        for name, column in values.items():
            self._arrays[name][rows] = column

    def add(self, rows: Ints, values: Rows) -> None:
        """Add to some rows, which may come several times."""
        for name, column in values.items():
            np.add.at(self._arrays[name], rows, column)


class Firsts:
    """For each number the smallest row that came, by the columns in their order; a row that never came is blank.

    The first column is a time, and infinite where blank.
    """

    __slots__ = ("names", "rows")

    def __init__(self, time: str, **others: type[Any]) -> None:
        self.names = (time, *others)
        self.rows = Columns(**{time: (np.float64, np.inf)}, **{name: (type_, 0) for name, type_ in others.items()})

    def merge(self, numbers: Ints, rows: Rows) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
        """Take in a row for each number (each comes once): the numbers whose row changed, and their rows before."""
        if len(numbers):
            self.rows.grow(int(numbers.max()) + 1)
        before = self.rows.at(numbers)
        less, same = np.zeros(len(numbers), dtype=bool), np.ones(len(numbers), dtype=bool)
        for name in self.names:
            less |= same & (rows[name] < before[name])
            same &= rows[name] == before[name]
        changed = numbers[less]
        self.rows.put(changed, {name: rows[name][less] for name in self.names})
        return changed, {name: column[less] for name, column in before.items()}


def smallest(groups: Ints, rows: Rows, names: tuple[str, ...]) -> Ints:
    """Where the smallest row of each group is, by `names` in their order."""
    order = np.lexsort([*(rows[name] for name in reversed(names)), groups])
    ordered = groups[order]
    return np.asarray(order[np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])] if len(order) else order)


def distinct(numbers: Ints) -> Ints:
    """Each number once, in order. `numpy.unique` hashes, which takes many times longer for as many distinct numbers."""
    ordered = np.sort(numbers)
    return np.asarray(ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered)


class Chains:
    """Items that belong to owners, found from the owner, last come first."""

    __slots__ = ("_heads", "_previous")

    def __init__(self) -> None:
        self._heads = Columns(head=(np.int32, -1))
        self._previous = Columns(item=(np.int32, -1))

    def add(self, owners: Ints, items: Ints) -> None:
        """Give each owner its items."""
        if not len(owners):
            return
        self._heads.grow(int(owners.max()) + 1)
        self._previous.grow(int(items.max()) + 1)
        order = np.argsort(owners, kind="stable")
        owners, items = owners[order], items[order]
        heads, previous = self._heads["head"], self._previous["item"]
        begins = np.r_[True, owners[1:] != owners[:-1]]
        ends = np.r_[begins[1:], True]
        before = np.r_[0, items[:-1]]
        previous[items] = np.where(begins, heads[owners], before)
        heads[owners[ends]] = items[ends]

    def has(self, owners: Ints) -> Mask:
        """Which owners have any item."""
        known = owners < self._heads.count
        found = np.zeros(len(owners), dtype=bool)
        found[known] = self._heads["head"][owners[known]] >= 0
        return found

    def walk(self, owners: Ints) -> tuple[Ints, Ints]:
        """Every item of some owners: the owner of each, and the item."""
        owner = owners[self.has(owners)]
        item = self._heads["head"][owner].astype(np.int64)
        told: list[tuple[Ints, Ints]] = []
        while len(owner):
            told.append((owner, item))
            item = self._previous["item"][item].astype(np.int64)
            on = item >= 0
            owner, item = owner[on], item[on]
        if not told:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        return np.concatenate([one for one, _ in told]), np.concatenate([one for _, one in told])

    def take(self, owners: Ints) -> tuple[Ints, Ints]:
        """The same, and the owners have none any more."""
        told = self.walk(owners)
        known = owners[owners < self._heads.count]
        self._heads["head"][known] = -1
        return told
