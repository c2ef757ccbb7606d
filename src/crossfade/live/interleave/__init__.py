"""Two rankings in one list, one file a method; chance is an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.live.interleave import optimized
from crossfade.live.interleave.balanced import balance, balance_fairly
from crossfade.live.interleave.chance import coin, coins, flips, uniform, uniforms
from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, credit, recorded
from crossfade.live.interleave.probabilistic import draw
from crossfade.live.interleave.team_draft import draft

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "METHODS",
    "NOBODY",
    "PLANNED",
    "Merged",
    "coin",
    "credit",
    "flips",
    "merge",
    "merge_fairly",
    "recorded",
]


def _team_draft(a: Sequence[str], b: Sequence[str], key: str, length: int | None) -> Merged:
    return draft(a, b, flips=flips(key), length=length)


def _balanced(a: Sequence[str], b: Sequence[str], key: str, length: int | None) -> Merged:
    return balance(a, b, champion_leads=coin(key, 0), length=length)


def _probabilistic(a: Sequence[str], b: Sequence[str], key: str, length: int | None) -> Merged:
    return draw(a, b, coin=coins(key), uniform=uniforms(key), length=length)


_BY_NAME: dict[str, Callable[[Sequence[str], Sequence[str], str, int | None], Merged]] = {
    "team-draft": _team_draft,
    "balanced": _balanced,
    "probabilistic": _probabilistic,
}

METHODS = tuple(_BY_NAME)
"""Names that `merge` knows. `optimized` needs a solver besides, and several challengers another record: see
`optimized` and `multileave`."""


def merge(
    method: str, champion: Sequence[str], challenger: Sequence[str], *, key: str, length: int | None = None
) -> Merged:
    """One list out of two lists of item ids. All chance comes from `key`, so the same key shows the same list.

    Golden vectors: tests/golden/interleave.json. Raises ValueError for a method that is not in METHODS.
    """
    merging = _BY_NAME.get(method)
    if merging is None:
        raise ValueError(f"interleaving method {method!r} is not known; allowed: {', '.join(METHODS)}")
    return merging(champion, challenger, key, length)


PLANNED = "optimized"
"""The method that needs a plan for each pair of rankings, from a solver that is not in this room."""


def merge_fairly(
    method: str, champion: Sequence[str], challenger: Sequence[str], *, key: str, plan: optimized.Plan | None = None
) -> Merged:
    """What people are shown in a rollout: `merge`, with credit that position alone gives to nobody, slot by slot.

    `plan` is for PLANNED and made of `optimized.pattern`. Balanced interleaving gives its `debiased` credit.
    """
    if method == PLANNED:
        assert plan is not None
        return optimized.show(champion, challenger, plan, chance=uniform(key, 0), flips=flips(key))
    if method == "balanced":
        return balance_fairly(champion, challenger, champion_leads=coin(key, 0))
    return merge(method, champion, challenger, key=key)
