"""Numbers for things that have names: an index from 64-bit keys to 0, 1, 2, … that is asked and fed in batches.

A look costs what is new only if finding a unit among millions takes no scan. This is a hash table in arrays. When it
is full a table of twice the size takes over, and each key that is added brings a few slots of the old one with it, so
that no batch pays for all before it and a key is looked for in two tables at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossfade.judge.moments import Ints

Keys = npt.NDArray[np.uint64]

SMALLEST = 1 << 14
"""Slots of the first table."""

FULL = 0.6
"""Share of a table's slots that may be taken."""

BROUGHT = 4
"""Slots of the old table that are emptied for each key that is added: all, before the new one is half full."""

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(0)


class _Table:
    __slots__ = ("keys", "left", "numbers", "shift")

    def __init__(self, slots: int) -> None:
        self.keys: Keys = np.zeros(slots, dtype=np.uint64)
        self.numbers = np.zeros(slots, dtype=np.int32)
        self.shift = np.uint64(64 - (slots.bit_length() - 1))
        self.left = int(slots * FULL)

    def _slots(self, keys: Keys) -> Ints:
        return np.asarray((keys * _SPREAD) >> self.shift, dtype=np.int64)

    def find(self, keys: Keys) -> Ints:
        found = np.full(len(keys), -1, dtype=np.int64)
        left, slot, last = np.arange(len(keys)), self._slots(keys), len(self.keys) - 1
        while left.size:
            there = self.keys[slot]
            hit = there == keys[left]
            found[left[hit]] = self.numbers[slot[hit]]
            on = ~hit & (there != _EMPTY)
            left, slot = left[on], (slot[on] + 1) & last
        return found

    def add(self, keys: Keys, numbers: Ints) -> None:
        left, slot, last = np.arange(len(keys)), self._slots(keys), len(self.keys) - 1
        while left.size:
            free = self.keys[slot] == _EMPTY
            self.keys[slot[free]] = keys[left[free]]
            # Of several keys that want one slot the last one written has it; the others go on.
            won = free & (self.keys[slot] == keys[left])
            self.numbers[slot[won]] = numbers[left[won]]
            left, slot = left[~won], (slot[~won] + 1) & last
        self.left -= len(keys)

    def some(self, low: int, high: int) -> tuple[Keys, Ints]:
        """What lies in some slots."""
        taken = low + np.flatnonzero(self.keys[low:high])
        return self.keys[taken], self.numbers[taken].astype(np.int64)


class KeyIndex:
    """Gives each key a number, in the order in which they come.

    Keys are hashes: of 100 million names two share one with probability 0.03 %.
    """

    __slots__ = ("_brought", "_old", "_table", "count")

    def __init__(self) -> None:
        self._table = _Table(SMALLEST)
        self._old: _Table | None = None
        self._brought = 0
        """Slots of the old table whose keys are in the new one, too."""
        self.count = 0

    def find(self, keys: Keys) -> Ints:
        """The number of each key; -1 for those that have none."""
        return self._find(_some(keys))

    def number(self, keys: Keys) -> Ints:
        """The number of each key; those that have none get the next ones. A key may come several times."""
        keys = _some(keys)
        found = self._find(keys)
        new = found < 0
        if new.any():
            distinct, where = np.unique(keys[new], return_inverse=True)
            numbers = np.arange(self.count, self.count + len(distinct))
            self._add(distinct, numbers)
            found[new] = numbers[where]
        return found

    def _find(self, keys: Keys) -> Ints:
        found = self._table.find(keys)
        if self._old is not None:
            left = np.flatnonzero(found < 0)
            if left.size:
                found[left] = self._old.find(keys[left])
        return found

    def _add(self, keys: Keys, numbers: Ints) -> None:
        self.count += len(keys)
        while len(keys):
            if not self._table.left:
                self._bring(len(self._table.keys))
                self._old, self._table, self._brought = self._table, _Table(2 * len(self._table.keys)), 0
            # What is still to be brought needs its room, too.
            now = max(1, min(len(keys), self._table.left // 2)) if self._old else min(len(keys), self._table.left)
            self._table.add(keys[:now], numbers[:now])
            self._bring(BROUGHT * now)
            keys, numbers = keys[now:], numbers[now:]

    def _bring(self, slots: int) -> None:
        """Move on with emptying the old table."""
        if self._old is None:
            return
        upto = self._brought + slots
        self._table.add(*self._old.some(self._brought, upto))
        self._brought = upto
        if upto >= len(self._old.keys):
            self._old = None


def _some(keys: Keys) -> Keys:
    keys = np.asarray(keys, dtype=np.uint64)
    return np.where(keys == _EMPTY, np.uint64(1), keys)
