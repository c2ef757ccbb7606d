"""The ids of outcomes seen so far: sorted runs of fingerprints that are only ever appended, merged, and forgotten.

A tree of ids would be written to in a thousand random places for every thousand outcomes, which costs more than
everything else together. So each batch appends one small row beside it, in the same transaction; many rows become one
sorted file, several files a larger one. A file is complete and flushed before the transaction that names it, so a
death anywhere leaves either the old runs or the new ones.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from crossfade.facts import Outcome
from crossfade.rim.batches import JournalError

YOUNG = 65_536
"""Ids kept in rows, and in memory, before they become a file."""

FAN = 4
"""Files of about one size that become one of the next."""

LARGEST = 16_000_000
"""Ids above which files are left as they are, so that no merge takes long or needs much memory."""

STRAY = 3600.0
"""Seconds after which a file that nothing names was left by a death, not by a merge under way."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen_runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  newest REAL NOT NULL,
  count INTEGER NOT NULL,
  file TEXT,
  blob BLOB
)
"""

_ID, _WHOLE = 12, 16
"""Bytes of a fingerprint that stand for the id, and of all of it; the rest stand for what was said under the id."""

_UNKNOWN = b"\0\0\0\0"
"""In place of content: it was not kept, so that any repeat counts as one."""


class Known(Enum):
    """What is known of an outcome's id."""

    NEW = "new"
    REPEATED = "repeated"
    """The same was said under it before."""
    CONTRADICTED = "contradicted"
    """Something else was said under it before."""


def fingerprint(outcome: Outcome) -> bytes:
    """Twelve bytes of the id's hash, so that no two ids meet by chance, and four of what is said under it.

    `at` is left out: it is our own clock's where the reporter gives none, and differs between two tellings.
    """
    said = (
        f"{outcome.name}\0{outcome.value!r}\0{outcome.decision_id}\0{outcome.unit}\0{outcome.item}\0{outcome.rollout}"
    )
    if outcome.corrects:
        said += f"\0{outcome.corrects}"
    content = xxhash.xxh32_digest(said.encode())
    return xxhash.xxh3_128_digest(outcome.outcome_id.encode())[:_ID] + (content if content != _UNKNOWN else b"\0\0\0\1")


@dataclass(slots=True)
class _Run:
    """One sorted file: the first eight bytes of each fingerprint, and the other eight."""

    count: int
    newest: float
    file: str
    high: Any
    low: Any


