"""Interleaving inside a program: any rankings, any method, no server; `crossfade.interleave` is this file's function.

>>> from crossfade import interleave
>>> page = interleave(["a", "b", "c", "d"], ["b", "d", "c", "a"], method="team-draft", seed="user-7:shoes")
>>> page.items
('b', 'a', 'c', 'd')
>>> page.owners
(1, 0, 0, 1)
>>> page.preference(["b"])
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from crossfade.judge.credit.fair import fair_mixture
from crossfade.live.interleave import (
    CHALLENGER,
    CHAMPION,
    NOBODY,
    Merged,
    balanced,
    merge,
    multileave,
    optimized,
    pairwise_preference,
    probabilistic_multileave,
    team_draft,
    team_draft_multileave,
)
from crossfade.live.interleave.chance import flips, uniform, uniforms

PAIRS = ("team-draft", "balanced", "probabilistic", "optimized")
SEVERAL = ("team-draft-multileave", "probabilistic-multileave", "pairwise-preference")
METHODS = PAIRS + SEVERAL
CREDITS = ("standard", "unshared", "debiased")

GRADED = ("probabilistic", "optimized", "probabilistic-multileave")
"""Methods whose credit is fair on average but not by its sign: a large one shown seldom stands against a small one
shown often. Their votes are numbers."""

Engaged = Iterable[str] | Mapping[str, float]
"""The items that somebody clicked, bought or dwelt on: names, or names with a weight each."""

Rankings = tuple[tuple[str, ...], ...]

_SIDES = {CHAMPION: 0, CHALLENGER: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One list drawn from several rankings, and what engagement with its items says about them."""

    method: str
    items: tuple[str, ...]
    owners: tuple[int | None, ...]
    """For each slot which ranking it is credited to (0 is the first one given); None for nobody's."""
    same: bool
    """All rankings are the same over the length shown: no evidence for any."""
    rankings: Rankings = field(repr=False)
    worth: tuple[tuple[float, ...], ...] = field(repr=False)
    """For each slot what a click is worth to each ranking, where that does not depend on other clicks."""

    def credit(
        self, engaged: Engaged, *, function: str = "standard", examined: Sequence[float] | None = None
    ) -> tuple[float, ...]:
        """What each ranking gets. Items that are not on the page count nothing; a name given twice counts once.

        `standard` is the method's own credit. `unshared` (team-draft) leaves out picks that either captain would have
        made. `debiased` (team-draft, balanced, probabilistic) weighs by the inverse of how often the slot is its
        owner's, and of how often it is looked at where `examined` says so for each slot.
        """
        weights = dict(engaged) if isinstance(engaged, Mapping) else dict.fromkeys(engaged, 1.0)
        if function == "debiased":
            return self._owned(weights, self.owners, self._inverse(examined))
        if examined is not None:
            raise ValueError("`examined` is for function='debiased'")
        if function == "unshared":
            return self._owned(weights, self._unshared(), {})
        if function != "standard":
            raise ValueError(f"credit function {function!r} is not known; allowed: {', '.join(CREDITS)}")
        if self.method == "pairwise-preference":
            return pairwise_preference.credit(self.rankings, self.items, weights)
        if self.method == "balanced":
            return balanced.credits(self.items, self.rankings[0], self.rankings[1], weights)
        total = [0.0] * len(self.rankings)
        for item, worth in zip(self.items, self.worth, strict=True):
            if weights.get(item):
                total = [so_far + weights[item] * one for so_far, one in zip(total, worth, strict=True)]
        return tuple(total)

    def preference(self, engaged: Engaged, *, function: str = "standard", over: tuple[int, int] = (1, 0)) -> float:
        """The credit of one ranking less another's: above 0 the second ranking given (`over[0]`) is preferred."""
        credit = self.credit(engaged, function=function)
        return credit[over[0]] - credit[over[1]]

    def vote(self, engaged: Engaged) -> float:
        """What a session that sees this page says of the second ranking given, from −1 to 1, as a rollout counts it.

        Where credits are graded it is the credit over the most that it could have been; elsewhere its sign.
        """
        weights = dict(engaged) if isinstance(engaged, Mapping) else dict.fromkeys(engaged, 1.0)
        whole = sum(weight for item, weight in weights.items() if item in self.items)
        credit = self.preference(weights) if whole else 0.0
        # Credits are sums of fractions: what should cancel may leave a trace of rounding.
        if abs(credit) < 1e-9:
            return 0.0
        return credit / whole if self.method in GRADED else 1.0 if credit > 0.0 else -1.0

    def _owned(
        self, weights: Mapping[str, float], owners: Sequence[int | None], inverse: Mapping[tuple[int, int], float]
    ) -> tuple[float, ...]:
        total = [0.0] * len(self.rankings)
        for slot, (item, owner) in enumerate(zip(self.items, owners, strict=True)):
            if owner is not None:
                total[owner] += weights.get(item, 0.0) * inverse.get((slot, owner), 1.0)
        return tuple(total)

    def _inverse(self, examined: Sequence[float] | None) -> dict[tuple[int, int], float]:
        if self.method not in ("team-draft", "balanced", "probabilistic"):
            raise ValueError(f"{self.method} has no debiased credit; its own is fair at every slot")
        if examined is not None and (len(examined) < len(self.items) or min(examined, default=1.0) <= 0.0):
            raise ValueError(f"`examined` needs a number above 0 for each of the {len(self.items)} slots")
        seen = examined or (1.0,) * len(self.items)
        if self.method == "balanced":
            known = balanced.debiased(self.rankings[0], self.rankings[1], length=len(self.items))
            return {(slot, _SIDES[owner]): weight / seen[slot] for (slot, owner), weight in known.items()}
        # Elsewhere every slot that is anybody's is as often one ranking's as the other's.
        return {(slot, owner): 2.0 / seen[slot] for slot in range(len(self.items)) for owner in (0, 1)}

    def _unshared(self) -> list[int | None]:
        if self.method != "team-draft":
            raise ValueError("'unshared' is a credit of team-draft; other methods know shared items by their ranks")
        named = [None if owner is None else (CHAMPION, CHALLENGER)[owner] for owner in self.owners]
        kept = team_draft.unshared(self.items, [name or NOBODY for name in named], *self.rankings)
        return [_SIDES.get(name) for name in kept]


