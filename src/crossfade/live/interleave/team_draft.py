"""Team draft: two captains pick in turn, and a fair coin says who picks first in each round (Radlinski et al. 2008)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged


def draft(
    champion: Sequence[str], challenger: Sequence[str], *, coin: Callable[[int], bool], length: int | None = None
) -> Merged:
    """Merge two lists of ids; `coin(round)` is true when the champion picks first in that round (from 0).

    In a round each captain picks its best item not yet taken. Repeats within one list are dropped, the first kept.
    `length` is the longer list's (repeats dropped) unless given.

    Once either captain has nothing left to pick, the other's items fill the rest uncredited; a second pick that the
    other order of the round could not have made is uncredited too. So, whatever the lists, each slot is as likely to
    be one captain's as the other's, and clicks that do not look at the items favour neither.
    """
    ours, theirs = _places(champion), _places(challenger)
    if length is None:
        length = max(len(ours), len(theirs))
    a, b = list(ours), list(theirs)
    items, owners = _rounds(a, b, coin, length)
    if len(items) < length:
        taken = set(items)
        items += [item for item in a if item not in taken] or [item for item in b if item not in taken]
        owners += [NOBODY] * (len(items) - len(owners))
    del items[length:], owners[length:]
    return Merged(
        items=tuple(items),
        owners=tuple(owners),
        from_=tuple([(CHAMPION, ours[item]) if item in ours else (CHALLENGER, theirs[item]) for item in items]),
        same=a[:length] == b[:length],
    )


def _rounds(a: list[str], b: list[str], coin: Callable[[int], bool], length: int) -> tuple[list[str], list[str]]:
    """The credited slots and their owners: at least `length` of them, or as many as both captains can fill fairly."""
    items: list[str] = []
    firsts: list[bool] = []
    taken: set[str | None] = set()
    push, take = items.append, taken.add
    # None ends each list; it is never taken, so the search for the next free item stops there.
    ours, theirs = iter([*a, None]), iter([*b, None])
    one, other = next(ours), next(theirs)
    while len(items) < length:
        while one in taken:
            one = next(ours)
        while other in taken:
            other = next(theirs)
        if one is None or other is None:
            break
        first = coin(len(firsts))
        firsts.append(first)
        if one == other:
            push(one)
            take(one)
            one, other = next(ours), next(theirs)
            while one in taken:
                one = next(ours)
            while other in taken:
                other = next(theirs)
            if one is None or other is None:
                break
            second = other if first else one
            push(second)
            take(second)
        else:
            items += (one, other) if first else (other, one)
            take(one)
            take(other)
    owners = [owner for first in firsts for owner in (_CHAMPION_FIRST if first else _CHALLENGER_FIRST)]
    return items, owners[: len(items)]


_CHAMPION_FIRST = (CHAMPION, CHALLENGER)
_CHALLENGER_FIRST = (CHALLENGER, CHAMPION)


def _places(ranking: Sequence[str]) -> dict[str, int]:
    """Each id with the index of its first appearance, in order."""
    places = dict(zip(ranking, range(len(ranking)), strict=True))
    if len(places) < len(ranking):
        places.clear()
        for index, item in enumerate(ranking):
            places.setdefault(item, index)
    return places