class Seen:
    """The ids in one inbox file. Its owner holds a lock, and calls `judge` and `add` inside a write transaction."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._young: dict[bytes, bytes] = {}
        self._runs: dict[int, _Run] = {}
        self._last = 0
        self._generation = -1
        connection.execute(_SCHEMA)
        self._adopt()
        self._sweep()

    def judge(self, prints: Sequence[bytes]) -> list[Known]:
        """What is known of each, ids that others have added meanwhile included."""
        self._catch_up()
        young = self._young
        found = [young.get(one[:_ID]) for one in prints]
        verdicts = [_verdict(old, one[_ID:]) for old, one in zip(found, prints, strict=True)]
        open_ = [place for place, verdict in enumerate(verdicts) if verdict is Known.NEW]
        if open_ and self._runs:
            for place, verdict in zip(open_, self._in_runs([prints[place] for place in open_]), strict=True):
                verdicts[place] = verdict
        return verdicts

    def add(self, prints: Sequence[bytes], newest: float) -> None:
        """Remember new ones, in the caller's transaction; the next `judge` finds them there."""
        self._connection.execute(
            "INSERT INTO seen_runs (newest, count, blob) VALUES (?, ?, ?)", (newest, len(prints), b"".join(prints))
        )

    def tidy(self) -> bool:
        """Outside a transaction: turn many rows into a file and several files into one; whether it was time to."""
        if len(self._young) < YOUNG:
            return False
        self._merge_young()
        while full := [tier for tier in self._tiers() if len(tier) >= FAN]:
            self._merge_files(full[0][:FAN])
        return True

    def forget(self, before: float) -> int:
        """Forget runs whose newest id is older than a time; how many ids."""
        connection = self._connection
        where = "newest < ?"
        with _transaction(connection):
            files = [row[0] for row in connection.execute(f"SELECT file FROM seen_runs WHERE {where}", (before,))]
            (count,) = connection.execute(f"SELECT sum(count) FROM seen_runs WHERE {where}", (before,)).fetchone()
            if files:
                connection.execute(f"DELETE FROM seen_runs WHERE {where}", (before,))
                self._bump()
        for file in filter(None, files):
            (self._folder / file).unlink(missing_ok=True)
        return int(count or 0)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Take in what this and other processes have added or merged since the last time."""
        connection = self._connection
        row = connection.execute("SELECT value FROM meta WHERE key = 'seen'").fetchone()
        generation = int(row[0]) if row else 0
        if generation != self._generation:
            self._young, self._last, old, self._runs = {}, 0, self._runs, {}
        else:
            old = self._runs
        rows = connection.execute(
            "SELECT id, newest, count, file, blob FROM seen_runs WHERE id > ? ORDER BY id", (self._last,)
        )
        for id_, newest, count, file, blob in rows:
            if file is None:
                for at in range(0, len(blob), _WHOLE):
                    self._young[blob[at : at + _ID]] = blob[at + _ID : at + _WHOLE]
            else:
                self._runs[id_] = old.get(id_) or self._open(file, count, newest)
            self._last = id_
        self._generation = generation

    def _open(self, file: str, count: int, newest: float) -> _Run:
        path = self._folder / file
        try:
            # Mapped, not read: what is not asked for stays on the disk.
            both = np.memmap(path, dtype="<u8", mode="r", shape=(2, count))
        except (OSError, ValueError) as error:
            raise JournalError(
                f"the list of outcome ids {path} cannot be read: {error}; without it repeats would be counted twice, "
                "so put it back from a copy"
            ) from error
        return _Run(count, newest, file, both[0], both[1])

    def _in_runs(self, prints: list[bytes]) -> list[Known]:
        wanted = np.frombuffer(b"".join(prints), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        order = np.argsort(wanted[:, 0])
        high, low = wanted[order, 0], wanted[order, 1]
        verdicts = [Known.NEW] * len(prints)
        for run in self._runs.values():
            places = np.searchsorted(run.high, high)
            inside = np.minimum(places, run.count - 1)
            for hit in np.flatnonzero(run.high[inside] == high):
                place = int(places[hit])
                while place < run.count and run.high[place] == high[hit]:
                    old, new = int(run.low[place]), int(low[hit])
                    if old >> 32 == new >> 32:
                        content = (old & 0xFFFFFFFF).to_bytes(4, "big")
                        verdicts[int(order[hit])] = _verdict(content, (new & 0xFFFFFFFF).to_bytes(4, "big"))
                    place += 1
        return verdicts

    def _merge_young(self) -> None:
        packed = b"".join(key + content for key, content in self._young.items())
        both = np.frombuffer(packed, dtype=">u8").reshape(-1, 2).astype(np.uint64)
        (newest,) = self._connection.execute("SELECT max(newest) FROM seen_runs WHERE file IS NULL").fetchone()
        self._replace(both[:, 0], both[:, 1], newest, "file IS NULL AND id <= ?", (self._last,))

    def _merge_files(self, ids: list[int]) -> None:
        runs = [self._runs[id_] for id_ in ids]
        high = np.concatenate([run.high for run in runs])
        low = np.concatenate([run.low for run in runs])
        marks = ", ".join("?" * len(ids))
        if self._replace(high, low, max(run.newest for run in runs), f"id IN ({marks})", ids):
            for run in runs:
                (self._folder / run.file).unlink(missing_ok=True)

    def _replace(self, high: Any, low: Any, newest: float, where: str, values: Sequence[int]) -> bool:
        """Write one sorted file and let it take the place of the rows that `where` names; False when others did."""
        order = np.argsort(high, kind="stable")
        file = f"{uuid.uuid4().hex}.ids"
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / file, "wb") as out:
            out.write(high[order].astype("<u8").tobytes())
            out.write(low[order].astype("<u8").tobytes())
            out.flush()
            os.fsync(out.fileno())
        _sync_folder(self._folder)
        connection, generation = self._connection, self._generation
        with _transaction(connection):
            row = connection.execute("SELECT value FROM meta WHERE key = 'seen'").fetchone()
            first = (int(row[0]) if row else 0) == generation
            if first:
                connection.execute(f"DELETE FROM seen_runs WHERE {where}", values)
                connection.execute(
                    "INSERT INTO seen_runs (newest, count, file) VALUES (?, ?, ?)", (newest, len(high), file)
                )
                self._bump()
        if not first:
            # Another process merged before us; its work stands.
            (self._folder / file).unlink()
        self._catch_up()
        return first

    def _tiers(self) -> list[list[int]]:
        tiers: dict[int, list[int]] = {}
        for id_, run in self._runs.items():
            if run.count < LARGEST:
                tiers.setdefault(int(np.log2(run.count / YOUNG) // np.log2(FAN)), []).append(id_)
        return list(tiers.values())

    def _bump(self) -> None:
        self._connection.execute(
            "INSERT INTO meta VALUES ('seen', '1') "
            "ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
        )

    def _adopt(self) -> None:
        """Take over the table of ids that earlier versions kept."""
        connection = self._connection
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seen'"
        if connection.execute(known).fetchone() is None:
            return
        with _transaction(connection):
            if connection.execute(known).fetchone() is None:
                return
            rows = connection.execute("SELECT outcome_id, at FROM seen")
            while some := rows.fetchmany(YOUNG):
                prints = [xxhash.xxh3_128_digest(key.encode())[:_ID] + _UNKNOWN for key, _ in some]
                self.add(prints, max(at for _, at in some))
            connection.execute("DROP TABLE seen")

    def _sweep(self) -> None:
        """Delete files that a death has left."""
        if not self._folder.is_dir():
            return
        named = {row[0] for row in self._connection.execute("SELECT file FROM seen_runs WHERE file IS NOT NULL")}
        for path in self._folder.glob("*.ids"):
            with contextlib.suppress(OSError):
                if path.name not in named and time.time() - path.stat().st_mtime > STRAY:
                    path.unlink()


def _verdict(old: bytes | None, new: bytes) -> Known:
    if old is None:
        return Known.NEW
    return Known.REPEATED if old in (new, _UNKNOWN) else Known.CONTRADICTED


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Any:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
