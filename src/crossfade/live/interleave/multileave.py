"""Several rankings in one list: the record that all multileaving methods give, and what its clicks are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NO_RANKER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Multileaved:
    """Any number of rankings in one list. One entry a slot."""

    items: tuple[str, ...]
    owners: tuple[int, ...]
    """Index of the ranker whose pick it is; −1 for a slot that is nobody's."""
    credits: tuple[tuple[float, ...], ...]
    """What a click on the slot is worth to each ranker, in sum 1; all 0 where it is worth nothing to anybody."""


def credit(merged: Multileaved, engaged: Mapping[str, float]) -> tuple[float, ...]:
    """What each ranker gets for the items engaged with, each by its weight."""
    rankers = len(merged.credits[0]) if merged.credits else 0
    total = [0.0] * rankers
    for item, worth in zip(merged.items, merged.credits, strict=True):
        weight = engaged.get(item, 0.0)
        if weight:
            total = [sum_ + weight * one for sum_, one in zip(total, worth, strict=True)]
    return tuple(total)


def left(rankings: Sequence[Sequence[str]], items: Sequence[str]) -> list[str]:
    """What no slot shows yet, by rank, of equal ranks the first ranking's first."""
    taken = set(items)
    deepest = max(map(len, rankings), default=0)
    by_rank = (ranking[rank] for rank in range(deepest) for ranking in rankings if rank < len(ranking))
    return [item for item in dict.fromkeys(by_rank) if item not in taken]


def finished(
    rankings: Sequence[Sequence[str]],
    items: list[str],
    owners: list[int],
    credits: list[tuple[float, ...]],
    length: int,
) -> Multileaved:
    """The record, filled up to `length` with slots that are nobody's."""
    items += left(rankings, items)[: max(length - len(items), 0)]
    spare = len(items) - len(owners)
    return Multileaved(
        items=tuple(items),
        owners=(*owners, *[NO_RANKER] * spare),
        credits=(*credits, *[(0.0,) * len(rankings)] * spare),
    )
