"""Optimized interleaving: lists shown just so often that position favours nobody (Radlinski and Craswell 2013).

Each list takes, slot by slot, the next item of one ranking or of the other. A linear programme says how often to show
each: so that at every slot the expected credit of a click that does not look at the items is zero, and of all such ways
the one that tells most. The solver is an argument, because solvers need numerics and this room has none.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, places, shown
from crossfade.live.interleave.team_draft import draft

DEPTH = 10
"""Slots that are optimized, and credited: their lists double with each slot. What lies below is drafted, uncredited."""

Solve = Callable[[Sequence[Sequence[float]], Sequence[float]], Sequence[float] | None]
"""From what each slot of each list is worth and how much each list tells: the probability of each list, or None."""

Order = tuple[int, ...]

Pattern = tuple[int, int, Order]
"""What a plan depends on: see `pattern`."""


class Infeasible(ValueError):
    """No way of showing the lists is fair at every slot under this credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often to show which lists. Items are numbers: the champion's by rank, then those that only the other has."""

    lists: tuple[Order, ...]
    credits: tuple[tuple[float, ...], ...]
    """For each list what a click on each slot is worth to the challenger."""
    upto: tuple[float, ...]
    """Cumulated probabilities of the lists."""


def _inverse(ours: int, theirs: int) -> float:
    return 1.0 / theirs - 1.0 / ours


def _linear(ours: int, theirs: int) -> float:
    return float(ours - theirs)


def _binary(ours: int, theirs: int) -> float:
    return float((ours > theirs) - (ours < theirs))


CREDITS: dict[str, Callable[[int, int], float]] = {"inverse-rank": _inverse, "linear": _linear, "binary": _binary}
"""What an item is worth to the challenger, from its ranks (from 1) in the champion's and the challenger's list."""


def pattern(champion: Sequence[str], challenger: Sequence[str], length: int | None = None) -> Pattern:
    """What a plan depends on, the same for all pairs of rankings that differ only in the names of their items.

    How many slots are optimized, how many items the champion ranks, and the challenger's ranking by number.
    """
    numbers = {item: number for number, item in enumerate(dict.fromkeys(champion))}
    ours = len(numbers)
    theirs = tuple(numbers.setdefault(item, len(numbers)) for item in dict.fromkeys(challenger))
    return min(ours, len(theirs), DEPTH, DEPTH if length is None else length), ours, theirs


def plan(depth: int, ours: int, theirs: Order, *, solve: Solve, credit: str = "inverse-rank") -> Plan:
    """The best fair plan for a champion's list of `ours` items and a challenger's. Raises Infeasible."""
    rank = {number: at for at, number in enumerate(theirs, 1)}

    def worth(number: int) -> float:
        return CREDITS[credit](min(number, ours) + 1, rank.get(number, len(theirs) + 1))

    lists = tuple(allowed(range(ours), theirs, depth))
    credits = tuple(tuple(worth(number) for number in order) for order in lists)
    found = solve(credits, [telling(row) for row in credits])
    if found is None:
        raise Infeasible(
            f"no mixture of the {len(lists)} lists gives zero expected {credit} credit to random clicks at every slot; "
            f"another credit may: {', '.join(name for name in CREDITS if name != credit)}"
        )
    kept = [(p, order, row) for p, order, row in zip(found, lists, credits, strict=True) if p > 1e-9]
    whole = sum(p for p, _, _ in kept)
    return Plan(
        lists=tuple(order for _, order, _ in kept),
        credits=tuple(row for _, _, row in kept),
        upto=tuple(accumulate(p / whole for p, _, _ in kept)),
    )


def allowed(a: Sequence[int], b: Sequence[int], depth: int) -> Iterator[Order]:
    """Every list of `depth` items whose each slot is the best free item of one ranking or of the other."""
    rows: list[Order] = [()]
    for _ in range(depth):
        longer: list[Order] = []
        for row in rows:
            taken = set(row)
            ours = next(item for item in a if item not in taken)
            theirs = next(item for item in b if item not in taken)
            longer.extend((*row, item) for item in dict.fromkeys((ours, theirs)))
        rows = longer
    yield from rows


def telling(credits: Sequence[float]) -> float:
    """How much one click on this list tells: how open the winner is, times how seldom nobody wins.

    The click is at slot i (from 1) with a probability in proportion to 1/i.
    """
    looked = [1.0 / slot for slot in range(1, len(credits) + 1)]
    sides = [
        sum(look for look, value in zip(looked, credits, strict=True) if value * sign > 0.0) for sign in (-1.0, 1.0)
    ]
    decided = sum(sides)
    if not decided:
        return 0.0
    openness = -sum(side / decided * log(side / decided) for side in sides if side)
    return openness * decided / sum(looked)


def show(
    champion: Sequence[str],
    challenger: Sequence[str],
    planned: Plan,
    *,
    chance: float,
    flips: Iterable[bool],
    length: int | None = None,
) -> Merged:
    """The list of the plan on which a number in [0, 1) falls; what lies below its slots is drafted, uncredited.

    Owners are named by the sign of a slot's credit.
    """
    ours, theirs = places(champion, CHAMPION), places(challenger, CHALLENGER)
    if length is None:
        length = max(len(ours), len(theirs))
    at = min(bisect(planned.upto, chance), len(planned.lists) - 1)
    names = list(ours | theirs)
    items = [names[number] for number in planned.lists[at]]
    credits = list(planned.credits[at])
    taken = set(items)
    below = draft(
        [item for item in ours if item not in taken],
        [item for item in theirs if item not in taken],
        flips=flips,
        length=max(length - len(items), 0),
    ).items
    owners = [CHALLENGER if value > 0.0 else CHAMPION if value < 0.0 else NOBODY for value in credits]
    spare = len(below)
    return shown([*items, *below], owners + [NOBODY] * spare, ours, theirs, length, credits + [0.0] * spare)
