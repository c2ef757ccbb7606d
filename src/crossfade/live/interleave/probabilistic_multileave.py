"""Probabilistic multileaving: each slot is drawn from the softmax of one of several rankers (Schuth et al. 2015).

Credit is marginalised: a click counts for each ranker by how likely it was to have given that item there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.live.interleave.multileave import Multileaved, finished
from crossfade.live.interleave.probabilistic import Softmax


def draw(
    rankings: Sequence[Sequence[str]], *, uniform: Callable[[int], float], length: int | None = None
) -> Multileaved:
    """Merge any number of rankings; draws 2s and 2s + 1 say whose softmax slot s is drawn from, and which item.

    Once any ranking has nothing left, slots are nobody's: until there, the expected credit of a click that does not
    look at the items is the same for all.
    """
    unique = [list(dict.fromkeys(ranking)) for ranking in rankings]
    if length is None:
        length = max(map(len, unique), default=0)
    ways = [Softmax(ranking) for ranking in unique]
    items: list[str] = []
    owners: list[int] = []
    credits: list[tuple[float, ...]] = []
    while len(items) < length and all(way.left for way in ways):
        slot = len(items)
        owner = int(uniform(2 * slot) * len(ways))
        item = ways[owner].pick(uniform(2 * slot + 1))
        likely = [way.chance(item) for way in ways]
        whole = sum(likely)
        items.append(item)
        owners.append(owner)
        credits.append(tuple(one / whole for one in likely))
        for way in ways:
            way.drop(item)
    return finished(unique, items, owners, credits, length)
