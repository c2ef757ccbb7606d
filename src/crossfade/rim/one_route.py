"""Whether a rollout may have the route it asks for: only one at a time may be under way on it."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.rim.revisions import StoreError
from crossfade.rim.route_holders import Stands
from crossfade.spec.model import Promote, Rollout
from crossfade.state import ENDED, Phase
from crossfade.view.words import moment


class RouteTaken(StoreError):
    """Another rollout is under way on the route of this one; the message says which, and what to do."""


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
