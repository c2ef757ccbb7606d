"""Balanced interleaving: one coin says who leads, and each prefix holds as much of one list's top as of the other's.

Joachims 2002, with the credit of Chapelle, Joachims, Radlinski and Yue 2012. It is kept for comparison: a click that
does not look at the items favours one ranker for some pairs of lists (A = 123, B = 231: B wins two thirds), which
`debiased` credit repairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, places, shown


def balance(
    champion: Sequence[str], challenger: Sequence[str], *, champion_leads: bool, length: int | None = None
) -> Merged:
    """Merge two lists of ids. Repeats within one list are dropped; when one list ends, the other goes on alone.

    An owner is whose turn brought the item in; a slot that either could have brought at that turn is nobody's.
    """
    ours, theirs = places(champion, CHAMPION), places(challenger, CHALLENGER)
    if length is None:
        length = max(len(ours), len(theirs))
    items, owners = _turns(list(ours), list(theirs), champion_leads, length)
    return shown(items, owners, ours, theirs, length)


def balance_fairly(
    champion: Sequence[str], challenger: Sequence[str], *, champion_leads: bool, length: int | None = None
) -> Merged:
    """The same list with the `debiased` credit: a slot is worth something where either coin gives it to one of both.

    The other side of the coin gives each such slot to the other, so that a list and its opposite are as likely.
    """
    merged = balance(champion, challenger, champion_leads=champion_leads, length=length)
    other = balance(champion, challenger, champion_leads=not champion_leads, length=length).owners
    owners = tuple(
        [
            owner if owner != NOBODY != there and owner != there else NOBODY
            for owner, there in zip(merged.owners, other, strict=True)
        ]
    )
    return Merged(items=merged.items, owners=owners, from_=merged.from_, same=merged.same)


def _turns(a: list[str], b: list[str], champion_leads: bool, length: int) -> tuple[list[str], list[str]]:
    items: list[str] = []
    owners: list[str] = []
    taken: set[str] = set()
    i = j = 0
    while len(items) < length and (i < len(a) or j < len(b)):
        level = i < len(a) and j < len(b) and a[i] == b[j]
        ours = j >= len(b) or (i < len(a) and (i < j or (i == j and champion_leads)))
        item = a[i] if ours else b[j]
        i, j = i + ours, j + (not ours)
        if item not in taken:
            taken.add(item)
            items.append(item)
            owners.append(NOBODY if level else CHAMPION if ours else CHALLENGER)
    return items, owners


def credits(
    items: Sequence[str], champion: Sequence[str], challenger: Sequence[str], engaged: Mapping[str, float]
) -> tuple[float, float]:
    """What the engaged items are worth to the champion and to the challenger, within the depth that was looked at.

    That depth k is the smaller of the two ranks of the lowest item engaged with; an item in both lists' first k
    counts for both.
    """
    seen = [item for item in items if engaged.get(item)]
    if not seen:
        return 0.0, 0.0
    ours, theirs = list(dict.fromkeys(champion)), list(dict.fromkeys(challenger))
    depth = 1 + min(ranking.index(seen[-1]) for ranking in (ours, theirs) if seen[-1] in ranking)
    return _sum(engaged, seen, ours[:depth]), _sum(engaged, seen, theirs[:depth])


def _sum(engaged: Mapping[str, float], seen: Iterable[str], top: Sequence[str]) -> float:
    return sum(engaged[item] for item in seen if item in top)


def debiased(
    champion: Sequence[str], challenger: Sequence[str], *, length: int | None = None
) -> dict[tuple[int, str], float]:
    """Inverse propensities by (slot, owner): what a click there weighs, so that position alone favours nobody.

    Of the two lists that the coin chooses between, a slot may be the champion's in none, one or both. Where only one
    of the rankers ever owns a slot nothing can be learned from it, and its weight is 0.
    """
    lists = [balance(champion, challenger, champion_leads=leads, length=length).owners for leads in (True, False)]
    weights: dict[tuple[int, str], float] = {}
    for slot, owners in enumerate(zip(*lists, strict=True)):
        both = CHAMPION in owners and CHALLENGER in owners
        for owner in (CHAMPION, CHALLENGER):
            weights[slot, owner] = len(owners) / owners.count(owner) if both else 0.0
    return weights
