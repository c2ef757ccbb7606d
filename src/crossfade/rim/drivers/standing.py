"""What is known of one rollout's router: what it was told, what it was read to do, since when, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossfade.rim.drivers.port import Carried, Order, differences
from crossfade.spec.model import Rollout
from crossfade.spec.routers import cautions
from crossfade.state import Position, weight

STALE = 10.0
"""Seconds after which what a router was read to do says nothing of now."""

GRACE = 3.0
"""Seconds a router may take to follow before it is said that it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """As of the last look at the router. Times are seconds since the epoch."""

    order: Order
    """What it shall do."""
    carried: Carried | None = None
    """What it was last read to do; None where it has never been."""
    read_at: float | None = None
    """When that was."""
    cannot: str = ""
    """What the rollout wants of it that it cannot do; then the order is the champion alone."""
    problem: str = ""
    """Why it could not be told or read last; empty where it could."""
    since: float = 0.0
    """Since when it agrees with the order, or does not."""
    corrected: int = 0
    """How often somebody else had set it, and it was set right."""
    failures: int = 0
    """Attempts that failed, one after the other."""

    @property
    def differs(self) -> list[str]:
        """What it does otherwise than it was told."""
        return [] if self.carried is None else differences(self.order, self.carried)

    @property
    def agrees(self) -> bool:
        """Whether the last look found that it does what it was told."""
        return self.carried is not None and not self.problem and not self.differs

    @property
    def planned(self) -> bool:
        """Whether it does what the plan says, so that the rollout may go on."""
        return self.agrees and not self.cannot

    @property
    def above(self) -> float | None:
        """The share of units that challengers have beyond what is planned; None where nobody knows what they have."""
        if self.carried is None:
            return None
        planned, champion = self.order.shares, self.order.champion.name
        return max(0.0, sum(s - planned.get(a, 0.0) for a, s in self.carried.shares.items() if a != champion))

    def why(self) -> str:
        """What is wrong, in words; empty where nothing is."""
        title = self.order.limits.title
        if self.problem:
            return self.problem
        if self.cannot:
            return f"{self.cannot}; the champion serves everyone"
        if self.carried is None:
            return f"{title} has not been asked yet"
        return "; ".join(self.differs) if self.differs else ""

    def of(self, rollout: Rollout, position: Position, now: float) -> str:
        """Why the rollout at this position cannot rest on the router; empty where it can."""
        title, mark = self.order.limits.title, self.order.mark
        if (mark.revision, mark.stage, mark.step) != (rollout.revision, position.stage, position.step):
            return f"{title} has not been told yet"
        if self.read_at is not None and now - self.read_at > STALE:
            why = f": {self.problem}" if self.problem else ""
            return f"{title} could not be read for {now - self.read_at:.0f} s{why}"
        if self.order.back and weight(rollout, position) > 0.0:
            return self.why() or f"{title} was told to give the champion everything"
        return "" if self.planned else self.why()

    def late(self, now: float) -> bool:
        """Whether it has not followed for longer than following takes."""
        return not self.planned and now - self.since > GRACE

    def to_json(self, now: float) -> dict[str, Any]:
        """The record that pages, `status --json` and /metrics show under `router`."""
        order, carried = self.order, self.carried
        return {
            "driver": order.router.driver,
            "agrees": self.agrees,
            "since": self.since,
            "problem": self.why() or None,
            "told": {"shares": order.shares, "mirrors": order.mirrors, "mark": str(order.mark)},
            "carries": None
            if carried is None
            else {
                "shares": dict(carried.shares),
                "mirrors": dict(carried.mirrors),
                "mark": None if carried.mark is None else str(carried.mark),
                "said": carried.said,
                "age": None if self.read_at is None else max(0.0, now - self.read_at),
            },
            "above": self.above,
            "corrected": self.corrected,
            "cautions": list(cautions(order.router, order.unit)),
        }
