"""Copies of requests for hidden arms: a bounded queue and a few connections per address, apart from the users' own."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from crossfade.live.exchange.examine import LIMIT
from crossfade.live.exchange.messages import Head
from crossfade.live.exchange.mirrored import FLOOD, LARGE, SHUTDOWN
from crossfade.rim.endpoints import Endpoint
from crossfade.rim.upstream import Asking, Pool, Sink

CONCURRENT: Final = 32
"""Copies under way per address."""

WAITING: Final = 512
"""Copies waiting per address."""

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes kept for copies, waiting or under way: theirs, and the champion's answers that theirs will be compared with."""

READ: Final = 16 * 1024 * 1024
"""Bytes a second of copies' replies that are read in the long run; addresses share them equally."""

BURST: Final = 4 * 1024 * 1024
"""Bytes of one address that may come at once before its copies are cut off."""

CALM: Final = 256 * 1024
"""Bytes still unpaid for below which an address that flooded may be asked more again."""

FEW: Final = 16
"""Copies that may wait for each that may be under way at an address that flooded: they would only grow old."""

REFUSED_FOR: Final = 0.1
"""Seconds for which an address that refused a connection is taken to refuse the next ones."""

AT_ONCE: Final = 4
"""Copies that have waited for longer than one turn of the loop and are sent before it turns to the users again."""


class CopySink(Sink, Protocol):
    """Whoever wants to hear of a copy."""

    def started(self, call: int, timeout: float) -> None:
        """It has left the queue."""
        ...


class Copy:
    """One copy, waiting or under way."""

    __slots__ = ("_asking", "_kept", "_lane", "_over", "call", "data", "sink", "timeout")

    def __init__(
        self, lane: _Lane, sink: CopySink, call: int, data: tuple[bytes, ...], timeout: float, kept: int
    ) -> None:
        self._lane = lane
        self._kept = kept
        """Bytes in memory because of it."""
        self._asking: Asking | None = None
        self._over = False
        self.sink = sink
        self.call = call
        self.data = data
        self.timeout = timeout

    @property
    def over(self) -> bool:
        """Ended or cancelled."""
        return self._over

    def send(self, pool: Pool, where: Endpoint) -> None:
        """Leave the queue."""
        self._asking = pool.ask(self, self.call, where, self.data)
        self.data = ()
        self.sink.started(self.call, self.timeout)

    def refuse(self) -> None:
        """Leave the queue for an address that refused a moment ago: the same answer without another attempt."""
        self.data = ()
        self.sink.started(self.call, self.timeout)
        self.failed(self.call, "refused")

    def keep(self, size: int) -> bool:
        """The champion has answered so many bytes more, kept until this copy is answered, too. False, and the copy has
        ended, when there is no room for them."""
        if self._over:
            return True
        if not self._lane.room(size):
            if self._asking is None:
                self._lane.withdrawn(self)
            self.cut("dropped")
            return False
        self._kept += size
        return True

    def _end(self) -> None:
        self._over = True
        self._lane.forget(self._kept)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if not self._over:
            self._end()
            asking, self._asking = self._asking, None
            if asking is not None:
                asking.cancel()
                self._lane.freed(self)
            else:
                self._lane.withdrawn(self)

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        """Pass on what came, unless reading the rest would take time from users."""
        lane = self._lane
        flooded = lane.read(len(body))
        if ended:
            if not self._over:
                self._end()
                self._asking = None
                lane.ended(self)
        elif flooded or (head is not None and _large(head)):
            self.cut(FLOOD if flooded else LARGE)
            return
        self.sink.arrived(call, head, body, ended)

    def failed(self, call: int, kind: str) -> None:
        """Pass on that nothing will."""
        if not self._over:
            self._end()
            self._asking = None
            if kind == "refused":
                self._lane.refused()
            self._lane.freed(self)
        self.sink.failed(call, kind)

    def cut(self, kind: str) -> None:
        """End it from our side, and say why."""
        asking = self._asking
        if asking is not None:
            asking.cancel()
        self.failed(self.call, kind)


