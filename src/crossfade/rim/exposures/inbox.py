"""The exposure inbox: exposures that others tell of are accepted once each, and only once they are on the disk.

It is a journal like any worker's (`exposures`), with the decision ids seen so far beside it in the same file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import xxhash

from crossfade import facts as codec
from crossfade.facts import Exposed
from crossfade.rim import batches
from crossfade.rim.batches import JournalError
from crossfade.rim.inbox import REMEMBER, Accepted
from crossfade.rim.seen import Known, Seen

WORKER = "exposures"


def fingerprint(one: Exposed) -> bytes:
    """Twelve bytes of the request's id, and four that are the same for all: whoever tells of it first is believed."""
    return xxhash.xxh3_128_digest(f"{one.rollout}\0{one.decision_id}".encode())[:12] + b"\0\0\0\1"


class ExposureInbox:
    """Where exposures arrive. Safe to share between threads and processes."""

    def __init__(self, data: Path) -> None:
        self.path = data / batches.FOLDER / f"{WORKER}.db"
        self._lock = threading.Lock()
        try:
            self._connection = batches.connect(self.path)
            self._seen = Seen(self._connection, self.path.with_suffix(".seen"))
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"cannot open {self.path}: {error}") from error

    def accept(self, exposures: Sequence[Exposed], now: float) -> Accepted:
        """Keep what is new, by decision id; durable when this returns. Raises JournalError, and then kept nothing."""
        prints = dict(zip(map(fingerprint, reversed(exposures)), reversed(exposures), strict=True))
        names = list(reversed(prints))
        if not names:
            return Accepted(accepted=0, duplicates=0)
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    judged = zip(names, self._seen.judge(names), strict=True)
                    fresh = [name for name, known in judged if known is Known.NEW]
                    if fresh:
                        kept = [prints[name] for name in fresh]
                        batches.insert(connection, codec.encode(kept), len(kept))
                        self._seen.add(fresh, now)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self.path}: {error}") from error
            # What was accepted is safe; tidying is tried again with the next batch.
            with contextlib.suppress(sqlite3.Error, OSError):
                if self._seen.tidy():
                    self._seen.forget(now - REMEMBER)
        return Accepted(accepted=len(fresh), duplicates=len(exposures) - len(fresh))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()
