"""Timers by the thousand: one tick of the loop serves all that fall into the same few milliseconds.

A loop's own timer per request would cost more than the request's parsing; nearly all are cancelled unused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

TICK: Final = 0.01
"""Seconds between two looks; a timer fires at most this much late."""


class Waiter(Protocol):
    """Whoever set a timer."""

    def late(self, call: int) -> None:
        """The timer of this call has run out."""
        ...


Timer = tuple[int, int]
"""A tick and a number within it."""


class Timers:
    """Buckets of waiters by tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._buckets: dict[int, dict[int, tuple[Waiter, int]]] = {}
        self._number = 0
        self._next: asyncio.TimerHandle | None = None
        self._looked = int(clock() / TICK)

    def start(self, seconds: float, waiter: Waiter, call: int) -> Timer:
        """Call `waiter.late(call)` in so many seconds, unless stopped."""
        tick = int((self._clock() + seconds) / TICK) + 1
        self._number = number = self._number + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
        bucket[number] = (waiter, call)
        if self._next is None:
            self._looked = int(self._clock() / TICK)
            self._next = self._loop.call_later(TICK, self._look)
        return tick, number

    def stop(self, timer: Timer) -> None:
        """Forget a timer; harmless when it has fired."""
        tick, number = timer
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.pop(number, None)

    def _look(self) -> None:
        now = int(self._clock() / TICK)
        first, self._looked = self._looked, now
        for tick in range(first, now + 1):
            bucket = self._buckets.get(tick)
            # A waiter may stop others while this runs, so each is looked up when its turn comes.
            while bucket:
                waiter, call = bucket.pop(next(iter(bucket)))
                waiter.late(call)
            self._buckets.pop(tick, None)
        self._next = self._loop.call_later(TICK, self._look) if self._buckets else None
