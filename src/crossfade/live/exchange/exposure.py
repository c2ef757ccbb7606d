"""What one request's `Exposed` fact will say, gathered while the request is served and stated exactly once."""

from __future__ import annotations

from typing import Final

from crossfade.facts import Exposed
from crossfade.live.assign import Assigned
from crossfade.live.exchange.asked import Asked
from crossfade.live.health import EJECTED
from crossfade.live.routes import Route

CLIENT_LEFT: Final = "client-left"

EXHAUSTED: Final = "exhausted"
"""No connection could be opened because of this machine's own limits. No arm is blamed for that."""


class Exposure:
    """The assigned arm's fate, set by `failed`, `ejected`, `timed` and `left`, and stated by `fact`."""

    __slots__ = ("_asked", "_assigned", "_copied", "_latency", "_reason", "_route", "_wrong")

    def __init__(self, route: Route, asked: Asked, assigned: Assigned) -> None:
        self._route = route
        self._asked = asked
        self._assigned = assigned
        self._latency = -1.0
        self._wrong = False
        self._reason = route.why
        self._copied = False

    def failed(self, reason: str, at: float) -> None:
        """The assigned arm failed; the first failure counts. What this machine lacked is told, but not as its fault."""
        if not self._wrong:
            self._wrong = reason != EXHAUSTED
            self._reason = reason
        self.timed(at)

    def copied(self) -> None:
        """A copy is due to an arm that does not serve the request."""
        self._copied = True

    def ejected(self) -> None:
        """The assigned arm is out and was not asked. It failed this unit, in the time that the unit waited."""
        self._wrong = True
        self._reason = EJECTED

    def timed(self, at: float) -> None:
        """The assigned arm's answer was whole, or lost, at this moment; the first call counts."""
        if self._latency < 0.0:
            self._latency = (at - self._asked.start) * 1000.0

    def left(self) -> None:
        """The client did not wait; that alone does not make the arm a failure."""
        if not self._wrong:
            self._reason = CLIENT_LEFT

    def fact(self, at: float, *, served_by: str, status: int, size: int) -> Exposed:
        """The fact, as the request ends."""
        route, asked = self._route, self._asked
        total = (at - asked.start) * 1000.0
        return Exposed(
            rollout=route.rollout,
            revision=route.revision,
            decision_id=asked.decision_id,
            at=asked.now,
            unit=asked.unit,
            arm=self._assigned.arm,
            served_by=served_by,
            mode=route.mode,
            stage=route.stage,
            step=route.step,
            weight=route.weight,
            status=status,
            failed=self._wrong,
            reason=self._reason,
            latency_ms=self._latency if self._latency >= 0.0 else total,
            total_ms=total,
            size=size,
            segments=asked.segments,
            copied=self._copied,
        )
