"""The outcome inbox: outcomes are accepted once each, and only once they are on the disk.

It is a journal like any worker's (`outcomes`), with the ids seen so far beside it in the same file, so that one
transaction both recognises repeats and keeps what is new. The first report under an id stands for good: a later one
that says the same is a duplicate, one that says something else is refused and told. A value is put right by a further
outcome that names the one it corrects, so that both stay on record. Repeats are counted here, for the lake has none.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade import facts as codec
from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.batches import JournalError
from crossfade.rim.seen import Known, Seen, fingerprint

WORKER = "outcomes"

REMEMBER = 400 * 86_400.0
"""Seconds for which ids are remembered, counted from their acceptance; longer than facts are kept by default."""


REPEATS = """
CREATE TABLE IF NOT EXISTS repeats (
  rollout TEXT NOT NULL,
  name TEXT NOT NULL,
  duplicates INTEGER NOT NULL,
  contradictions INTEGER NOT NULL,
  PRIMARY KEY (rollout, name)
) WITHOUT ROWID
"""

AGAIN = """
INSERT INTO repeats VALUES (?, ?, ?, ?) ON CONFLICT (rollout, name) DO UPDATE SET
  duplicates = duplicates + excluded.duplicates, contradictions = contradictions + excluded.contradictions
"""


def path(data: Path) -> Path:
    """The inbox of a data folder."""
    return data / batches.FOLDER / f"{WORKER}.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Reports under an id that was known, since the inbox was made."""

    duplicates: int = 0
    """They said the same again."""
    contradictions: int = 0
    """They said something else, and were refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a batch."""

    accepted: int
    duplicates: int
    conflicts: tuple[int, ...] = ()
    """Places in the batch whose id stands for something else already; nothing was kept of them."""


class OutcomeInbox:
    """Where outcomes arrive. Safe to share between threads and processes."""

    def __init__(self, data: Path) -> None:
        self.path = path(data)
        self._lock = threading.Lock()
        try:
            self._connection = batches.connect(self.path)
            self._connection.execute(REPEATS)
            self._seen = Seen(self._connection, self.path.with_suffix(".seen"))
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"cannot open {self.path}: {error}") from error

    def accept(self, outcomes: Sequence[Outcome]) -> Accepted:
        """Keep what is new, by `outcome_id`; durable when this returns. Raises JournalError, and then kept nothing."""
        if not outcomes:
            return Accepted(accepted=0, duplicates=0)
        prints = [fingerprint(outcome) for outcome in outcomes]
        at = max(outcome.received_at for outcome in outcomes)
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    fresh, conflicts = self._sort(prints)
                    if fresh:
                        kept = [outcomes[place] for place in fresh]
                        batches.insert(connection, codec.encode(kept), len(kept))
                        self._seen.add([prints[place] for place in fresh], at)
                    if len(fresh) < len(outcomes):
                        self._count(outcomes, fresh, conflicts)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self.path}: {error}") from error
            self._tidy(at)
        repeated = len(outcomes) - len(fresh) - len(conflicts)
        return Accepted(accepted=len(fresh), duplicates=repeated, conflicts=tuple(conflicts))

    def forget(self, before: float) -> int:
        """Forget ids accepted before a time, so that the list of ids stays bounded; how many."""
        with self._lock:
            try:
                return self._seen.forget(before)
            except sqlite3.Error as error:
                raise JournalError(f"cannot write {self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _sort(self, prints: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """The places of what is new, and of what contradicts what is known or came earlier in the batch."""
        fresh, conflicts = [], []
        first: dict[bytes, bytes] = {}
        for place, verdict in enumerate(self._seen.judge(prints)):
            one = prints[place]
            if verdict is Known.NEW:
                known = first.setdefault(one[:12], one)
                if known is one:
                    fresh.append(place)
                    continue
                verdict = Known.REPEATED if known == one else Known.CONTRADICTED
            if verdict is Known.CONTRADICTED:
                conflicts.append(place)
        return fresh, conflicts

    def _count(self, outcomes: Sequence[Outcome], fresh: Sequence[int], conflicts: Sequence[int]) -> None:
        """Count what was not new, in the caller's transaction; by what it says of itself, because nothing joins it."""
        contradicted = set(conflicts)
        known = set(range(len(outcomes))).difference(fresh)
        counts: Counter[tuple[str, str, bool]] = Counter(
            (outcomes[place].rollout, outcomes[place].name, place in contradicted) for place in known
        )
        for (rollout, name, other), count in counts.items():
            self._connection.execute(AGAIN, (rollout, name, 0 if other else count, count if other else 0))

    def _tidy(self, now: float) -> None:
        try:
            if self._seen.tidy():
                self._seen.forget(now - REMEMBER)
        except (sqlite3.Error, OSError):
            # What was accepted is safe; tidying is tried again with the next batch.
            return


class RepeatCounts:
    """What was counted of repeats, by an inbox or by who moves what several took, for those who take nothing in."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._open: dict[Path, sqlite3.Connection] = {}

    def of(self, rollout: str, names: Collection[str]) -> Repeats:
        """Repeats that name the rollout; or a decision, whose rollout nobody looks up, and an outcome of these names.

        Raises JournalError.
        """
        found = [self._of(file, rollout, names) for file in self._files if file in self._open or file.exists()]
        return Repeats(
            duplicates=sum(one.duplicates for one in found), contradictions=sum(one.contradictions for one in found)
        )

    def close(self) -> None:
        """Let go of the files."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _of(self, file: Path, rollout: str, names: Collection[str]) -> Repeats:
        marks = ", ".join("?" * len(names))
        try:
            if file not in self._open:
                self._open[file] = batches.connect(file)
                self._open[file].execute(REPEATS)
            found = (
                self._open[file]
                .execute(
                    "SELECT coalesce(sum(duplicates), 0), coalesce(sum(contradictions), 0) FROM repeats "
                    f"WHERE (rollout = ? OR rollout = '') AND name IN ({marks})",
                    (rollout, *names),
                )
                .fetchone()
            )
        except sqlite3.Error as error:
            self.close()
            raise JournalError(f"cannot read {file}: {error}") from error
        return Repeats(duplicates=int(found[0]), contradictions=int(found[1]))
