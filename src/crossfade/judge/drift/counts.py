"""How often which value of one field occurred in some time: counts that add up over workers, slices and arms."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from crossfade.facts import Sketched, middle_of


@dataclass(slots=True)
class Counts:
    """One field. `asked` counts the requests that could have held it, so that what stays away is missing, too."""

    asked: int = 0
    n: int = 0
    """Values, null included."""
    nulls: int = 0
    total: float = 0.0
    squares: float = 0.0
    bins: Counter[int] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    others: int = 0
    nested: int = 0

    def add(self, other: Counts) -> None:
        """Take in counts of other requests."""
        self.asked += other.asked
        self.n += other.n
        self.nulls += other.nulls
        self.total += other.total
        self.squares += other.squares
        self.bins.update(other.bins)
        self.names.update(other.names)
        self.others += other.others
        self.nested += other.nested

    @property
    def missing(self) -> int:
        """Requests without a value."""
        return self.asked - self.n + self.nulls

    @property
    def numbers(self) -> int:
        """How many values are numbers."""
        return self.bins.total()

    @property
    def missing_share(self) -> float:
        """Share (0–1) of requests without a value; 0 where there was no request."""
        return self.missing / self.asked if self.asked else 0.0

    @property
    def top_share(self) -> float:
        """Share (0–1) of the values that are the commonest one; 0 where there are none."""
        values = self.n - self.nulls
        most = max([*self.bins.values(), *self.names.values()], default=0)
        return most / values if values else 0.0

    @property
    def mean(self) -> float | None:
        """Of the numbers; None where there are none."""
        return self.total / self.numbers if self.numbers else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the numbers; None of fewer than two."""
        n = self.numbers
        if n < 2:
            return None
        return math.sqrt(max(0.0, (self.squares - self.total * self.total / n) / (n - 1)))

    def points(self) -> tuple[list[float], list[int]]:
        """The middles of the bins in order, and how many numbers lie in each."""
        places = sorted(self.bins)
        return [middle_of(place) for place in places], [self.bins[place] for place in places]


@dataclass(frozen=True, slots=True)
class Packed:
    """Counts that wait: a day of them, two minutes each, has to lie in memory."""

    rest: Counts
    """All but the bins."""
    places: array[int]
    held: array[int]

    def unpacked(self) -> Counts:
        """The counts again."""
        return replace(self.rest, bins=Counter(dict(zip(self.places, self.held, strict=True))))


def packed(counts: Counts) -> Packed:
    """The same counts in an eighth of the room."""
    return Packed(replace(counts, bins=Counter()), array("i", counts.bins.keys()), array("i", counts.bins.values()))


def of_sketches(sketches: Iterable[Sketched], asked: int) -> Counts:
    """The counts of one field in so many requests."""
    found = Counts(asked=asked)
    for one in sketches:
        found.n += one.n
        found.nulls += one.missing
        found.total += one.total
        found.squares += one.squares
        found.bins.update(dict(zip(one.bins, one.in_bins, strict=True)))
        found.names.update(dict(zip(one.names, one.named, strict=True)))
        found.others += one.others
        found.nested += one.nested
    return found
