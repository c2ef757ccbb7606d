"""Counting what passes: drawn requests and replies are read once the reply has been sent, and told slice by slice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from crossfade.facts import Exposed, Fact
from crossfade.live.assign import bucket
from crossfade.live.drift.features import asked, predicted
from crossfade.live.drift.sketch import Sketch, hidden_of
from crossfade.live.exchange import Exchange
from crossfade.live.exchange.examine import about_body, predicts
from crossfade.live.exchange.heads import Head
from crossfade.live.exchange.messages import Arrived, Call, Command, Event, Mirror, Record
from crossfade.live.exchange.mirrored import FIRST_COPY
from crossfade.live.routes import Route
from crossfade.spec.model import From

if TYPE_CHECKING:
    import asyncio

    from crossfade.rim.http_request import Request

MOST_A_SECOND: Final = 20
"""Requests of one arm that one worker reads in a second, whatever the share."""

LARGEST: Final = 64 * 1024
"""Bytes of a request or of a reply that are read; larger ones count as unread."""


ONCE_IN: Final = 30
"""Slices in which a unit is counted once at most: a visit lasts for many, and saying it again is no evidence anew."""


class _Lately:
    """Units of one rollout that were counted lately: in the last `ONCE_IN` slices, and up to twice as long ago."""

    def __init__(self) -> None:
        self._began = 0.0
        self._now: set[int] = set()
        self._before: set[int] = set()

    def takes(self, unit: str, now: float, every: float) -> bool:
        """Whether the unit may be counted."""
        period = ONCE_IN * every
        if now >= self._began + period:
            self._before = self._now if now < self._began + 2.0 * period else set()
            self._began, self._now = now - now % period, set()
        key = hash(unit)
        return key not in self._now and key not in self._before

    def took(self, unit: str) -> None:
        """It was."""
        self._now.add(hash(unit))


class _Slice:
    """One rollout's counts since its present slice began."""

    def __init__(self, route: Route, began: float) -> None:
        self.route = route
        self.began = began
        self.sketches: dict[tuple[str, str], Sketch] = {}
        self.second = 0
        self.read: dict[str, int] = {}

    def sketch(self, arm: str, side: str) -> Sketch:
        """What is counted of an arm's requests or replies."""
        found = self.sketches.get((arm, side))
        if found is None:
            assert self.route.drift is not None
            unit = self.route.unit.name if self.route.unit.source is From.JSON else ""
            found = self.sketches[arm, side] = Sketch(self.route.drift, hidden_of(self.route.redact, unit))
        return found


