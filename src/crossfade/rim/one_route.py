"""Whether a rollout may have the route it asks for, which one at a time may, and what it does to who served there."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.rim.revisions import StoreError
from crossfade.rim.route_holders import Stands, holders
from crossfade.spec.model import Arm, Promote, Rollout
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


def set_back(rollout: Rollout, stored: Iterable[Stands]) -> str | None:
    """What a rollout takes from users by starting: the model that was promoted on its route last, where its champion is
    another one. None where it goes on with what serves."""
    if rollout.in_process:
        return None
    others = [one for one in stored if one.rollout.name != rollout.name and not one.rollout.in_process]
    last = next((one for one in holders(others) if one.rollout.route == rollout.route), None)
    if last is None or last.position.phase is not Phase.FINISHED:
        return None
    serves, champion = last.rollout.challenger, rollout.champion
    if serves.name == champion.name or _place(serves) == _place(champion):
        return None
    return (
        f"{last.rollout.name} ended with {serves.name} ({serves.url}) serving all of {rollout.route}; "
        f"the champion here is {champion.name} ({champion.url}), and gets those users back"
    )


def _place(arm: Arm) -> tuple[str, str | None]:
    return arm.url.rstrip("/"), arm.model
