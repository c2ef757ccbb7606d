"""One arm answers; where that is a challenger that fails before its reply has begun, the champion answers instead."""

from __future__ import annotations

from enum import IntEnum
from typing import assert_never

from crossfade.live.exchange.examine import LIMIT, flaw, readable
from crossfade.live.exchange.exposure import Exposure
from crossfade.live.exchange.messages import (
    Abort,
    Arrived,
    Begun,
    Call,
    Cancel,
    Command,
    Devised,
    Event,
    Failed,
    Gone,
    Head,
    Headers,
    Late,
    More,
    Record,
    Reply,
    Started,
    Watch,
)
from crossfade.live.exchange.problems import unanswered
from crossfade.live.protocols.base import Wire
from crossfade.spec.model import Arm


class _State(IntEnum):
    ASKED = 0
    """Nothing has gone to the client; a held reply may be gathering."""
    FLOWING = 1
    """The reply has begun; what comes is passed on."""
    DONE = 2


_ASKED, _FLOWING, _DONE = _State.ASKED, _State.FLOWING, _State.DONE


class Served:
    """Ask `first`, and `behind` when it fails in time. `exposure` None means that nothing is recorded (pass-through).

    `wire` is given where replies count as evidence: a challenger's is then held until it is known to be usable, and a
    champion's is read after it was passed on, so that both arms are judged by the same measure.
    """

    __slots__ = (
        "_arm",
        "_assigned",
        "_behind",
        "_call",
        "_copy",
        "_deadline",
        "_exposure",
        "_extra",
        "_head",
        "_held",
        "_last",
        "_reveal",
        "_size",
        "_start",
        "_state",
        "_wire",
    )

    def __init__(
        self,
        *,
        first: Arm,
        behind: Arm | None,
        deadline: float,
        exposure: Exposure | None,
        extra: Headers,
        reveal: bool = False,
        wire: Wire | None = None,
        assigned: bool = True,
    ) -> None:
        self._arm = first
        self._behind = behind
        self._deadline = deadline
        self._exposure = exposure
        self._extra = extra
        self._reveal = reveal
        self._wire = wire
        self._assigned = assigned
        """Whether the arm now asked is the one the unit was assigned to."""
        self._call = 0
        self._state = _ASKED
        self._head: Head | None = None
        self._copy: list[bytes] | None = [] if wire is not None else None
        self._held = 0
        self._size = 0
        self._start = self._last = 0.0

    @property
    def done(self) -> bool:
        """Whether the client has all it will get."""
        return self._state is _DONE

    @property
    def asking(self) -> int:
        """The call whose reply the client gets, or would: 0, or 1 once the first has failed."""
        return self._call

    def receive(self, event: Event) -> list[Command]:
        """What to do now."""
        match event:
            case Arrived():
                if event.call != self._call or self._state is _DONE:
                    return []
                return self._flow(event) if self._state is _FLOWING else self._hold(event)
            case Begun():
                self._start = self._last = event.at
                room = self._deadline if self._behind is None else self._deadline / 2.0
                return [Call(self._call, self._arm, min(self._arm.timeout, room))]
            case Failed():
                if event.call != self._call or self._state is _DONE:
                    return []
                return self._lost(event.kind, event.at)
            case Late():
                return self._late(event)
            case Gone():
                return self._gone(event.at)
            case Started() | Devised():
                return []
            case _:
                assert_never(event)

    # -- a reply that has not begun --------------------------------------------------------------------------------

    def _hold(self, event: Arrived) -> list[Command]:
        self._last = event.at
        if event.head is not None:
            self._head = event.head
        head = self._head
        if head is None:
            return []
        if self._behind is None:
            return self._begin(head, event.body, event)
        if head.status >= 500:
            return self._fall_back("status", event.at, still_open=not event.ended)
        if self._copy is None or not 200 <= head.status < 300 or not readable(head):
            return self._begin(head, event.body, event)
        self._copy.append(event.body)
        self._held += len(event.body)
        if event.ended:
            return self._weigh(head, b"".join(self._copy), event)
        if self._held > LIMIT:
            body, self._copy = b"".join(self._copy), None
            return self._begin(head, body, event)
        return []

    def _weigh(self, head: Head, body: bytes, event: Arrived) -> list[Command]:
        """A challenger's whole 2xx reply: usable or not."""
        found = flaw(self._wire, head, body) if self._wire is not None else None
        if found is not None:
            return self._fall_back(found.reason, event.at, still_open=False)
        self._copy = None
        return self._begin(head, body, event)

    def _fall_back(self, reason: str, at: float, *, still_open: bool) -> list[Command]:
        out: list[Command] = [Cancel(self._call)] if still_open else []
        if self._exposure is not None:
            self._exposure.failed(reason, at)
        champion, self._behind = self._behind, None
        assert champion is not None
        self._assigned = False
        self._arm = champion
        self._head = self._copy = None
        self._held = 0
        self._call += 1
        room = self._deadline - (at - self._start)
        if room <= 0.0:
            return [*out, *self._give_up("timeout", at)]
        out.append(Call(self._call, champion, min(champion.timeout, room)))
        return out

    # -- a reply that goes out -------------------------------------------------------------------------------------

    def _begin(self, head: Head, body: bytes, event: Arrived) -> list[Command]:
        self._state = _FLOWING
        extra = self._extra
        if self._reveal:
            extra = (*extra, (b"x-crossfade-arm", self._arm.name.encode()))
        self._size = len(body)
        out: list[Command] = []
        if self._copy is not None:
            # A challenger's that could be held was weighed before; what is left to be read is a stream, as it passes.
            streams = self._wire is not None and self._wire.streams
            observed = 200 <= head.status < 300 and readable(head, streams=streams) and len(body) <= LIMIT
            self._copy = [body] if observed else None
        self._behind = None
        if event.ended:
            self._settle(event.at, out)
        out.append(Reply(head, extra, body, event.ended))
        return out

    def _flow(self, event: Arrived) -> list[Command]:
        self._last = event.at
        self._size += len(event.body)
        out: list[Command] = []
        if self._copy is not None:
            self._copy.append(event.body)
            if self._size > LIMIT:
                self._copy = None
        if event.ended:
            self._settle(event.at, out)
        out.append(More(event.body, event.ended))
        return out

    def _settle(self, at: float, out: list[Command]) -> None:
        """The reply is whole, and the arm's fate known: that is kept before the last byte leaves, so that a kill loses
        no exposure that anybody saw."""
        exposure, head = self._exposure, self._head
        if exposure is not None and head is not None and self._assigned:
            if head.status >= 400:
                exposure.failed("status", at)
            elif self._copy is not None and self._wire is not None:
                found = flaw(self._wire, head, b"".join(self._copy))
                if found is not None:
                    exposure.failed(found.reason, at)
            exposure.timed(at)
        self._finish(at, out, served_by=self._arm.name, status=head.status if head else 0)

    def _finish(self, at: float, out: list[Command], *, served_by: str, status: int) -> None:
        self._state = _DONE
        self._copy = None
        if self._exposure is not None:
            out.append(Record(self._exposure.fact(at, served_by=served_by, status=status, size=self._size)))

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _lost(self, kind: str, at: float, *, still_open: bool = False) -> list[Command]:
        if self._state is not _FLOWING and self._behind is not None:
            return self._fall_back(kind, at, still_open=still_open)
        out: list[Command] = [Cancel(self._call)] if still_open else []
        if self._exposure is not None and self._assigned:
            self._exposure.failed(kind, at)
        if self._state is _FLOWING:
            out.append(Abort())
            self._finish(at, out, served_by=self._arm.name, status=self._head.status if self._head else 0)
            return out
        return [*out, *self._give_up(kind, at)]

    def _give_up(self, kind: str, at: float) -> list[Command]:
        """Nobody is left to ask: our own error."""
        head, body = unanswered(self._arm.name, kind)
        self._size = len(body)
        out: list[Command] = []
        self._finish(at, out, served_by="", status=head.status)
        return [*out, Reply(head, self._extra, body, True)]

    def _late(self, event: Late) -> list[Command]:
        if event.call != self._call or self._state is _DONE:
            return []
        if self._state is _FLOWING:
            # A stream may last; only silence as long as the whole deadline ends it.
            left = self._deadline - (event.at - self._last)
            if left > 0.001:
                return [Watch(self._call, left)]
        return self._lost("timeout", event.at, still_open=True)

    def _gone(self, at: float) -> list[Command]:
        if self._state is _DONE:
            return []
        out: list[Command] = [Cancel(self._call)]
        if self._exposure is not None:
            self._exposure.left()
        flowing = self._state is _FLOWING and self._head is not None
        self._finish(
            at,
            out,
            served_by=self._arm.name if flowing else "",
            status=self._head.status if flowing and self._head is not None else 0,
        )
        return out
