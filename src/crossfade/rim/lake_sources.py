"""The journals as the compactor reads them: what is new in each, and rows taken out once the tables have them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crossfade.facts import Fact, by_kind
from crossfade.rim import batches
from crossfade.rim.batches import JournalError

DRAIN = 200_000
"""Facts taken from one journal in one go, so that memory stays bounded after a long outage."""

DELETE_ROWS = 64
"""Journal rows that may lie about after they were moved, so that deletion seldom meets a writer."""


@dataclass(slots=True)
class Source:
    """One journal as the compactor knows it."""

    path: Path
    connection: sqlite3.Connection
    app: str
    """Names this journal in Delta's application transactions."""
    moved: int = 0
    """Every row up to here is in the tables."""
    deleted: int = 0

    def collect(self, done: Callable[[str, str], int], grouped: dict[str, list[Fact]], upto: dict[str, int]) -> None:
        """Add what is new by kind, and the last row that was read. `done` says up to which row a kind's table has it.

        Raises JournalError.
        """
        try:
            for row in batches.rows(self.connection, self.moved, DRAIN):
                for kind, facts in by_kind(row.facts).items():
                    if row.id > done(kind, self.app):
                        grouped.setdefault(kind, []).extend(facts)
                upto[self.app] = row.id
        except sqlite3.Error as error:
            raise JournalError(f"cannot read {self.path}: {error}") from error

    def leave(self, upto: int) -> None:
        """Every table has the rows up to there: delete them, now and then."""
        self.moved = max(self.moved, upto)
        if self.moved - self.deleted < DELETE_ROWS:
            return
        try:
            self.connection.execute("DELETE FROM batches WHERE id <= ?", (self.moved,))
            self.deleted = self.moved
        except sqlite3.Error:
            # The writer was busy or the disk is full: the rows are in the tables, so a later turn will do.
            return

    def purge(self) -> None:
        """Leave nothing of what is in the tables, not even in the file's free space. Raises JournalError."""
        try:
            self.connection.execute("DELETE FROM batches WHERE id <= ?", (self.moved,))
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.deleted = self.moved
        except sqlite3.Error as error:
            raise JournalError(f"cannot empty {self.path}: {error}; it is tried again") from error


class Sources:
    """All journals below a data folder; those of new workers as they come."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._open: dict[Path, Source] = {}

    def all(self) -> list[Source]:
        """Each journal, opened once. Raises JournalError."""
        for path in batches.journals(self._data):
            if path not in self._open:
                try:
                    # Losing a deletion in a power cut is harmless, so the writers' disk is not made to wait for it.
                    connection = batches.connect(path, durable=False)
                    app = f"{path.stem}-{batches.identity(connection)}"
                except (sqlite3.Error, OSError) as error:
                    raise JournalError(f"cannot open {path}: {error}") from error
                self._open[path] = Source(path, connection, app)
        return list(self._open.values())

    def moved(self, path: Path) -> int:
        """Every batch of that journal up to this row is in the tables."""
        source = self._open.get(path)
        return 0 if source is None else max(source.moved, batches.gone(source.connection))

    def close(self) -> None:
        """Let go of them."""
        for source in self._open.values():
            source.connection.close()
        self._open.clear()