class Sketching:
    """What one gateway counts. Everything happens on its event loop, never before a reply has left."""

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[[Fact], None], worker: str) -> None:
        self._loop = loop
        self._note = note
        self._worker = worker
        self._slices: dict[str, _Slice] = {}
        self._lately: dict[str, _Lately] = {}

    def watch(self, exchange: Exchange, request: Request, route: Route, arm: str, unit: str, decision: str) -> Exchange:
        """The exchange as the gateway should use it: listened to where the request is drawn."""
        drift = route.drift
        if drift is None or request.upload is not None or bucket("drift", decision) >= drift.sample:
            return exchange
        if not predicts(route.protocol, request.method):
            return exchange
        now = time.time()
        slice_ = self._slice(route, now)
        lately = self._lately.get(route.rollout)
        if lately is None:
            lately = self._lately[route.rollout] = _Lately()
        if not lately.takes(unit, now, drift.every) or not self._room(slice_, arm, now):
            return exchange
        lately.took(unit)
        return _Listening(self, exchange, request, route, arm, int(bucket("row", decision) * 2.0**53))

    def request_later(self, request: Request, route: Route, arm: str, row: int) -> None:
        """Count what was asked, once the present reply is on its way."""
        self._loop.call_soon(self._read_request, request, route, arm, row)

    def reply_later(self, head: Head, parts: list[bytes], route: Route, arm: str, row: int) -> None:
        """Count what was predicted. What fails or is unusable is measured elsewhere, as just that."""
        if 200 <= head.status < 300:
            self._loop.call_soon(self._read_reply, head, parts, route, arm, row)

    def _read_request(self, request: Request, route: Route, arm: str, row: int) -> None:
        fields = None
        if len(request.body) <= LARGEST:
            with contextlib.suppress(
                Exception
            ):  # a stranger's body: whatever goes wrong while reading it, it is unread
                fields = asked(route.protocol, request.document(), row)
        self._slice(route, time.time()).sketch(arm, "input").take(fields)

    def _read_reply(self, head: Head, parts: list[bytes], route: Route, arm: str, row: int) -> None:
        fields = None
        with contextlib.suppress(Exception):
            fields = predicted(route.protocol, about_body(head), b"".join(parts), row)
        self._slice(route, time.time()).sketch(arm, "output").take(fields)

    def tell(self, now: float, *, whole: bool = False) -> None:
        """State the slices that have ended; with `whole` the present ones too."""
        for name, slice_ in list(self._slices.items()):
            assert slice_.route.drift is not None
            if whole or now >= slice_.began + slice_.route.drift.every:
                del self._slices[name]
                self._state(slice_)

    def _state(self, slice_: _Slice) -> None:
        route = slice_.route
        for (arm, side), sketch in slice_.sketches.items():
            for fact in sketch.facts(
                rollout=route.rollout,
                revision=route.revision,
                at=slice_.began,
                worker=self._worker,
                arm=arm,
                side=side,
            ):
                self._note(fact)

    def _slice(self, route: Route, now: float) -> _Slice:
        assert route.drift is not None
        began = now - now % route.drift.every
        found = self._slices.get(route.rollout)
        if found is not None and found.began == began and found.route.revision == route.revision:
            return found
        if found is not None:
            self._state(found)
        made = self._slices[route.rollout] = _Slice(route, began)
        return made

    def _room(self, slice_: _Slice, arm: str, now: float) -> bool:
        second = int(now)
        if second != slice_.second:
            slice_.second, slice_.read = second, {}
        count = slice_.read.get(arm, 0)
        slice_.read[arm] = count + 1
        return count < MOST_A_SECOND


class _Listening:
    """An exchange whose request and replies are to be counted."""

    __slots__ = ("_arm", "_arms", "_exchange", "_heads", "_parts", "_request", "_route", "_row", "_sizes", "_sketching")

    def __init__(
        self, sketching: Sketching, exchange: Exchange, request: Request, route: Route, arm: str, row: int
    ) -> None:
        self._sketching = sketching
        self._exchange = exchange
        self._request = request
        self._route = route
        self._arm = arm
        self._row = row
        self._arms: dict[int, str] = {}
        self._heads: dict[int, Head] = {}
        self._parts: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}

    @property
    def done(self) -> bool:
        return self._exchange.done

    def receive(self, event: Event) -> list[Command]:
        """Pass on both ways, and keep copies of the replies that are to be read."""
        commands = self._exchange.receive(event)
        if type(event) is Arrived and event.call in self._arms:
            self._arrived(event)
        for command in commands:
            if type(command) is Call:
                # The champion's help for a challenger that failed or is left out is no draw of its own users.
                if command.arm.name == self._arm or self._route.mode == "interleave":
                    self._begin(command.call, command.arm.name)
            elif type(command) is Mirror:
                # Copies beside users' own requests would be more of the units that the other arm has.
                if command.call >= FIRST_COPY and self._route.mode == "shadow":
                    self._begin(command.call, command.arm.name)
            elif type(command) is Record and type(command.fact) is Exposed:
                self._sketching.request_later(self._request, self._route, self._arm, self._row)
        return commands

    def _begin(self, call: int, arm: str) -> None:
        self._arms[call] = arm
        self._parts[call] = []
        self._sizes[call] = 0

    def _arrived(self, event: Arrived) -> None:
        call = event.call
        if event.head is not None:
            self._heads[call] = event.head
        size = self._sizes[call] = self._sizes[call] + len(event.body)
        if size <= LARGEST:
            self._parts[call].append(event.body)
        if not event.ended:
            return
        arm, chunks = self._arms.pop(call), self._parts.pop(call)
        head = self._heads.get(call)
        if head is not None and size <= LARGEST:
            self._sketching.reply_later(head, chunks, self._route, arm, self._row)
