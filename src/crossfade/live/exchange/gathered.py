"""One upstream reply held back until it is whole, within the limit."""

from __future__ import annotations

from crossfade.live.exchange.examine import LIMIT
from crossfade.live.exchange.messages import Answer, Arrived, Head


class Gathered:
    """Fed with the events of one call; `over` once nothing more is wanted of it."""

    __slots__ = ("_parts", "_since", "ended_at", "failure", "head", "over", "size", "whole")

    def __init__(self, since: float) -> None:
        self._since = since
        self._parts: list[bytes] = []
        self.head: Head | None = None
        self.size = 0
        self.failure = ""
        self.over = False
        self.whole = False
        """The reply came to its end, whatever was in it."""
        self.ended_at = since

    def restart(self, at: float) -> None:
        """The call was only now sent; its latency counts from here."""
        self._since = at

    def take(self, event: Arrived) -> None:
        """Keep what came; past the limit the failure is `large`, and the parts are kept for passing on."""
        if event.head is not None:
            self.head = event.head
        self.size += len(event.body)
        self._parts.append(event.body)
        if event.ended:
            self.whole = True
            self.end(event.at)
            if self.head is not None and self.head.status >= 400:
                self.failure = "status"
        if self.size > LIMIT:
            self.failure = "large"

    def end(self, at: float, failure: str = "") -> None:
        """Nothing more will come."""
        if not self.over:
            self.over = True
            self.ended_at = at
            self.failure = self.failure or failure

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def drop(self) -> None:
        """Forget the bytes."""
        self._parts = []

    def answer(self) -> Answer:
        """The whole of it as a record."""
        return Answer(self.head, self.body, self.failure, (self.ended_at - self._since) * 1000.0)
