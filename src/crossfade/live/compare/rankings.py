"""Ranked lists and unordered collections: how much of their order, or of their content, two lists share."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Hashable, Sequence
from math import sqrt

PERSISTENCE = 0.9
"""Rank-biased overlap's p: the probability that a reader goes on from one rank to the next."""


def rank_biased_overlap(a: Sequence[Hashable], b: Sequence[Hashable], p: float = PERSISTENCE) -> float:
    """Extrapolated rank-biased overlap, in 0–1, of two lists without repetitions, also of unequal length.

    After Webber, Moffat and Zobel (2010), equation 32.
    """
    short, long = sorted((a, b), key=len)
    if not short:
        return 1.0 if not long else 0.0
    s, size = len(short), len(long)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    overlap = overlap_at_s = 0
    total, weight = 0.0, 1.0
    for depth, item in enumerate(long, 1):
        weight *= p
        seen_long.add(item)
        if depth <= s:
            other = short[depth - 1]
            seen_short.add(other)
            overlap += (item in seen_short) + (other in seen_long) - (item == other)
            overlap_at_s = overlap
            total += overlap / depth * weight
        else:
            overlap += item in seen_short
            total += (overlap / depth + overlap_at_s * (depth - s) / (s * depth)) * weight
    return (1.0 - p) / p * total + ((overlap - overlap_at_s) / size + overlap_at_s / s) * weight


def kendall_tau(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Kendall's tau-b, in −1…1, over the items of both lists; what a list lacks is tied behind its end.

    None where it is not defined: when every item is tied in one of the lists.
    """
    rank_a = {item: rank for rank, item in enumerate(a)}
    rank_b = {item: rank for rank, item in enumerate(b)}
    items = list(dict.fromkeys((*a, *b)))
    return tau_b([rank_a.get(item, len(a)) for item in items], [rank_b.get(item, len(b)) for item in items])


def tau_b(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Kendall's tau-b of two lists of scores, with ties; None when either is constant."""
    n = len(x)
    pairs = n * (n - 1) // 2
    ties_x, ties_y, ties_both = _ties(x), _ties(y), _ties(list(zip(x, y, strict=True)))
    if ties_x == pairs or ties_y == pairs:
        return None
    discordant = 0
    before: list[float] = []
    for _, score in sorted(zip(x, y, strict=True)):
        # Sorted by x, then y: whatever came before with a larger y has a smaller x, so the pair disagrees.
        discordant += len(before) - bisect_right(before, score)
        insort(before, score)
    concordant = pairs - ties_x - ties_y + ties_both - discordant
    return (concordant - discordant) / sqrt((pairs - ties_x) * (pairs - ties_y))


def overlap(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """The share of the longer list that both hold, whatever the order; 1 for two empty lists."""
    longest = max(len(a), len(b))
    return len(set(a) & set(b)) / longest if longest else 1.0


def shared(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Dice's coefficient of two collections, repetitions counted; 1 for two empty ones."""
    size = len(a) + len(b)
    return 2.0 * sum((Counter(a) & Counter(b)).values()) / size if size else 1.0


def _ties(values: Sequence[Hashable]) -> int:
    return sum(n * (n - 1) // 2 for n in Counter(values).values())
