"""Probabilistic interleaving: each slot is drawn from one ranker's softmax over ranks (Hofmann et al. 2011).

Credit is marginalised: a click counts for each ranker by how likely it was to have given that item there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import fsum

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, places, rest, shown

TAU = 3
"""How steep the softmax is: the item of rank r (from 1) has weight 1 / r^3."""


def draw(
    champion: Sequence[str],
    challenger: Sequence[str],
    *,
    coin: Callable[[int], bool],
    uniform: Callable[[int], float],
    length: int | None = None,
) -> Merged:
    """Merge two lists of ids; for each slot `coin` says whose softmax it is drawn from and `uniform` which item.

    Repeats within one list are dropped. Once either list has nothing left, the other's items fill the rest uncredited,
    so that at every slot the expected credit of a click that does not look at the items is zero.
    """
    ours, theirs = places(champion, CHAMPION), places(challenger, CHALLENGER)
    if length is None:
        length = max(len(ours), len(theirs))
    a, b = Softmax(ours), Softmax(theirs)
    items: list[str] = []
    owners: list[str] = []
    credits: list[float] = []
    while len(items) < length and a.left and b.left:
        slot = len(items)
        chosen, owner = (a, CHAMPION) if coin(slot) else (b, CHALLENGER)
        item = chosen.pick(uniform(slot))
        p, q = a.chance(item), b.chance(item)
        items.append(item)
        owners.append(owner)
        credits.append((q - p) / (q + p))
        a.drop(item)
        b.drop(item)
    if len(items) < length:
        items += rest(items, ours, theirs)[: length - len(items)]
        owners += [NOBODY] * (len(items) - len(owners))
        credits += [0.0] * (len(items) - len(credits))
    return shown(items, owners, ours, theirs, length, credits)


class Softmax:
    """One ranking as a distribution over its items, from which items are taken away."""

    __slots__ = ("_exact", "_mass", "left")

    def __init__(self, ranking: Iterable[str]) -> None:
        items = list(ranking)
        self.left = dict(zip(items, _weights(len(items)), strict=True))
        """The weight of each item not taken yet, best first."""
        self._exact = self._mass = fsum(self.left.values())

    def pick(self, chance: float) -> str:
        """The item on which a number in [0, 1) falls."""
        room = chance * self._mass
        for item, weight in self.left.items():
            room -= weight
            if room < 0.0:
                return item
        # Rounding: the number fell beyond the last one.
        return next(reversed(self.left))

    def chance(self, item: str) -> float:
        """How likely `item` would be picked now."""
        return self.left.get(item, 0.0) / self._mass

    def drop(self, item: str) -> None:
        """Take an item away, whether or not it is here."""
        self._mass -= self.left.pop(item, 0.0)
        if self._mass < self._exact * 1e-3:
            # What was subtracted is far larger than what is left, so its rounding would show.
            self._exact = self._mass = fsum(self.left.values())


@lru_cache(maxsize=256)
def _weights(count: int) -> tuple[float, ...]:
    return tuple(rank**-TAU for rank in range(1, count + 1))
