"""The recorder: writes a journal behind an event loop, a group of facts at a time."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from crossfade import facts as codec
from crossfade.facts import Fact, Fault
from crossfade.rim.journal import Journal, JournalError
from crossfade.rim.tail import Tail, TailError

log = logging.getLogger("crossfade.journal")

LINGER: Final = 0.05
"""Seconds a group waits for company; with the flush itself a fact is on disk within about 60 ms. A killed process
loses none of them (see the tail); a flush costs as much CPU as dozens of requests, so there are few of them."""

GROUP: Final = 1000
"""Facts that end the wait early."""

BACKLOG: Final = 200_000
"""Facts kept in memory while the journal cannot write; beyond it facts are dropped and counted."""

RETRY: Final = 0.25
"""Seconds between attempts while the journal cannot write."""


class Recorder:
    """Group commit for one journal.

    `record` leaves each fact in a memory-mapped tail before it returns, so a killed process loses none; what a
    previous process of this worker left there is written first. `healthy` is False while the journal cannot be
    written (the caller then exposes nobody) and True again once everything kept has been written. What had to be
    dropped meanwhile is itself recorded, as a fault.
    """

    def __init__(self, journal: Journal, *, backlog: int = BACKLOG, linger: float = LINGER) -> None:
        self._journal = journal
        self._limit = backlog
        self._linger = linger
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._held: list[bytes] = []
        self._taken = 0
        self._written = 0
        self._wake = threading.Event()
        self._full = threading.Event()
        self._closing = False
        self._failure = ""
        self._outage = ""
        """What the outage that lasts was first put down to."""
        self._failed_at = 0.0
        self._dropped = 0
        self._reported = 0
        self.recovered = 0
        """Facts that a killed predecessor had taken and not yet written."""
        self._tail: Tail | None = None
        self._mark: int | None = None
        self._prepare()
        self._writer = threading.Thread(target=self._run, name=f"recorder-{journal.worker}", daemon=True)
        self._writer.start()

    @property
    def healthy(self) -> bool:
        """Whether facts are reaching the disk."""
        return not self._failure

    @property
    def failure(self) -> str:
        """Why not; empty when healthy."""
        return self._failure

    @property
    def dropped(self) -> int:
        """Facts lost because the journal could not be written for too long."""
        return self._dropped

    def record(self, fact: Fact) -> None:
        """Take a fact. Never waits for the disk and never raises."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._take(codec.encode_one(fact))

    def _take(self, encoded: bytes) -> None:
        with self._lock:
            waiting = len(self._waiting)
            self._waiting.append(encoded)
            if self._tail is not None:
                self._tail.put(encoded)
            self._taken += 1
        if not waiting:
            self._wake.set()
        elif waiting == GROUP:
            self._full.set()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything recorded so far is on the disk; False when that did not happen in time."""
        deadline = time.monotonic() + timeout
        until = self._taken
        while self._written < until:
            self._full.set()
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.001)
        return True

    def close(self) -> None:
        """Write what is left and stop the thread. What a failing journal refuses to take stays in the tail."""
        self._closing = True
        self._full.set()
        self._wake.set()
        self._writer.join(timeout=10.0)
        if self._tail is not None:
            self._tail.close()
        self._journal.close()

    def _prepare(self) -> bool:
        """Open the tail and write what was left in it; False when that has to be tried again."""
        try:
            tail = Tail(self._journal.path.with_suffix(".tail"), after=self._journal.marked())
        except (JournalError, TailError) as error:
            self._fail(error)
            return False
        try:
            for generation, left in tail.left:
                self._journal.append_encoded(codec.join(left), len(left), mark=generation)
                self.recovered += len(left)
        except JournalError as error:
            self._fail(error)
            tail.close()
            return False
        with self._lock:
            tail.start()
            self._tail = tail
        return True

    def _run(self) -> None:
        if self._tail is None:
            self._wake.set()
        while True:
            self._wake.wait()
            if not self._closing:
                self._full.wait(self._linger)
            self._wake.clear()
            self._full.clear()
            written = self._drain()
            if self._closing and (not written or not self._waiting):
                return
            if not written:
                time.sleep(RETRY)
                self._wake.set()

    def _drain(self) -> bool:
        """Write what is held, then what waits, one group each; False when the journal refused."""
        if self._tail is None and not self._prepare():
            return False
        assert self._tail is not None
        while self._held or self._waiting:
            if not self._held:
                with self._lock:
                    self._held, self._waiting = self._waiting, []
                    self._mark = self._tail.turn()
            try:
                self._journal.append_encoded(codec.join(self._held), len(self._held), mark=self._mark)
            except JournalError as error:
                self._fail(error)
                return False
            self._tail.clear()
            self._written += len(self._held)
            self._held = []
        if self._failure:
            self._failure = ""
            self._report()
        return True

    def _fail(self, error: Exception) -> None:
        if not self._failure:
            self._outage = str(error)
            self._failed_at = time.monotonic()
            log.error("facts do not reach the disk, so nobody new is exposed: %s", error)
        self._failure = str(error)

    def _report(self) -> None:
        """An outage is a fact, whether facts were lost in it or not: it took exposure away."""
        lost, self._reported = self._dropped - self._reported, self._dropped
        cost = f"{lost:,} facts were lost" if lost else "no fact was lost"
        detail = f"not written for {time.monotonic() - self._failed_at:.1f} s ({self._outage}); {cost}"
        log.warning("facts reach the disk again: %s", detail)
        fault = Fault(
            at=time.time(),
            worker=self._journal.worker,
            rollout="",
            what="journal",
            detail=detail,
            count=max(lost, 1),
        )
        self._take(codec.encode_one(fault))
