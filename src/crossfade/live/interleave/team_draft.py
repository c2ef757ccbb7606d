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
    ours, theirs = _unique(champion), _unique(challenger)
    if length is None:
        length = max(len(ours), len(theirs))
    a, b = list(ours), list(theirs)
    same = a[:length] == b[:length]
    items: list[str] = []
    owners: list[str] = []
    taken: set[str] = set()
    i = j = number = 0
    while len(items) < length:
        i, j = _next(a, i, taken), _next(b, j, taken)
        if i == len(a) or j == len(b):
            break
        first = coin(number)
        number += 1
        one, other = a[i], b[j]
        if one == other:
            items.append(one)
            taken.add(one)
            owners.append(CHAMPION if first else CHALLENGER)
            i, j = _next(a, i, taken), _next(b, j, taken)
            if i == len(a) or j == len(b):
                break
            items.append(b[j] if first else a[i])
            taken.add(items[-1])
        else:
            items += (one, other) if first else (other, one)
            taken.update((one, other))
            owners.append(CHAMPION if first else CHALLENGER)
        owners.append(CHALLENGER if first else CHAMPION)
    rest = a[i:] if i < len(a) else b[j:]
    items += [item for item in rest if item not in taken]
    owners += [NOBODY] * (len(items) - len(owners))
    return Merged(
        items=tuple(items[:length]),
        owners=tuple(owners[:length]),
        from_=tuple((CHAMPION, ours[item]) if item in ours else (CHALLENGER, theirs[item]) for item in items[:length]),
        same=same,
    )


def _unique(ranking: Sequence[str]) -> dict[str, int]:
    """Each id with the index of its first appearance, in order."""
    first: dict[str, int] = {}
    for index, item in enumerate(ranking):
        first.setdefault(item, index)
    return first


def _next(ranking: list[str], index: int, taken: set[str]) -> int:
    while index < len(ranking) and ranking[index] in taken:
        index += 1
    return index
