"""The store of several hosts as a gateway sees it: a thread listens, and whoever asks gets what it heard last.

A server that hangs must not hang those who ask, for then no lease would run out: they are told the last heartbeat
again, which does not move, and users get the champion when the lease is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.rim import stop_orders
from crossfade.rim.glance import ROLLOUTS, Reading, Seen
from crossfade.rim.revisions import StoreError
from crossfade.rim.store_address import spoken

log = logging.getLogger("crossfade.gateway")

POLL = 0.25
"""Seconds after which the server is asked though it has told nothing."""

FIRST = 5.0
"""Seconds that whoever asks first waits for an answer."""

_COUNTERS = "SELECT name, value FROM counters WHERE name IN ('beats', 'changes')"
_ORDERS = "SELECT name FROM stop_orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the server said last, all at one moment."""

    beats: int
    changes: int
    orders: frozenset[str]
    rows: Sequence[tuple[Any, ...]]
    """Rollouts as they are stored."""


class ServerGlance:
    """What a server's store says now. Safe to share between threads; none of them waits for the server."""

    def __init__(self, address: str, data: Path) -> None:
        self.said = spoken(address)
        self._address, self._data = address, data
        self._reading = Reading(self.said)
        self._heard: Heard | None = None
        self._error = f"{self.said} has not answered yet"
        self._first = threading.Event()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive. Raises StoreError, like everything here."""
        return self._last().beats

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, on any host."""
        return self._last().changes

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once, here or on another host."""
        here = stop_orders.ordered(self._data)
        self._begin()
        return here if self._heard is None else here | self._heard.orders

    def rollouts(self) -> list[Seen]:
        """Every rollout, by name."""
        return [self._reading.seen(*row) for row in self._last().rows]

    def wait(self, seconds: float) -> None:
        """Return when the server has told something, or after so many seconds."""
        if self._news.wait(seconds):
            self._news.clear()

    def close(self) -> None:
        """Listen no more."""
        self._stop.set()

    def _last(self) -> Heard:
        self._begin()
        heard = self._heard
        if heard is None:
            raise StoreError(self._error)
        return heard

    def _begin(self) -> None:
        with self._lock:
            begun = self._thread is not None
            if not begun:
                self._thread = threading.Thread(target=self._listen, name="store-glance", daemon=True)
                self._thread.start()
        if not begun:
            self._first.wait(FIRST)

    def _listen(self) -> None:
        import psycopg

        from crossfade.rim.store_server import CHANNEL, PATIENCE

        while not self._stop.is_set():
            try:
                with psycopg.connect(self._address, autocommit=True, **dict[str, Any](PATIENCE)) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    while not self._stop.is_set():
                        self._hear(connection)
                        # One message is as good as many: everything is asked anew.
                        for _ in connection.notifies(timeout=POLL, stop_after=1):
                            pass
            except (psycopg.Error, OSError) as error:
                said = f"cannot read {self.said}: {' '.join(str(error).split())}"
                if said != self._error:
                    log.warning("%s; routes stay as they are until the lease is over", said)
                self._error = said
                self._first.set()
                self._stop.wait(POLL)

    def _hear(self, connection: Any) -> None:
        counters = dict(connection.execute(_COUNTERS).fetchall())
        orders = frozenset(row[0] for row in connection.execute(_ORDERS).fetchall())
        before = self._heard
        changes = int(counters["changes"])
        # Read after the number: rows that are newer than it are read again at the next look.
        same = before is not None and before.changes == changes
        rows = before.rows if before is not None and same else connection.execute(ROLLOUTS).fetchall()
        self._heard = Heard(beats=int(counters["beats"]), changes=changes, orders=orders, rows=rows)
        if before is None or not same or before.orders != orders:
            self._news.set()
        self._first.set()
