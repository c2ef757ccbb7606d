"""Which state machine serves a request: one function from route and assignment to an exchange."""

from __future__ import annotations

from typing import Final, Protocol

from crossfade.live.assign import Assigned, bucket
from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.examine import predicts
from crossfade.live.exchange.exposure import Exposure
from crossfade.live.exchange.interleaved import Interleaved
from crossfade.live.exchange.messages import Command, Event, Headers
from crossfade.live.exchange.mirrored import Mirrored
from crossfade.live.exchange.served import Served
from crossfade.live.health import EJECTED
from crossfade.live.protocols import WIRES
from crossfade.live.routes import Route
from crossfade.spec.model import Arm

DECISION: Final = b"x-crossfade-decision"

COUNTERFACTUAL: Final = "counterfactual:"
"""What goes before the salt, so that which units are copied says nothing of which arm they have."""

_EXPERIMENTS: Final = frozenset(("canary", "ab", "interleave", "promote"))


class Exchange(Protocol):
    """One request being served. Every call it opens is ended by an event or by its own `Cancel`."""

    @property
    def done(self) -> bool:
        """Whether nothing more is expected."""
        ...

    def receive(self, event: Event) -> list[Command]:
        """Take an event, give the commands that follow, in order."""
        ...


def exchange(route: Route, asked: Asked, assigned: Assigned, *, ejected: bool = False) -> Exchange:
    """The exchange of one request on a route. It states exactly one `Exposed` fact.

    `ejected`: the assigned challenger is out; the champion serves at once, and the unit stays where it was assigned.
    """
    exposure = Exposure(route, asked, assigned)
    extra: Headers = ((DECISION, asked.decision_id.encode()),)
    champion = route.champion
    predicting = predicts(route.protocol, asked.method)
    wire = WIRES.get(route.protocol) if predicting else None
    if route.mode == "shadow":
        served = Served(
            first=champion, behind=None, deadline=route.deadline, exposure=exposure, extra=extra, reveal=route.reveal
        )
        if wire is not None and copied(route, asked, False):
            return Mirrored(served, route, asked, to=route.challengers)
        return served
    arm = _arm(route, assigned.arm)
    challenged = arm is not champion
    ejected = ejected and challenged
    if ejected:
        exposure.ejected()
    due = route.counterfactual > 0.0 and wire is not None and copied(route, asked, challenged)
    if due:
        exposure.copied()
    if challenged and route.mode == "interleave" and route.ranking is not None and wire is not None:
        return Interleaved(route, asked, challenger=arm, exposure=exposure, extra=extra, wire=wire, ejected=ejected)
    served = Served(
        first=champion if ejected else arm,
        behind=champion if challenged and not ejected else None,
        deadline=route.deadline,
        exposure=exposure,
        extra=extra,
        reveal=route.reveal,
        wire=wire if route.mode in _EXPERIMENTS and not ejected else None,
        assigned=not ejected,
    )
    if due and not route.spent:
        if ejected:
            return Mirrored(served, route, asked, to=(arm,), unasked=EJECTED)
        if challenged:
            return Mirrored(served, route, asked, to=(champion,), first=arm)
        return Mirrored(served, route, asked, to=route.challengers)
    return served


def copied(route: Route, asked: Asked, challenged: bool) -> bool:
    """Whether also those who do not serve a request are to answer it, as far as its route tells.

    In a shadow that is drawn by request. In a canary or an A/B test it holds for all requests of a unit or for none,
    and which units those are does not depend on their arm, but for the direction that the spec may not ask for.
    """
    if route.mode == "shadow":
        return bucket("mirror", asked.decision_id) < route.mirror
    if route.counterfactual <= 0.0 or (challenged and not route.both) or not asked.unit:
        return False
    return bucket(COUNTERFACTUAL + route.salt, asked.unit) < route.counterfactual


def passing(arm: Arm, deadline: float) -> Exchange:
    """The exchange of a request outside every route: passed through, nothing recorded."""
    return Served(first=arm, behind=None, deadline=deadline, exposure=None, extra=())


def _arm(route: Route, name: str) -> Arm:
    for arm in route.challengers:
        if arm.name == name:
            return arm
    return route.champion
