"""Team draft: two captains pick in turn, and a fair coin says who picks first in each round (Radlinski et al. 2008)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, places, rest, shown


def draft(
    champion: Sequence[str], challenger: Sequence[str], *, flips: Iterable[bool], length: int | None = None
) -> Merged:
    """Merge two lists of ids; `flips` says round by round whether the champion picks first, for as many as there are.

    In a round each captain picks its best item not yet taken. Repeats within one list are dropped, the first kept.
    `length` is the longer list's (repeats dropped) unless given; there are never more rounds than that.

    Once either captain has nothing left to pick, the other's items fill the rest uncredited; a second pick that the
    other order of the round could not have made is uncredited too. So, whatever the lists, each slot is as likely to
    be one captain's as the other's, and clicks that do not look at the items favour neither.
    """
    ours, theirs = places(champion, CHAMPION), places(challenger, CHALLENGER)
    if length is None:
        length = max(len(ours), len(theirs))
    picks = _rounds(list(ours), list(theirs), flips, length)
    items, owners = list(picks), list(picks.values())
    if len(items) < length:
        items += rest(items, ours, theirs)
        owners += [NOBODY] * (len(items) - len(owners))
    del items[length:], owners[length:]
    return shown(items, owners, ours, theirs, length)


def _rounds(a: list[str], b: list[str], flips: Iterable[bool], length: int) -> dict[str, str]:
    """The credited items in order, each with its owner: at least `length` of them, or as many as are fair."""
    picks: dict[str, str] = {}
    # None ends each list; it is never picked, so the search for the next free item stops there.
    ours: Iterator[str | None] = iter([*a, None])
    theirs: Iterator[str | None] = iter([*b, None])
    one, other = next(ours), next(theirs)
    for first in flips:
        if len(picks) >= length:
            break
        if one in picks:
            one = _free(ours, picks)
        if other in picks:
            other = _free(theirs, picks)
        if one is None or other is None:
            break
        if one == other:
            picks[one] = CHAMPION if first else CHALLENGER
            one, other = _free(ours, picks), _free(theirs, picks)
            if one is None or other is None:
                break
            if first:
                picks[other] = CHALLENGER
            else:
                picks[one] = CHAMPION
        elif first:
            picks[one] = CHAMPION
            picks[other] = CHALLENGER
        else:
            picks[other] = CHALLENGER
            picks[one] = CHAMPION
    return picks


def _free(ranking: Iterator[str | None], picks: dict[str, str]) -> str | None:
    """The next item that nobody has picked; None where there is none left."""
    for item in ranking:
        if item not in picks:
            return item
    return None


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
