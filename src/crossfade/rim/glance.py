"""The store as those see it who look many times a second and never write: plain sqlite3, quick to import.

A gateway's process imports this and not the store, so that one that died is back in a fraction of the time.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.rim.parsed import unpacked
from crossfade.rim.revisions import StoreError
from crossfade.rim.stop_orders import ordered
from crossfade.rim.store_address import FILE
from crossfade.spec.model import Rollout
from crossfade.state import Position

BUSY_SECONDS = 5.0
"""How long a transaction waits for another process's."""

__all__ = ["BUSY_SECONDS", "FILE", "ROLLOUTS", "Glance", "Reading", "Seen"]

ROLLOUTS = """
SELECT rollouts.name, rollouts.revision, position, text, record FROM rollouts
LEFT JOIN specs ON specs.rollout = name AND specs.revision = rollouts.revision
LEFT JOIN parsed ON parsed.rollout = name AND parsed.revision = rollouts.revision
ORDER BY name
"""
"""Rollouts as they are stored, in words of any SQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A rollout and where it stands."""

    rollout: Rollout
    position: Position


class Reading:
    """Rows of rollouts read as what they mean; each revision is parsed once."""

    def __init__(self, said: str) -> None:
        """`said`: what messages call the store."""
        self._said = said
        self._known: dict[str, Rollout] = {}

    def seen(self, name: str, revision: str, position: str, text: str | None, record: bytes | None) -> Seen:
        """One row. Raises StoreError."""
        try:
            stands = Position.from_json(json.loads(position))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"the position of {name} in {self._said} cannot be read: {error!r}") from error
        rollout = self._known.get(revision)
        if rollout is None and record:
            rollout = unpacked(record, revision)
        if rollout is None:
            if text is None:
                raise StoreError(f"{self._said} has no revision {revision} of {name}")
            from crossfade.spec.parse import parse

            rollout = parse(text)
        self._known[revision] = rollout
        return Seen(rollout=rollout, position=stands)


class Glance:
    """What the file says now. Safe to share between threads; each has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._reading = Reading(str(path))

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive. Raises StoreError, like everything here."""
        return self._counter("beats")

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, in any process."""
        return self._counter("changes")

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once, whatever the file says."""
        return ordered(self.path.parent)

    def rollouts(self) -> list[Seen]:
        """Every rollout, by name."""
        return [self._reading.seen(*row) for row in self._ask(ROLLOUTS)]

    def wait(self, seconds: float) -> None:
        """A file tells nobody that it has changed: look again after so many seconds."""
        time.sleep(seconds)

    def close(self) -> None:
        """Let go of the file, as far as this thread has it open."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def _counter(self, name: str) -> int:
        return int(self._ask("SELECT value FROM counters WHERE name = ?", name)[0][0])

    def _ask(self, question: str, *values: str) -> list[tuple[Any, ...]]:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                # Looking never makes a file.
                connection = sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
                )
                self._local.connection = connection
            return connection.execute(question, values).fetchall()
        except sqlite3.Error as error:
            self._local.connection = None
            raise StoreError(f"cannot read {self.path}: {error}") from error
