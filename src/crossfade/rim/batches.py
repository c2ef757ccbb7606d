"""The form of a journal file: a SQLite table of fact batches, how one is opened, added to and read.

A row is a msgpack batch, deflated where that pays. Row ids only ever grow, also across deletions, and the file has
an identity of its own, so that whoever moves rows onward can say exactly how far it has come.
"""

from __future__ import annotations

import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crossfade import facts as codec
from crossfade.facts import Fact

FOLDER = "journal"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  facts INTEGER NOT NULL,
  packed INTEGER NOT NULL,
  blob BLOB NOT NULL
);
"""

BUSY_SECONDS = 5.0

_DEFLATE_FROM = 2048
"""Bytes below which deflating a batch costs more than it saves."""


class JournalError(Exception):
    """Facts could not be made durable; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One batch as it lies in a journal."""

    id: int
    facts: list[Fact]


@dataclass(frozen=True, slots=True)
class Raw:
    """One batch as its bytes."""

    id: int
    facts: int
    packed: int
    blob: bytes


def journals(data: Path) -> list[Path]:
    """The journal files under a data directory, in a stable order."""
    return sorted((data / FOLDER).glob("*.db"))


def connect(path: Path, *, durable: bool = True, named: str = "") -> sqlite3.Connection:
    """An open journal file, created when absent. `durable` commits are flushed to the disk before they return.

    `named` is the identity of the journal that this is a copy of.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.executescript(_SCHEMA)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (named or uuid.uuid4().hex,))
    return connection


def identity(connection: sqlite3.Connection) -> str:
    """What tells this journal file from any other that ever had its name."""
    return str(connection.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()[0])


def insert(connection: sqlite3.Connection, encoded: bytes, count: int) -> int:
    """Add one encoded batch inside the caller's transaction; its row id."""
    packed = len(encoded) >= _DEFLATE_FROM
    blob = zlib.compress(encoded, 1) if packed else encoded
    cursor = connection.execute("INSERT INTO batches (facts, packed, blob) VALUES (?, ?, ?)", (count, packed, blob))
    return int(cursor.lastrowid or 0)


def rows(connection: sqlite3.Connection, after: int, most: int) -> Iterator[Row]:
    """The batches with an id above `after`, in order, until they hold `most` facts. Raises JournalError."""
    held = 0
    for row, count, packed, blob in connection.execute(
        "SELECT id, facts, packed, blob FROM batches WHERE id > ? ORDER BY id", (after,)
    ):
        try:
            yield Row(row, codec.decode(zlib.decompress(blob) if packed else blob))
        except (zlib.error, msgspec.DecodeError) as error:
            raise JournalError(f"batch {row} cannot be read: {error}") from error
        held += count
        if held >= most:
            return


def raw(connection: sqlite3.Connection, after: int, most: int) -> list[Raw]:
    """The batches with an id above `after`, in order, until they hold `most` bytes."""
    found: list[Raw] = []
    held = 0
    for row in connection.execute("SELECT id, facts, packed, blob FROM batches WHERE id > ? ORDER BY id", (after,)):
        found.append(Raw(*row))
        held += len(row[3])
        if held >= most:
            break
    return found


def add(connection: sqlite3.Connection, rows: Sequence[Raw]) -> None:
    """Put batches of another journal into its copy, with their ids. What it has, or has had, is not put there again."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        had = _highest(connection)
        new = [(row.id, row.facts, row.packed, row.blob) for row in rows if row.id > had]
        connection.executemany("INSERT INTO batches (id, facts, packed, blob) VALUES (?, ?, ?, ?)", new)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def gone(connection: sqlite3.Connection) -> int:
    """Every batch up to this id has been taken out again."""
    first = connection.execute("SELECT min(id) FROM batches").fetchone()[0]
    return _highest(connection) if first is None else int(first) - 1


def _highest(connection: sqlite3.Connection) -> int:
    """The greatest id that any batch ever had."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
    return int(found[0]) if found else 0