def interleave(
    *rankings: Sequence[str],
    method: str = "team-draft",
    seed: object,
    length: int | None = None,
    credit: str = "inverse-rank",
) -> Page:
    """One list out of several rankings of item ids, best first. The same seed and rankings give the same list.

    `length` is the longest ranking's unless given. `credit` is for `optimized` only: inverse-rank, linear or binary;
    its ValueError says where no fair way of showing the lists exists. For the next page of the same result ask for a
    longer list with the same seed and cut it: longer lists begin as shorter ones do (but for `optimized`).
    """
    if method not in METHODS:
        raise ValueError(f"interleaving method {method!r} is not known; allowed: {', '.join(METHODS)}")
    if len(rankings) != 2 and (method in PAIRS or len(rankings) < 2):
        wanted = "2 rankings" if method in PAIRS else "2 rankings or more"
        raise ValueError(f"{method} takes {wanted}, found {len(rankings)}; for more there are {', '.join(SEVERAL)}")
    if length is not None and length < 0:
        raise ValueError(f"a list of {length} items cannot be made; expected 0 or more")
    kept: Rankings = tuple(tuple(dict.fromkeys(ranking)) for ranking in rankings)
    key = str(seed)
    if method in SEVERAL:
        return _several(method, kept, key, length)
    if method == "optimized":
        return _pair(method, kept, _optimized(kept[0], kept[1], key, length, credit))
    return _pair(method, kept, merge(method, kept[0], kept[1], key=key, length=length))


def _pair(method: str, rankings: Rankings, merged: Merged) -> Page:
    return Page(
        method=method,
        items=merged.items,
        owners=tuple(_SIDES.get(owner) for owner in merged.owners),
        same=merged.same,
        rankings=rankings,
        worth=tuple((max(-worth, 0.0), max(worth, 0.0)) for worth in merged.worth()),
    )


def _several(method: str, rankings: Rankings, key: str, length: int | None) -> Page:
    merged = _MULTILEAVED[method](rankings, key, length)
    return Page(
        method=method,
        items=merged.items,
        owners=tuple(None if owner == multileave.NO_RANKER else owner for owner in merged.owners),
        same=len({ranking[: len(merged.items)] for ranking in rankings}) == 1,
        rankings=rankings,
        worth=merged.credits,
    )


def _team_draft_multileave(rankings: Rankings, key: str, length: int | None) -> multileave.Multileaved:
    def order(round: int) -> list[int]:
        """A shuffle: from the end, each place changes with one of those up to it."""
        captains = list(range(len(rankings)))
        for place in range(len(captains) - 1, 0, -1):
            other = int(uniform(key, round * len(captains) + place) * (place + 1))
            captains[place], captains[other] = captains[other], captains[place]
        return captains

    return team_draft_multileave.draft(rankings, order=order, length=length)


_MULTILEAVED: dict[str, Callable[[Rankings, str, int | None], multileave.Multileaved]] = {
    "team-draft-multileave": _team_draft_multileave,
    "probabilistic-multileave": lambda rankings, key, length: probabilistic_multileave.draw(
        rankings, uniform=uniforms(key), length=length
    ),
    "pairwise-preference": lambda rankings, key, length: pairwise_preference.mix(
        rankings, uniform=uniforms(key), length=length
    ),
}


def _optimized(a: Sequence[str], b: Sequence[str], key: str, length: int | None, credit: str) -> Merged:
    if credit not in optimized.CREDITS:
        raise ValueError(f"credit {credit!r} is not known; allowed: {', '.join(optimized.CREDITS)}")
    planned = _plan(*optimized.pattern(a, b, length), credit)
    return optimized.show(a, b, planned, chance=uniform(key, 0), flips=flips(key), length=length)


@lru_cache(maxsize=4096)
def _plan(depth: int, ours: int, theirs: optimized.Order, credit: str) -> optimized.Plan:
    return optimized.plan(depth, ours, theirs, solve=fair_mixture, credit=credit)
