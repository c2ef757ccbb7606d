"""Pairwise preference multileaving: a list that mixes all tops, and credit for each pair of items that clicks order.

Oosterhuis and de Rijke 2017. A slot is drawn evenly from all items that any ranker places that high. A clicked item is
preferred to one that was passed over; every ranker that agrees gains, every one that does not loses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from crossfade.live.interleave.multileave import NO_RANKER, Multileaved


def mix(
    rankings: Sequence[Sequence[str]], *, uniform: Callable[[int], float], length: int | None = None
) -> Multileaved:
    """Merge any number of rankings; `uniform(slot)` says which of the items allowed there is shown. Nobody owns any."""
    unique = [list(dict.fromkeys(ranking)) for ranking in rankings]
    since = _since(unique)
    if length is None:
        length = max(map(len, unique), default=0)
    items: list[str] = []
    waiting = sorted(since, key=since.__getitem__)
    for slot in range(min(length, len(waiting))):
        choice = [item for item in waiting if since[item] <= slot]
        item = choice[int(uniform(slot) * len(choice))]
        waiting.remove(item)
        items.append(item)
    return Multileaved(
        items=tuple(items),
        owners=(NO_RANKER,) * len(items),
        credits=((0.0,) * len(unique),) * len(items),
    )


def credit(rankings: Sequence[Sequence[str]], items: Sequence[str], engaged: Mapping[str, float]) -> tuple[float, ...]:
    """What each ranker gets for the items engaged with, each by its weight.

    An item was passed over if it lies above the lowest click or just below it. A pair counts only where neither item
    stands above the first slot at which both were allowed, because from there on each order of the two was as likely
    as the other; it weighs by the inverse of how often that happens. So position alone favours nobody.
    """
    unique = [list(dict.fromkeys(ranking)) for ranking in rankings]
    total = [0.0] * len(unique)
    slots = {item: slot for slot, item in enumerate(items)}
    since = _since(unique)
    liked = [item for item in items if engaged.get(item) and item in since]
    if not liked:
        return tuple(total)
    passed = [item for item in items[: slots[liked[-1]] + 2] if not engaged.get(item) and item in since]
    ranks = [{item: rank for rank, item in enumerate(ranking)} for ranking in unique]
    sizes = [sum(first <= slot for first in since.values()) - slot for slot in range(len(items))]
    for winner in liked:
        for loser in passed:
            early, late = sorted((since[winner], since[loser]))
            if min(slots[winner], slots[loser]) < late:
                continue
            weight = engaged[winner] / prod(1.0 - 1.0 / sizes[slot] for slot in range(early, late))
            for ranker, rank in enumerate(ranks):
                above, below = (rank.get(item, len(rank)) for item in (winner, loser))
                total[ranker] += weight * ((above < below) - (above > below))
    return tuple(total)


def _since(rankings: Sequence[Sequence[str]]) -> dict[str, int]:
    """The first slot at which each item may be shown: its best rank, or sooner where short lists leave a gap."""
    best: dict[str, int] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking):
            best[item] = min(rank, best.get(item, rank))
    since: dict[str, int] = {}
    for count, item in enumerate(sorted(best, key=best.__getitem__)):
        # With `count` items allowed before it, slot number `count` would have none but this.
        since[item] = min(best[item], count)
    # Items of one rank are allowed together.
    together: dict[int, int] = {}
    for item, first in since.items():
        together[best[item]] = min(first, together.get(best[item], first))
    return {item: together[rank] for item, rank in best.items()}
