"""The journal: what one worker writes its facts to durably."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from crossfade import facts as codec
from crossfade.facts import Fact
from crossfade.rim import batches
from crossfade.rim.batches import FOLDER, JournalError

__all__ = ["Journal", "JournalError"]


class Journal:
    """One worker's journal. Safe to share between threads; one process at a time writes under a worker's name.

    The file is opened at the first use, so that a full disk is a JournalError there and not a worker that cannot start.
    """

    def __init__(self, data: Path, worker: str) -> None:
        self.path = data / FOLDER / f"{worker}.db"
        self.worker = worker
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def append(self, facts: Sequence[Fact]) -> None:
        """Write a batch; it is on the disk when this returns. Raises JournalError (disk full, …)."""
        if facts:
            self.append_encoded(codec.encode(facts), len(facts))

    def append_encoded(self, encoded: bytes, count: int, *, mark: int | None = None) -> None:
        """Write a batch that is encoded already. `mark` is kept in the same transaction, see `marked`."""
        with self._lock:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    batches.insert(connection, encoded, count)
                    if mark is not None:
                        connection.execute("INSERT OR REPLACE INTO meta VALUES ('mark', ?)", (str(mark),))
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                # A connection that has failed once may hold a broken view of the file; the next try opens afresh.
                self._drop()
                raise JournalError(f"cannot write {self.path}: {error}") from error

    def marked(self) -> int:
        """The `mark` of the last batch that carried one; 0 before the first."""
        with self._lock:
            try:
                found = self._open().execute("SELECT value FROM meta WHERE key = 'mark'").fetchone()
            except sqlite3.Error as error:
                raise JournalError(f"cannot read {self.path}: {error}") from error
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._drop()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = batches.connect(self.path)
            except (sqlite3.Error, OSError) as error:
                raise JournalError(f"cannot open {self.path}: {error}") from error
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
