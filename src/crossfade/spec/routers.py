"""What each router that may stand in the gateway's place can do and cannot: written here once.

`crossfade check` refuses what a router cannot carry, and evidence says what a reader has to know of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.spec.model import Field, From
from crossfade.spec.router import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a driver can do; everything it cannot is refused or told."""

    title: str
    """The router's name in sentences."""
    sticky: tuple[From, ...] = ()
    """Where the router can read a unit so that it keeps its arm while weights grow. Where it cannot, each request is
    drawn by itself, and only `unit: request` is true of it."""
    mirror: bool = False
    """It can send copies of requests to a hidden arm. None shows the replies to them, so that nothing is compared."""
    excludes: tuple[From, ...] = ()
    """Where it can read a segment that has to stay on the champion."""
    step: float = 1e-6
    """The smallest share that it can tell apart from none; weights are rounded down to a multiple of it."""
    challengers: int = 1
    """How many challengers it can tell apart."""
    fenced: bool = False
    """It refuses what a controller writes that does not lead any more; elsewhere the next look overwrites that."""

    def holds(self, unit: Field) -> bool:
        """Whether units keep their arm; always where every request is a unit of its own."""
        return unit.source is From.REQUEST or unit.source in self.sticky

    def carried(self, share: float) -> float:
        """The share that it really gives where `share` is asked for: never more."""
        # A share such as 0.29 is a hair less than 29 hundredths, and must not become 28 of them.
        return min(1.0, round(int(share / self.step + 1e-6) * self.step, 9))


LIMITS: dict[str, Limits] = {
    "envoy": Limits(
        title="Envoy",
        sticky=(From.HEADER, From.COOKIE),
        mirror=True,
        excludes=(From.HEADER,),
        challengers=8,
    ),
    "haproxy": Limits(title="HAProxy", sticky=(From.HEADER, From.COOKIE)),
    "gateway_api": Limits(title="Gateway API", mirror=True, challengers=8, fenced=True),
    "istio": Limits(title="Istio", mirror=True, step=0.01, challengers=8, fenced=True),
    "kserve": Limits(title="KServe", step=0.01, fenced=True),
}
"""Every driver there is."""


def cautions(router: Router, unit: Field) -> tuple[str, ...]:
    """What whoever reads evidence has to know of a router in place of the gateway."""
    limits = LIMITS[router.driver]
    told = [f"{limits.title} carries the traffic: what is known of requests is what its access log says"]
    if unit.source is From.REQUEST:
        told.append("assignment is per request: who asks again may meet the other arm")
    told.append("no answer of the champion stands in for a challenger that fails")
    return tuple(told)
