"""Whose a route is when several rollouts have asked for it, one after another. Quick to import: gateways ask it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from crossfade.spec.model import Rollout
from crossfade.state import ENDED, Phase, Position


class Stands(Protocol):
    """A rollout and where it stands."""

    @property
    def rollout(self) -> Rollout:
        """The parsed spec."""
        ...

    @property
    def position(self) -> Position:
        """Where it stands."""
        ...


Standing = TypeVar("Standing", bound=Stands)


def holders(stored: Iterable[Standing]) -> list[Standing]:
    """The one rollout of each route that its requests are served by: what is under way, else what ended last."""
    held: dict[str, Standing] = {}
    for one in stored:
        other = held.get(one.rollout.route)
        if other is None or _claim(one) > _claim(other):
            held[one.rollout.route] = one
    return list(held.values())


def _claim(one: Stands) -> tuple[bool, float]:
    phase = one.position.phase
    return phase not in ENDED and phase is not Phase.PENDING, one.position.step_since
