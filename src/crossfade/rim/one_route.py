"""Whose a route is when several rollouts have asked for it, one after another: only one of them may be under way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from crossfade.rim.store import StoreError
from crossfade.spec.model import Promote, Rollout
from crossfade.state import ENDED, Phase, Position
from crossfade.view.words import moment


class RouteTaken(StoreError):
    """Another rollout is under way on the route of this one; the message says which, and what to do."""


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


def taken(rollout: Rollout, stored: Iterable[Stands]) -> str | None:
    """Why the route of a rollout cannot be had now; None where it can. Models inside programs have no route."""
    for other in stored:
        there, position = other.rollout, other.position
        if there.name == rollout.name or there.route != rollout.route or there.in_process or rollout.in_process:
            continue
        if position.phase in ENDED:
            continue
        last = there.stages[-1]
        if position.phase is Phase.PROMOTED and isinstance(last, Promote):
            stands = f"promoted and watched until {moment(position.stage_since + last.watch)} UTC"
            todo = "wait until it is finished, or shorten `watch:` in its spec and `crossfade reload` that"
        else:
            stands = str(position.phase).replace("_", " ")
            todo = f"let it end, `crossfade rollback {there.name} --reason …`, or choose another route"
        return f"{rollout.name}: route {rollout.route} belongs to {there.name}, which is {stands}; {todo}"
    return None
