"""The outcome inbox: outcomes are accepted once each, and only once they are on the disk.

It is a journal like any worker's (`outcomes`), with the ids seen so far beside it in the same file, so that one
transaction both recognises repeats and keeps what is new.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade import facts as codec
from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.batches import JournalError

WORKER = "outcomes"

_SEEN = "CREATE TABLE IF NOT EXISTS seen (outcome_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"

_CLAIM = "INSERT OR IGNORE INTO seen (outcome_id, at) SELECT value, ? FROM json_each(?) WHERE true RETURNING outcome_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a batch."""

    accepted: int
    duplicates: int


class OutcomeInbox:
    """Where outcomes arrive. Safe to share between threads and processes."""

    def __init__(self, data: Path) -> None:
        self.path = data / batches.FOLDER / f"{WORKER}.db"
        self._lock = threading.Lock()
        try:
            self._connection = batches.connect(self.path)
            self._connection.execute(_SEEN)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"cannot open {self.path}: {error}") from error

    def accept(self, outcomes: Sequence[Outcome]) -> Accepted:
        """Keep what is new, by `outcome_id`; durable when this returns. Raises JournalError, and then kept nothing."""
        if not outcomes:
            return Accepted(accepted=0, duplicates=0)
        first: dict[str, Outcome] = {}
        for outcome in outcomes:
            first.setdefault(outcome.outcome_id, outcome)
        at = max(outcome.received_at for outcome in outcomes)
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    claimed = connection.execute(_CLAIM, (at, json.dumps(list(first)))).fetchall()
                    if claimed:
                        new = {row[0] for row in claimed}
                        fresh = [outcome for key, outcome in first.items() if key in new]
                        batches.insert(connection, codec.encode(fresh), len(fresh))
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self.path}: {error}") from error
        return Accepted(accepted=len(claimed), duplicates=len(outcomes) - len(claimed))

    def forget(self, before: float) -> int:
        """Forget ids accepted before a time, so that the list of ids stays bounded; how many."""
        with self._lock:
            try:
                return self._connection.execute("DELETE FROM seen WHERE at < ?", (before,)).rowcount
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()
