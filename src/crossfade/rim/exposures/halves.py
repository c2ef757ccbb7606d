"""Requests and replies that are told apart, joined by their id: each half is on the disk before it is acknowledged.

A request whose reply is never told has failed, for only good replies are; unless no reply of its source has been told
lately, and then nobody knows. A reply without its request says nothing. Both are counted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crossfade import facts as codec
from crossfade.facts import Exposed
from crossfade.rim.batches import JournalError
from crossfade.rim.exposures.envelope import Event
from crossfade.rim.exposures.inbox import ExposureInbox

FILE = "events.db"

PATIENCE = 120.0
"""Seconds that a half waits for the other one, beyond the time in which its client has an answer."""

LATELY = 3600.0
"""Seconds for which a reply shows that its source tells of replies."""

REMEMBER = 86_400.0
"""Seconds for which what was joined is known again."""

NO_RESPONSE = "no-response"

RESULTS = ("exposed", "failed", "duplicate", "rejected", "unknown", "unanswered", "unasked")
"""What becomes of events: `unknown` are of types that nobody reads here, `unanswered` requests of which it is not known
what became, `unasked` replies without a request."""

_TABLES = """
CREATE TABLE IF NOT EXISTS halves (source TEXT NOT NULL, id TEXT NOT NULL, fact BLOB, deadline REAL, answered REAL,
    size INTEGER, arrived REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON halves (done, arrived);
CREATE TABLE IF NOT EXISTS sources (source TEXT PRIMARY KEY, answered REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (result TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
"""

Row = tuple[str, str, bytes | None, float | None, float | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """That somebody asked."""

    event: Event
    fact: Exposed
    """As if it had been answered well at once."""
    deadline: float
    """Seconds after which its client had an answer, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """That it was answered well."""

    event: Event


class Halves:
    """What waits for its other half, in one data folder. Safe to share between threads."""

    def __init__(self, data: Path, inbox: Callable[[], ExposureInbox]) -> None:
        self._path, self._inbox = data / FILE, inbox
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None

    def take(self, told: Sequence[Request | Reply], counted: Mapping[str, int], now: float) -> Counter[str]:
        """Keep halves, and join what is whole; durable when this returns. `counted`: events that are no halves. How
        many were `accepted`, and what else they were. Raises JournalError."""
        found = Counter(counted)
        with self._lock:
            try:
                with self._transaction() as connection:
                    for one in told:
                        new = _ask(connection, one, now) if isinstance(one, Request) else _answer(connection, one, now)
                        found["accepted" if new else "duplicate"] += 1
                    _count(connection, {name: found[name] for name in RESULTS})
                self._join(now)
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self._path}: {error}") from error
        return found

    def sweep(self, now: float) -> None:
        """Give up waiting for what does not come. Raises JournalError."""
        if self._open is None and not self._path.exists():
            return
        with self._lock:
            try:
                self._join(now)
                self._give_up(now)
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self._path}: {error}") from error

    def counts(self) -> dict[str, int]:
        """What has become of events, and how many halves wait; empty where there never was one."""
        if self._open is None and not self._path.exists():
            return {}
        with self._lock:
            try:
                connection = self._connection()
                found = dict(connection.execute("SELECT result, n FROM counts").fetchall())
                found["waiting"] = int(connection.execute("SELECT count(*) FROM halves WHERE done = 0").fetchone()[0])
            except sqlite3.Error:
                return {}
        return found

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = None

    def _join(self, now: float) -> None:
        """Whole requests become exposures. A death between the two writes joins them again, under ids known by then."""
        rows: list[Row] = self._connection().execute(
            "SELECT source, id, fact, deadline, answered, size FROM halves"
            " WHERE done = 0 AND fact IS NOT NULL AND answered IS NOT NULL"
        ).fetchall()  # fmt: skip
        self._finish(rows, [_answered(row) for row in rows], "exposed", now)

    def _give_up(self, now: float) -> None:
        connection = self._connection()
        late: list[Row] = connection.execute(
            "SELECT source, id, fact, deadline, answered, size FROM halves"
            " WHERE done = 0 AND arrived + coalesce(deadline, 0) < ?",
            (now - PATIENCE,),
        ).fetchall()
        heard = {
            source
            for (source,) in connection.execute("SELECT source FROM sources WHERE answered >= ?", (now - LATELY,))
        }
        failed = [row for row in late if row[2] is not None and row[0] in heard]
        self._finish(failed, [_failed(row) for row in failed], "failed", now)
        self._finish([row for row in late if row[2] is not None and row[0] not in heard], [], "unanswered", now)
        self._finish([row for row in late if row[2] is None], [], "unasked", now)
        with self._transaction() as connection:
            connection.execute("DELETE FROM halves WHERE done = 1 AND arrived < ?", (now - REMEMBER,))

    def _finish(self, rows: Sequence[Row], exposures: Sequence[Exposed], result: str, now: float) -> None:
        if not rows:
            return
        if exposures:
            self._inbox().accept(exposures, now)
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE halves SET done = 1, fact = NULL WHERE source = ? AND id = ?", [row[:2] for row in rows]
            )
            _count(connection, {result: len(rows)})

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_TABLES)
            self._open = connection
        return self._open

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection())


class _Transaction:
    """All or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _ask(connection: sqlite3.Connection, one: Request, now: float) -> bool:
    """Keep a request; whether it is new."""
    changed = connection.execute(
        "INSERT INTO halves (source, id, fact, deadline, arrived) VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, id)"
        " DO UPDATE SET fact = excluded.fact, deadline = excluded.deadline WHERE done = 0 AND fact IS NULL",
        (one.event.source, one.event.id, codec.encode([one.fact]), one.deadline, now),
    )
    return changed.rowcount > 0


def _answer(connection: sqlite3.Connection, one: Reply, now: float) -> bool:
    """Keep a reply; whether it is new."""
    event = one.event
    connection.execute(
        "INSERT INTO sources VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET answered = excluded.answered",
        (event.source, now),
    )
    at = now if event.at is None else event.at
    changed = connection.execute(
        "INSERT INTO halves (source, id, answered, size, arrived) VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, id)"
        " DO UPDATE SET answered = excluded.answered, size = excluded.size WHERE done = 0 AND answered IS NULL",
        (event.source, event.id, at, len(event.data), now),
    )
    return changed.rowcount > 0


def _count(connection: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    connection.executemany(
        "INSERT INTO counts VALUES (?, ?) ON CONFLICT (result) DO UPDATE SET n = n + excluded.n",
        [(name, n) for name, n in counts.items() if n],
    )


def _fact(row: Row) -> Exposed:
    (found,) = codec.decode(row[2] or b"")
    assert isinstance(found, Exposed)
    return found


def _answered(row: Row) -> Exposed:
    fact = _fact(row)
    took = max(0.0, ((row[4] or 0.0) - fact.at) * 1000.0)
    return msgspec.structs.replace(fact, latency_ms=took, total_ms=took, size=row[5] or 0)


def _failed(row: Row) -> Exposed:
    took = (row[3] or 0.0) * 1000.0
    return msgspec.structs.replace(
        _fact(row), status=0, served_by="", failed=True, reason=NO_RESPONSE, latency_ms=took, total_ms=took
    )
