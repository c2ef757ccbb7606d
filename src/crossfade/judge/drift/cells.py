"""A few cells that every request falls into by its value of one field, laid out by a part of the reference alone."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfade.judge.drift.counts import Counts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GROUPS = 8
"""Groups of numbers, about equally full in the reference."""

NAMED = 9
"""Names with a cell of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Groups of numbers, names, other names, unseen names, nested values, nothing: in this order."""

    ends: tuple[int, ...]
    """The last bin of each group but the last."""
    names: tuple[str, ...]
    known: frozenset[str]
    """Every name there was."""

    @property
    def groups(self) -> int:
        """How many of the cells hold numbers; they come first and are in order."""
        return len(self.ends) + 1

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self.groups + len(self.names) + 4

    @property
    def unseen(self) -> int:
        """The place of the cell for names that the reference did not have."""
        return self.count - 3

    def of(self, counts: Counts) -> Ints:
        """How many requests fall into each."""
        found = np.zeros(self.count, dtype=np.int64)
        for place, number in counts.bins.items():
            found[bisect_left(self.ends, place)] += number
        for name, number in counts.names.items():
            if name in self.names:
                found[self.groups + self.names.index(name)] += number
            else:
                found[-4 if name in self.known else self.unseen] += number
        found[-4] += counts.others
        found[-2] += counts.nested
        found[-1] += max(0, counts.missing)
        return found


def laid_out(counts: Counts) -> Cells:
    """Cells that suit what was seen."""
    ends: list[int] = []
    left, inside = counts.numbers, 0
    for place in sorted(counts.bins)[:-1]:
        inside += counts.bins[place]
        # What one full bin takes leaves less for the groups that are left.
        if len(ends) < GROUPS - 1 and inside * (GROUPS - len(ends)) >= left:
            ends.append(place)
            left, inside = left - inside, 0
    names = [name for name, _ in sorted(counts.names.items(), key=lambda one: (-one[1], one[0]))[:NAMED]]
    return Cells(ends=tuple(ends), names=tuple(names), known=frozenset(counts.names))
