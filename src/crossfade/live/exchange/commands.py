"""What an exchange asks for: what its runner should do now."""

from __future__ import annotations

from typing import final

from crossfade.facts import Fact
from crossfade.live.exchange.heads import Head, Headers, Word
from crossfade.live.exchange.pairs import Compare
from crossfade.live.interleave.optimized import Pattern
from crossfade.spec.model import Arm


@final
class Call(Word):
    """Send the request to an arm at once; somebody is waiting."""

    __slots__ = ("arm", "call", "timeout")

    def __init__(self, call: int, arm: Arm, timeout: float) -> None:
        self.call = call
        self.arm = arm
        self.timeout = timeout
        """Seconds until `Late`."""


@final
class Mirror(Word):
    """Send a copy when there is room; nobody is waiting. Answered by `Started`, or by `Failed` with `dropped`."""

    __slots__ = ("arm", "call", "mark", "timeout")

    def __init__(self, call: int, arm: Arm, timeout: float, mark: str = "") -> None:
        self.call = call
        self.arm = arm
        self.timeout = timeout
        """Seconds from `Started` until `Late`."""
        self.mark = mark
        """A header sent with the value `true`, which tells a model that writes that this is a copy; empty for none."""


@final
class Reply(Word):
    """Begin the client's reply. `extra` headers are ours and follow the model's."""

    __slots__ = ("body", "ended", "extra", "head")

    def __init__(self, head: Head, extra: Headers, body: bytes, ended: bool) -> None:
        self.head = head
        self.extra = extra
        self.body = body
        self.ended = ended


@final
class More(Word):
    """Go on with the client's reply."""

    __slots__ = ("body", "ended")

    def __init__(self, body: bytes, ended: bool) -> None:
        self.body = body
        self.ended = ended


@final
class Abort(Word):
    """The reply cannot be finished: close the client's connection, so that it notices."""

    __slots__ = ()


@final
class Cancel(Word):
    """End an open call; no more events of it are wanted."""

    __slots__ = ("call",)

    def __init__(self, call: int) -> None:
        self.call = call


@final
class Watch(Word):
    """Say `Late` again when this many more seconds have passed."""

    __slots__ = ("call", "timeout")

    def __init__(self, call: int, timeout: float) -> None:
        self.call = call
        self.timeout = timeout


@final
class Record(Word):
    """Keep a fact."""

    __slots__ = ("fact",)

    def __init__(self, fact: Fact) -> None:
        self.fact = fact


@final
class Count(Word):
    """Shadow copies that will not be compared, and why."""

    __slots__ = ("count", "reason", "rollout")

    def __init__(self, rollout: str, reason: str, count: int) -> None:
        self.rollout = rollout
        self.reason = reason
        self.count = count


@final
class Devise(Word):
    """Plan how two rankings are shown (`optimized.pattern`); answered by `Devised`, soon, since somebody is waiting."""

    __slots__ = ("pattern",)

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern


@final
class AsAsked(Word):
    """From here on send the request as the client sent it, not with the page that models were to be asked for."""

    __slots__ = ()


Command = Call | Mirror | Reply | More | Abort | Cancel | Watch | Record | Compare | Count | Devise | AsAsked
