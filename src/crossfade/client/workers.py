"""A few threads with a short queue, for models whose time nobody may be made to wait for.

Not `concurrent.futures`: its queue has no end, and a program cannot exit while one of its threads hangs.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

Job = Callable[[], None]


class Workers:
    """At most `threads` jobs at a time and `waiting` more in the queue. Jobs must not raise."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._name = name
        self._most = threads
        self._queue: queue.Queue[Job | None] = queue.Queue(waiting + threads)
        self._waiting = waiting
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._closed = False

    def submit(self, job: Job) -> bool:
        """Run `job` soon; False when there is no room. Never waits."""
        with self._lock:
            if self._closed or self._busy >= self._most + self._waiting:
                return False
            self._busy += 1
            self._queue.put_nowait(job)
            if self._threads < min(self._most, self._busy):
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        return True

    def close(self) -> None:
        """Take no more; what has begun may end by itself."""
        with self._lock:
            self._closed = True
        with suppress(queue.Full):
            for _ in range(self._threads):
                self._queue.put_nowait(None)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job()
            finally:
                with self._lock:
                    self._busy -= 1
            if self._closed and self._queue.empty():
                return
