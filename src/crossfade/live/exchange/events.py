"""What an exchange is told: what happened and when.

`at` is seconds on a monotonic clock of the runner's choice. `call` numbers an upstream request within its exchange.
"""

from __future__ import annotations

from typing import final

from crossfade.live.exchange.heads import Head, Word
from crossfade.live.interleave.optimized import Plan


@final
class Begun(Word):
    """The request is complete and may be sent on."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


@final
class Started(Word):
    """A mirrored call left its queue; its latency counts from here."""

    __slots__ = ("at", "call")

    def __init__(self, at: float, call: int) -> None:
        self.at = at
        self.call = call


@final
class Arrived(Word):
    """One read of an upstream reply: its head when it was in there, any body bytes, and whether that was all."""

    __slots__ = ("at", "body", "call", "ended", "head")

    def __init__(self, at: float, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        self.at = at
        self.call = call
        self.head = head
        self.body = body
        self.ended = ended


@final
class Failed(Word):
    """A call came to an end without a whole reply; it needs no cancelling."""

    __slots__ = ("at", "call", "kind")

    def __init__(self, at: float, call: int, kind: str) -> None:
        self.at = at
        self.call = call
        self.kind = kind
        """`refused` (no connection), `timeout` (none in time), `broken` (cut or not HTTP), `dropped` (never sent),
        `exhausted` (this machine had no connection to give: our fault, never an arm's), and of copies alone `large`,
        `flood` and `shutdown` (ended by us: reading them would cost users time, or this gateway ends)."""


@final
class Late(Word):
    """The time given to a call by its `Call`, `Mirror` or `Watch` has passed; the call is still open."""

    __slots__ = ("at", "call")

    def __init__(self, at: float, call: int) -> None:
        self.at = at
        self.call = call


@final
class Gone(Word):
    """The client left."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


@final
class Devised(Word):
    """What came of `Devise`; None where there is no plan, or none yet."""

    __slots__ = ("at", "plan")

    def __init__(self, at: float, plan: Plan | None) -> None:
        self.at = at
        self.plan = plan


Event = Begun | Started | Arrived | Failed | Late | Gone | Devised
