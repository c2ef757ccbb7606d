"""A few threads with a short queue, for models whose time nobody may be made to wait for.

Not `concurrent.futures`: its queue has no end, and a program cannot exit while one of its threads hangs.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

Job = Callable[[], Any]
Told = Callable[[Any], object]
"""Takes what a job returned. Quick, and must not raise."""


class Workers:
    """At most `threads` jobs at a time and `waiting` more in the queue. Jobs must not raise."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._name = name
        self._most = threads
        self._queue: queue.SimpleQueue[tuple[Job, Told | None] | None] = queue.SimpleQueue()
        """Bounded by `_busy`."""
        self._waiting = waiting
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._closed = False

    def submit(self, job: Job, told: Told | None = None) -> bool:
        """Run `job` soon and tell what it returned; False when there is no room. Never waits."""
        with self._lock:
            if self._closed or self._busy >= self._most + self._waiting:
                return False
            self._busy += 1
            self._queue.put((job, told))
            if self._threads < min(self._most, self._busy):
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        return True

    def close(self) -> None:
        """Take no more; what has begun may end by itself."""
        with self._lock:
            self._closed = True
        for _ in range(self._threads):
            self._queue.put(None)

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None:
            job, told = taken
            try:
                found = job()
            except BaseException:
                # A job that ends its thread takes neither its place along nor that thread's.
                with self._lock:
                    self._busy -= 1
                    self._threads -= 1
                raise
            # Before it is told: whoever hears of the end may ask for the next at once, while this thread gets no CPU,
            # and must find the place free.
            with self._lock:
                self._busy -= 1
            if told is not None:
                told(found)
            del job, told, taken, found
            if self._closed and self._queue.empty():
                return
