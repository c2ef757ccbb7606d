"""Which outcomes the tables have, by id: what reached the control ports of two hosts is counted once.

A control port knows what it took itself; only who moves facts to the tables sees what all took. The list is read from
the tables wherever it is missing or behind, so that every controller has it, and the first report stands for good.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.batches import JournalError
from crossfade.rim.inbox import AGAIN, REMEMBER, REPEATS
from crossfade.rim.lake_place import FOLDER
from crossfade.rim.seen import Known, Seen, fingerprint

log = logging.getLogger("crossfade.lake")

AT_ONCE = 50_000
"""Outcomes of a file in memory at once."""

_SAID = ("outcome_id", "rollout", "decision_id", "unit", "name", "value", "item", "received_at", "corrects")


def path(data: Path) -> Path:
    """The list of a data folder."""
    return data / FOLDER / "reported.db"


class Reported:
    """The ids of the outcomes in one lake's table. One owner at a time; raises JournalError where it cannot be kept."""

    def __init__(self, data: Path) -> None:
        self._path = path(data)
        try:
            # What a power cut takes from it is read from the table again.
            self._connection = batches.connect(self._path, durable=False)
            self._connection.execute(REPEATS)
            self._seen = Seen(self._connection, self._path.with_suffix(".seen"))
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"cannot open {self._path}: {error}") from error
        self._fresh: list[Outcome] = []
        self._again: list[tuple[Outcome, bool]] = []
        """What was there already, and whether it says something else."""

    @property
    def version(self) -> int:
        """The version of the table up to which the list is whole; -1 where it is empty."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        return int(row[0]) if row else -1

    def catch_up(self, version: int, brought: Callable[[int, int], Sequence[str]]) -> None:
        """Add what others have put into the table. `brought`: the files with what came between two versions."""
        known = self.version
        if known == version:
            return
        for file in brought(known, version):
            for some in _read(file):
                with self._writing():
                    prints = [fingerprint(one) for one in some]
                    judged = zip(prints, self._seen.judge(prints), strict=True)
                    self._add([one for one, verdict in judged if verdict is Known.NEW], some)
                self._tidy(some)
        with self._writing():
            self._reached(version)

    def new(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Those that the table does not have, each once."""
        prints = [fingerprint(one) for one in outcomes]
        first: dict[bytes, bytes] = {}
        self._fresh, self._again = [], []
        for one, said, verdict in zip(outcomes, prints, self._judged(prints), strict=True):
            if verdict is Known.NEW:
                known = first.setdefault(said[:12], said)
                if known is said:
                    self._fresh.append(one)
                    continue
                verdict = Known.REPEATED if known == said else Known.CONTRADICTED
            self._again.append((one, verdict is Known.CONTRADICTED))
        return list(self._fresh)

    def keep(self, version: int | None) -> None:
        """The table has what was new, and nothing else has come to it, at this version; None where nothing was new."""
        with self._writing():
            self._add([fingerprint(one) for one in self._fresh], self._fresh)
            if version is not None:
                self._reached(version)
            for one, other in self._again:
                self._connection.execute(AGAIN, (one.rollout, one.name, int(not other), int(other)))
                if other:
                    log.warning("outcome %r was reported again with other content; the first stands", one.outcome_id)
        self._tidy(self._fresh)
        self._fresh, self._again = [], []

    def close(self) -> None:
        """Let go of the list."""
        self._connection.close()

    def _judged(self, prints: Sequence[bytes]) -> list[Known]:
        with self._writing():
            return self._seen.judge(prints)

    def _add(self, prints: Sequence[bytes], outcomes: Sequence[Outcome]) -> None:
        if prints:
            self._seen.add(prints, max(one.received_at for one in outcomes))

    def _reached(self, version: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (str(version),))

    def _tidy(self, outcomes: Sequence[Outcome]) -> None:
        try:
            if outcomes and self._seen.tidy():
                self._seen.forget(max(one.received_at for one in outcomes) - REMEMBER)
        except (sqlite3.Error, OSError) as error:
            log.warning("the list of reported outcomes could not be tidied: %s", error)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise JournalError(f"cannot write {self._path}: {error}") from error


def _read(file: str) -> Iterator[list[Outcome]]:
    try:
        parquet = pq.ParquetFile(file)
        there = [name for name in _SAID if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(AT_ONCE, columns=there):
            yield [_outcome(row) for row in batch.to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise JournalError(f"cannot read {file}: {error}") from error


def _outcome(row: dict[str, object]) -> Outcome:
    """With what tells one from another; the rest is nobody's business here."""
    return Outcome(at=0.0, **{**row, "corrects": row.get("corrects") or ""})  # type: ignore[arg-type]
