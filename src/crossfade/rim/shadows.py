"""Copies of requests for hidden arms: a bounded queue and a few connections per address, apart from the users' own."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from crossfade.live.exchange.messages import Head
from crossfade.rim.endpoints import Endpoint
from crossfade.rim.upstream import Asking, Pool, Sink

CONCURRENT = 32
"""Copies under way per address."""

WAITING = 512
"""Copies waiting per address."""

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of all waiting copies."""


class CopySink(Sink, Protocol):
    """Whoever wants to hear of a copy."""

    def started(self, call: int, timeout: float) -> None:
        """It has left the queue."""
        ...


class Copy:
    """One copy, waiting or under way."""

    __slots__ = ("_asking", "_lane", "_over", "call", "data", "sink", "timeout")

    def __init__(self, lane: _Lane, sink: CopySink, call: int, data: tuple[bytes, ...], timeout: float) -> None:
        self._lane = lane
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

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if not self._over:
            self._over = True
            asking, self._asking = self._asking, None
            if asking is not None:
                asking.cancel()
                self._lane.freed()
            else:
                self._lane.withdrawn(self)

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        """Pass on what came."""
        if ended and not self._over:
            self._over = True
            self._asking = None
            self._lane.freed()
        self.sink.arrived(call, head, body, ended)

    def failed(self, call: int, kind: str) -> None:
        """Pass on that nothing will."""
        if not self._over:
            self._over = True
            self._asking = None
            self._lane.freed()
        self.sink.failed(call, kind)


class Shadows:
    """The lanes of all hidden arms. A hung arm fills its own lane and nobody else's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        concurrent: int = CONCURRENT,
        waiting: int = WAITING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.loop = loop
        self.pool = Pool(loop)
        self.concurrent = concurrent
        self.waiting = waiting
        self.most_bytes = most_bytes
        self.bytes_waiting = 0
        self._lanes: dict[Endpoint, _Lane] = {}

    def submit(
        self, sink: CopySink, call: int, where: Endpoint, data: tuple[bytes, ...], timeout: float
    ) -> Copy | None:
        """Queue a copy; None when there is no room. It is sent later, never from within this call."""
        lane = self._lanes.get(where)
        if lane is None:
            lane = self._lanes[where] = _Lane(self, where)
        return lane.submit(sink, call, data, timeout)

    @property
    def queued(self) -> int:
        """Copies waiting now."""
        return sum(lane.length for lane in self._lanes.values())

    def close(self) -> None:
        """Drop what waits, end what runs."""
        for lane in self._lanes.values():
            lane.close()
        self.pool.close()


class _Lane:
    def __init__(self, shadows: Shadows, where: Endpoint) -> None:
        self._shadows = shadows
        self._where = where
        self._queue: deque[Copy] = deque()
        self._running = 0
        self._pumping = False

    @property
    def length(self) -> int:
        return len(self._queue)

    def submit(self, sink: CopySink, call: int, data: tuple[bytes, ...], timeout: float) -> Copy | None:
        size = sum(map(len, data))
        shadows = self._shadows
        if len(self._queue) >= shadows.waiting or shadows.bytes_waiting + size > shadows.most_bytes:
            return None
        copy = Copy(self, sink, call, data, timeout)
        self._queue.append(copy)
        shadows.bytes_waiting += size
        self._pump_soon()
        return copy

    def freed(self) -> None:
        self._running -= 1
        self._pump_soon()

    def withdrawn(self, copy: Copy) -> None:
        if copy in self._queue:
            self._queue.remove(copy)
            self._shadows.bytes_waiting -= sum(map(len, copy.data))

    def close(self) -> None:
        self._queue.clear()

    def _pump_soon(self) -> None:
        # Copies go out after the loop has dealt with the users' own calls that are ready now.
        if not self._pumping and self._queue and self._running < self._shadows.concurrent:
            self._pumping = True
            self._shadows.loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        while self._queue and self._running < self._shadows.concurrent:
            copy = self._queue.popleft()
            self._shadows.bytes_waiting -= sum(map(len, copy.data))
            self._running += 1
            copy.send(self._shadows.pool, self._where)
