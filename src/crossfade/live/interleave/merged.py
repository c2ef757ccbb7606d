"""The list that is shown: its items, who is credited for each slot, and how clicks turn into a vote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import eq

CHAMPION = "A"
CHALLENGER = "B"
NOBODY = ""

Place = tuple[str, int]
"""(`A` or `B`, index in that arm's list as given)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Two rankings in one list. `items`, `owners` and `from_` have one entry a slot."""

    items: tuple[str, ...]
    owners: tuple[str, ...]
    """`A` (champion), `B` (challenger), or '' for a slot nobody is credited for."""
    from_: tuple[Place, ...]
    """Where the item object is taken from.

    The champion's object wherever the champion has the item, so that a page differs from the champion's in its order
    and not in the looks of its items, and two equal rankings give the champion's page unchanged.
    """
    same: bool
    """Both rankings are the same over the length shown: no evidence for either."""
    credits: tuple[float, ...] = ()
    """What a click on each slot is worth to the challenger (negative: to the champion), where a method gives more
    than whole credit to the slot's owner; else empty."""

    def worth(self) -> tuple[float, ...]:
        """What a click on each slot is worth to the challenger."""
        return self.credits or tuple([_WORTH[owner] for owner in self.owners])


_WORTH = {CHAMPION: -1.0, CHALLENGER: 1.0, NOBODY: 0.0}

MILLIONTHS = 1_000_000


def recorded(merged: Merged) -> tuple[int, ...]:
    """The credits as facts keep them: whole numbers, so that sums of them do not depend on their order."""
    return tuple([round(worth * MILLIONTHS) for worth in merged.credits])


def credit(items: Sequence[str], owners: Sequence[str], clicked: Iterable[str]) -> int:
    """Items of the challenger engaged with, less those of the champion's; an item counts once however often clicked.

    The sign is the vote of this list: positive for the challenger. Items that were not shown, and slots that nobody
    owns, count nothing.
    """
    owner = dict(zip(items, owners, strict=True))
    wins = {CHALLENGER: 1, CHAMPION: -1}
    return sum(wins.get(owner.get(item, NOBODY), 0) for item in set(clicked))


def places(ranking: Sequence[str], whose: str) -> dict[str, Place]:
    """Each id with the place of its first appearance, in order."""
    count = len(ranking)
    known = _KNOWN[whose] if count <= _MANY else [(whose, index) for index in range(count)]
    found = dict(zip(ranking, known, strict=False))
    if len(found) < count:
        found.clear()
        for index, item in enumerate(ranking):
            found.setdefault(item, (whose, index))
    return found


_MANY = 256
_KNOWN = {whose: [(whose, index) for index in range(_MANY)] for whose in (CHAMPION, CHALLENGER)}
"""Places made beforehand: lists are merged while a user waits."""


def shown(
    items: Sequence[str],
    owners: Sequence[str],
    ours: dict[str, Place],
    theirs: dict[str, Place],
    length: int,
    credits: Sequence[float] = (),
) -> Merged:
    """The record of a list whose slots are settled: where each item comes from, and whether there was a choice."""
    return Merged(
        items=tuple(items),
        owners=tuple(owners),
        from_=tuple(map((theirs | ours).__getitem__, items)),
        same=_same(ours, theirs, length),
        credits=tuple(credits),
    )


def _same(ours: dict[str, Place], theirs: dict[str, Place], length: int) -> bool:
    # Most rankings differ soon, so that walking both is quicker than making lists of them.
    if min(len(ours), length) != min(len(theirs), length):
        return False
    return all(islice(map(eq, ours, theirs), length))


def rest(items: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    """What neither list has shown yet: the champion's first, then the challenger's."""
    taken = set(items)
    left = [item for item in ours if item not in taken]
    taken.update(left)
    return left + [item for item in theirs if item not in taken]
