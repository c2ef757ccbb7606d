"""The words between an exchange and whoever runs it. Events say what happened and when; commands say what to do now.

`at` is seconds on a monotonic clock of the runner's choice. `call` numbers an upstream request within its exchange.
Structs rather than dataclasses: they are built several times a request, and cost a fifth.
"""

from __future__ import annotations

import msgspec

from crossfade.facts import Fact
from crossfade.spec.model import Arm, Comparison

Headers = tuple[tuple[bytes, bytes], ...]
"""Name and value as they came over the wire, in order."""


class _Record(msgspec.Struct, frozen=True, gc=False):
    pass


class Head(_Record, frozen=True):
    """Status line and headers of a reply."""

    status: int
    reason: bytes
    headers: Headers

    def lowered(self) -> dict[str, str]:
        """Lower-case names to values; of a repeated header the last."""
        return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in self.headers}


# -- events ------------------------------------------------------------------------------------------------------------


class Begun(_Record, frozen=True):
    """The request is complete and may be sent on."""

    at: float


class Started(_Record, frozen=True):
    """A mirrored call left its queue; its latency counts from here."""

    at: float
    call: int


class Arrived(_Record, frozen=True):
    """One read of an upstream reply: its head when it was in there, any body bytes, and whether that was all."""

    at: float
    call: int
    head: Head | None
    body: bytes
    ended: bool


class Failed(_Record, frozen=True):
    """A call came to an end without a whole reply; it needs no cancelling."""

    at: float
    call: int
    kind: str
    """`refused` (no connection), `timeout` (none in time), `broken` (cut or not HTTP), `dropped` (never sent),
    `exhausted` (this machine had no connection to give: our fault, never an arm's), and of copies alone `large`,
    `flood` and `shutdown` (ended by us: reading them would cost users time, or this gateway ends)."""


class Late(_Record, frozen=True):
    """The time given to a call by its `Call`, `Mirror` or `Watch` has passed; the call is still open."""

    at: float
    call: int


class Gone(_Record, frozen=True):
    """The client left."""

    at: float


Event = Begun | Started | Arrived | Failed | Late | Gone


# -- commands ----------------------------------------------------------------------------------------------------------


class Call(_Record, frozen=True):
    """Send the request to an arm at once; somebody is waiting."""

    call: int
    arm: Arm
    timeout: float
    """Seconds until `Late`."""


class Mirror(_Record, frozen=True):
    """Send a copy when there is room; nobody is waiting. Answered by `Started`, or by `Failed` with `dropped`."""

    call: int
    arm: Arm
    timeout: float
    """Seconds from `Started` until `Late`."""
    mark: str = ""
    """A header sent with the value `true`, which tells a model that writes that this is a copy; empty for none."""


class Reply(_Record, frozen=True):
    """Begin the client's reply. `extra` headers are ours and follow the model's."""

    head: Head
    extra: Headers
    body: bytes
    ended: bool


class More(_Record, frozen=True):
    """Go on with the client's reply."""

    body: bytes
    ended: bool


class Abort(_Record, frozen=True):
    """The reply cannot be finished: close the client's connection, so that it notices."""


class Cancel(_Record, frozen=True):
    """End an open call; no more events of it are wanted."""

    call: int


class Watch(_Record, frozen=True):
    """Say `Late` again when this many more seconds have passed."""

    call: int
    timeout: float


class Record(_Record, frozen=True):
    """Keep a fact."""

    fact: Fact


class Answer(_Record, frozen=True):
    """One arm's whole reply, or why there is none."""

    head: Head | None
    body: bytes
    failure: str
    """'' for a whole 2xx–4xx reply; else `status`, `timeout`, `refused`, `broken`."""
    ms: float


class Compare(_Record, frozen=True):
    """Set a mirrored request's answers side by side (`mirror.compared`), in any thread, at leisure."""

    rollout: str
    revision: str
    decision_id: str
    at: float
    unit: str
    stage: int
    segments: tuple[str, ...]
    protocol: str
    arm: str
    champion: Answer
    challenger: Answer
    noise: Answer | None
    """The champion's second answer, where one was asked for and came."""
    rules: tuple[Comparison, ...] = ()
    """How single fields are compared."""

    @property
    def size(self) -> int:
        """Bytes to be decoded."""
        return len(self.champion.body) + len(self.challenger.body) + (len(self.noise.body) if self.noise else 0)


class Count(_Record, frozen=True):
    """Shadow copies that will not be compared, and why."""

    rollout: str
    reason: str
    count: int


Command = Call | Mirror | Reply | More | Abort | Cancel | Watch | Record | Compare | Count
