"""The list that is shown: its items, who is credited for each slot, and how clicks turn into a vote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CHAMPION = "A"
CHALLENGER = "B"
NOBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Two rankings in one list. `items`, `owners` and `from_` have one entry a slot."""

    items: tuple[str, ...]
    owners: tuple[str, ...]
    """`A` (champion), `B` (challenger), or '' for a slot nobody is credited for."""
    from_: tuple[tuple[str, int], ...]
    """(`A` or `B`, index in that arm's list as given): where the item object is taken from.

    The champion's object wherever the champion has the item, so that a page differs from the champion's in its order
    and not in the looks of its items, and two equal rankings give the champion's page unchanged.
    """
    same: bool
    """Both rankings are the same over the length shown: no evidence for either."""


def credit(items: Sequence[str], owners: Sequence[str], clicked: Iterable[str]) -> int:
    """Items of the challenger engaged with, less those of the champion's; an item counts once however often clicked.

    The sign is the vote of this list: positive for the challenger. Items that were not shown, and slots that nobody
    owns, count nothing.
    """
    owner = dict(zip(items, owners, strict=True))
    wins = {CHALLENGER: 1, CHAMPION: -1}
    return sum(wins.get(owner.get(item, NOBODY), 0) for item in set(clicked))