class Shadows:
    """The lanes of all hidden arms. A hung arm fills its own lane and nobody else's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        concurrent: int = CONCURRENT,
        waiting: int = WAITING,
        most_bytes: int = MOST_BYTES,
        read: int = READ,
        burst: int = BURST,
    ) -> None:
        self.loop = loop
        self.pool = Pool(loop)
        self.concurrent = concurrent
        self.waiting = waiting
        self.most_bytes = most_bytes
        self.read = read
        self.burst = burst
        self.bytes_kept = 0
        self.bounds: dict[Endpoint, int] = {}
        """Addresses at which fewer copies than elsewhere may be under way."""
        self._lanes: dict[Endpoint, _Lane] = {}

    def submit(
        self, sink: CopySink, call: int, where: Endpoint, data: tuple[bytes, ...], timeout: float
    ) -> Copy | None:
        """Queue a copy; None when there is no room. It is sent later, never from within this call."""
        lane = self._lanes.get(where)
        if lane is None:
            lane = self._lanes[where] = _Lane(self, where)
        return lane.submit(sink, call, data, timeout)

    def bound(self, bounds: dict[Endpoint, int]) -> None:
        """Say at which addresses fewer copies may be under way."""
        self.bounds = bounds
        for where, lane in self._lanes.items():
            lane.bound(min(self.concurrent, bounds.get(where, self.concurrent)))

    @property
    def queued(self) -> int:
        """Copies waiting now."""
        return sum(lane.length for lane in self._lanes.values())

    @property
    def rate(self) -> float:
        """Bytes a second that one address may send."""
        return self.read / max(1, len(self._lanes))

    def close(self) -> None:
        """End what waits and what runs: the models are not to blame for what they did not get to answer."""
        for lane in self._lanes.values():
            lane.close()
        self.pool.close()


class _Lane:
    def __init__(self, shadows: Shadows, where: Endpoint) -> None:
        self._shadows = shadows
        self._where = where
        self._queue: deque[Copy] = deque()
        self._running: set[Copy] = set()
        self._most = min(shadows.concurrent, shadows.bounds.get(where, shadows.concurrent))
        self._window = self._most
        """Copies that may be under way: one after a flood, then more each time that costs little."""
        self._unpaid = 0.0
        """Bytes read, less what was allowed for the time since."""
        self._paid_at = 0.0
        self._refused_until = 0.0
        self._pumping: asyncio.Handle | None = None
        self._fresh = 0
        """Copies that came since the last were sent: under load a turn of the loop brings many, and all may go."""

    @property
    def length(self) -> int:
        return len(self._queue)

    @property
    def _room(self) -> int:
        most = self._shadows.waiting
        return most if self._window >= self._most else min(most, FEW * self._window)

    def bound(self, most: int) -> None:
        """Let no more copies be under way from now on."""
        self._window = most if self._window >= self._most else min(self._window, most)
        self._most = most
        self._pump_soon()

    def submit(self, sink: CopySink, call: int, data: tuple[bytes, ...], timeout: float) -> Copy | None:
        size = sum(map(len, data))
        if len(self._queue) >= self._room or not self.room(size):
            return None
        copy = Copy(self, sink, call, data, timeout, size)
        self._queue.append(copy)
        self._fresh += 1
        self._pump_soon()
        return copy

    def room(self, size: int) -> bool:
        """Take room for so many bytes more; False when there is none."""
        shadows = self._shadows
        if shadows.bytes_kept + size > shadows.most_bytes:
            return False
        shadows.bytes_kept += size
        return True

    def forget(self, size: int) -> None:
        self._shadows.bytes_kept -= size

    def read(self, size: int) -> bool:
        """So many bytes came; True when that is more than may come, and whatever is not whole yet has to be cut."""
        shadows = self._shadows
        now = shadows.loop.time()
        if now != self._paid_at:
            self._unpaid = max(0.0, self._unpaid - (now - self._paid_at) * shadows.rate)
            self._paid_at = now
        self._unpaid += size
        if self._unpaid <= shadows.burst:
            return False
        self._window = 1
        while len(self._queue) > self._room:
            self._queue.pop().cut(FLOOD)
        return True

    def ended(self, copy: Copy) -> None:
        """A reply was whole."""
        if self._window < self._most and self._unpaid <= CALM:
            self._window = min(self._most, 2 * self._window)
        self.freed(copy)

    def refused(self) -> None:
        """No connection: for a moment no other is tried."""
        now = self._shadows.loop.time()
        if now >= self._refused_until:
            self._refused_until = now + REFUSED_FOR

    def freed(self, copy: Copy) -> None:
        self._running.discard(copy)
        self._pump_soon()

    def withdrawn(self, copy: Copy) -> None:
        if copy in self._queue:
            self._queue.remove(copy)

    def close(self) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        if self._pumping is not None:
            self._pumping.cancel()
        for copy in (*self._running, *waiting):
            copy.cut(SHUTDOWN)

    def _pump_soon(self) -> None:
        # Copies go out after the loop has dealt with the users' own calls that are ready now.
        if self._pumping is None and self._queue and len(self._running) < self._window:
            pause = self._pause()
            loop = self._shadows.loop
            self._pumping = loop.call_later(pause, self._pump) if pause else loop.call_soon(self._pump)

    def _pause(self) -> float:
        """Seconds until a lane that flooded has paid for what was read of it."""
        if self._window >= self._most:
            return 0.0
        self.read(0)
        return self._unpaid / self._shadows.rate

    def _pump(self) -> None:
        self._pumping = None
        sent, most, self._fresh = 0, AT_ONCE + self._fresh, 0
        while self._queue and len(self._running) < self._window and sent < most:
            copy = self._queue.popleft()
            self._running.add(copy)
            sent += 1
            if self._refuses():
                copy.refuse()
            else:
                copy.send(self._shadows.pool, self._where)
        self._pump_soon()

    def _refuses(self) -> bool:
        shadows = self._shadows
        return shadows.loop.time() < self._refused_until and not shadows.pool.ready(self._where)


def _large(head: Head) -> bool:
    """Whether a reply says of itself that it is too long to be compared."""
    return any(
        len(name) == 14 and name.lower() == b"content-length" and value.isdigit() and int(value) > LIMIT
        for name, value in head.headers
    )
