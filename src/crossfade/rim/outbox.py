"""How far each of those who are told has been told: one small SQLite file beside the store.

What was told is what the cursor says, and it moves after the telling: a death between the two tells it twice, under the
same id, and never not at all.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "notices.db"

MOST_TRIES = 20
"""Tries of one notice; with the waits between them, about an hour. Then it is given up, which the page says."""

LONGEST = 300.0
"""Seconds between two tries at most."""

_TABLE = """
CREATE TABLE IF NOT EXISTS told (rollout TEXT NOT NULL, target TEXT NOT NULL, cursor INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0, failing_since REAL, error TEXT NOT NULL
    DEFAULT '', delivered INTEGER NOT NULL DEFAULT 0, given_up INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (rollout, target))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How somebody stands."""

    rollout: str
    target: str
    cursor: int
    """Everything up to here has been told or given up."""
    tries: int = 0
    """Of what comes next."""
    not_before: float = 0.0
    failing_since: float | None = None
    error: str = ""
    delivered: int = 0
    given_up: int = 0

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return asdict(self)


class Outbox:
    """The cursors of one data folder. Safe to share between threads: each call opens the file anew."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE

    def get(self, rollout: str, target: str) -> Told | None:
        """How somebody stands; None before the first time."""
        return next((one for one in self.all(rollout) if one.target == target), None)

    def all(self, rollout: str) -> list[Told]:
        """How everybody stands whom a rollout tells."""
        if not self.path.exists():
            return []
        with closing(self._open()) as connection:
            rows = connection.execute("SELECT * FROM told WHERE rollout = ? ORDER BY target", (rollout,)).fetchall()
        return [Told(**dict(row)) for row in rows]

    def begin(self, rollout: str, target: str, cursor: int) -> Told:
        """Somebody new, who is told of what comes after `cursor`."""
        with closing(self._open()) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO told (rollout, target, cursor) VALUES (?, ?, ?)", (rollout, target, cursor)
            )
        return Told(rollout=rollout, target=target, cursor=cursor)

    def skipped(self, told: Told, cursor: int) -> None:
        """Up to here there was nothing that they want to know."""
        self._set(told, cursor=cursor)

    def delivered(self, told: Told, cursor: int) -> None:
        """They know."""
        self._set(
            told, cursor=cursor, tries=0, not_before=0.0, failing_since=None, error="", delivered=told.delivered + 1
        )

    def failed(self, told: Told, cursor: int, error: str, now: float, *, for_ever: bool = False) -> None:
        """They could not be told; again later, a little later each time, or given up."""
        tries = told.tries + 1
        since = told.failing_since if told.failing_since is not None else now
        if tries >= MOST_TRIES and not for_ever:
            self._set(told, cursor=cursor, tries=0, not_before=0.0, failing_since=since, error=error,
                      given_up=told.given_up + 1)  # fmt: skip
        else:
            wait = min(LONGEST, 2.0 ** min(tries - 1, 10))
            self._set(told, cursor=told.cursor, tries=tries, not_before=now + wait, failing_since=since, error=error)

    def _set(self, told: Told, **values: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        with closing(self._open()) as connection:
            connection.execute(
                f"UPDATE told SET {names} WHERE rollout = ? AND target = ?",
                (*values.values(), told.rollout, told.target),
            )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE)
        return connection
