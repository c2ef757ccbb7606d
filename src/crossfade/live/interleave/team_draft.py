"""Team draft: two captains pick in turn, and a fair coin says who picks first in each round (Radlinski et al. 2008)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, places, rest, shown


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
    ours, theirs = places(champion, CHAMPION), places(challenger, CHALLENGER)
    if length is None:
        length = max(len(ours), len(theirs))
    items, owners = _rounds(list(ours), list(theirs), coin, length)
    if len(items) < length:
        items += rest(items, ours, theirs)
        owners += [NOBODY] * (len(items) - len(owners))
    del items[length:], owners[length:]
    return shown(items, owners, ours, theirs, length)


def _rounds(a: list[str], b: list[str], coin: Callable[[int], bool], length: int) -> tuple[list[str], list[str]]:
    """The credited slots and their owners: at least `length` of them, or as many as both captains can fill fairly."""
    items: list[str] = []
    owners: list[str] = []
    taken: set[str | None] = set()
    push, take = items.append, taken.add
    # None ends each list; it is never taken, so the search for the next free item stops there.
    ours, theirs = iter([*a, None]), iter([*b, None])
    one, other = next(ours), next(theirs)
    round = 0
    while len(items) < length:
        while one in taken:
            one = next(ours)
        while other in taken:
            other = next(theirs)
        if one is None or other is None:
            break
        first = coin(round)
        round += 1
        owners += _CHAMPION_FIRST if first else _CHALLENGER_FIRST
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
    return items, owners[: len(items)]


_CHAMPION_FIRST = (CHAMPION, CHALLENGER)
_CHALLENGER_FIRST = (CHALLENGER, CHAMPION)


def unshared(
    items: Sequence[str], owners: Sequence[str], champion: Sequence[str], challenger: Sequence[str]
) -> list[str]:
    """The owners, with nobody for each first pick of a round that either captain would have made.

    Both rankers wanted that item there, so a click on it says nothing about either; whose it became was the coin's
    doing. Its slot is nobody's under both sides of that coin, which keeps every slot fair.
    """
    ours, theirs = list(dict.fromkeys(champion)), list(dict.fromkeys(challenger))
    kept = list(owners)
    taken: set[str] = set()
    i = j = 0
    for slot in range(0, len(items), 2):
        while i < len(ours) and ours[i] in taken:
            i += 1
        while j < len(theirs) and theirs[j] in taken:
            j += 1
        if i < len(ours) and j < len(theirs) and ours[i] == theirs[j]:
            kept[slot] = NOBODY
        taken.update(items[slot : slot + 2])
    return kept
