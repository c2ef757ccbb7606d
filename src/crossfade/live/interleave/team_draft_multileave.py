"""Team-draft multileaving: several captains pick in turn, in an order drawn anew each round (Schuth et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.live.interleave.multileave import Multileaved, finished


def draft(
    rankings: Sequence[Sequence[str]], *, order: Callable[[int], Sequence[int]], length: int | None = None
) -> Multileaved:
    """Merge any number of rankings; `order(round)` is the order of their captains in that round (from 0).

    Rounds go on while every captain has enough items left for any order; from there on slots are nobody's. So each slot
    is as likely to be one captain's as any other's, whatever the lists.
    """
    unique = [list(dict.fromkeys(ranking)) for ranking in rankings]
    if length is None:
        length = max(map(len, unique), default=0)
    items: list[str] = []
    owners: list[int] = []
    taken: set[str] = set()
    round = 0
    while len(items) < length:
        if any(len(ranking) - sum(item in taken for item in ranking) < len(unique) for ranking in unique):
            break
        for captain in order(round):
            item = next(item for item in unique[captain] if item not in taken)
            taken.add(item)
            items.append(item)
            owners.append(captain)
        round += 1
    # Cut here and not above: a shorter list has to begin as a longer one does.
    del items[length:], owners[length:]
    credits = [tuple(float(captain == owner) for captain in range(len(unique))) for owner in owners]
    return finished(unique, items, owners, credits, length)
