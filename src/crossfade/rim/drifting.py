"""Sketches that lie in the lake, taken in as they come: what each rollout's inputs and predictions are like now.

The controller asks at each look. New facts alone are read, in pieces that take little of its time; the whole is read
once, when a controller begins, and of a long history only the reference and as much of the present.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from crossfade.facts import Sketched
from crossfade.judge.drift.family import Family
from crossfade.judge.drift.outcomes import outcome_changes
from crossfade.judge.measure.measured import Measured
from crossfade.rim.lake import Lake
from crossfade.spec.model import Drift, Rollout
from crossfade.view.drift import drift_record, drift_unread

log = logging.getLogger("crossfade.drift")

GRACE = 3.0
"""Seconds after which a slice is taken to be complete; what comes later is left out."""

SPARE = 0.1
"""Seconds that one look may spend on what was counted."""

_NAMES = tuple(field.name for field in msgspec.structs.fields(Sketched))

_NEW = 'SELECT {columns} FROM facts WHERE rollout = $rollout AND "at" > $after ORDER BY "at"'

_WHOLE = """
SELECT {columns} FROM facts JOIN (SELECT side AS s, arm AS a, min("at") AS first, max("at") AS last FROM facts
    WHERE rollout = $rollout GROUP BY ALL) ON side = s AND arm = a
WHERE rollout = $rollout AND ("at" <= first + $reference OR "at" >= last - $reference) ORDER BY "at"
"""


class _Rollout:
    """What has been taken in of one rollout."""

    def __init__(self, drift: Drift) -> None:
        self.drift = drift
        self.version: int | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.family = Family(every=self.drift.every, reference=self.drift.reference)
        self.taken = float("-inf")
        self.waiting: list[pa.RecordBatch] = []
        self.rows: list[Sketched] = []
        self.record: dict[str, Any] | None = None

    def read(self, name: str, files: Sequence[str], *, whole: bool) -> None:
        """What new files hold of it."""
        columns = ", ".join(f'"{column}"' for column in _NAMES)
        sql = (_WHOLE if whole else _NEW).format(columns=columns)
        given = {"rollout": name} | ({"reference": self.drift.reference} if whole else {"after": self.taken})
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        with duckdb.connect(":memory:", config={"threads": 1}) as connection:
            connection.execute(f"CREATE VIEW facts AS SELECT * FROM read_parquet([{listed}], union_by_name = true)")
            found: pa.Table = connection.sql(sql, params=given).to_arrow_table()
        self.waiting.extend(found.to_batches(max_chunksize=500))

    def take(self, now: float, spare: float) -> bool:
        """Take in slices that are complete, one at least; whether that was all."""
        until = time.perf_counter() + spare
        while self.waiting:
            self.rows.extend(Sketched(**_whole(row)) for row in self.waiting.pop(0).to_pylist())
            if self.waiting and time.perf_counter() > until:
                return False
        self.rows.sort(key=lambda fact: fact.at)
        done = 0
        while done < len(self.rows) and self.rows[done].at + self.drift.every + GRACE <= now:
            at, end = self.rows[done].at, done
            while end < len(self.rows) and self.rows[end].at == at:
                end += 1
            if at > self.taken:
                self.family.take(at, [one for one in self.rows[done:end] if one.seconds == self.drift.every])
                self.taken, self.record = at, None
            done = end
            if time.perf_counter() > until:
                break
        complete = done == len(self.rows) or self.rows[done].at + self.drift.every + GRACE > now
        del self.rows[:done]
        return complete


class Drifting:
    """Drift of the rollouts of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, _Rollout] = {}

    def of(self, rollout: Rollout, measured: Measured, now: float) -> dict[str, Any] | None:
        """The record of one rollout; None where its spec does not ask for it. Never raises for what cannot be read."""
        drift = rollout.drift
        if drift is None:
            self._known.pop(rollout.name, None)
            return None
        known = self._known.get(rollout.name)
        if known is None or known.drift != drift:
            known = self._known[rollout.name] = _Rollout(drift)
        try:
            self._read(rollout.name, known)
            if not known.take(now, SPARE):
                return drift_unread(drift, "what was counted so far is still being read")
            if known.record is None:
                known.record = _record(rollout, drift, known.family, measured)
            return known.record
        except Exception as error:
            # Whatever is wrong here decides nothing: a rollout is judged, and its users served, all the same.
            log.exception("%s: what was counted cannot be read", rollout.name)
            self._known.pop(rollout.name, None)
            return drift_unread(drift, f"what was counted cannot be read ({type(error).__name__}: {error})")

    def _read(self, name: str, known: _Rollout) -> None:
        version = self._lake.versions().get("sketched")
        if version is None or version == known.version:
            return
        files = None if known.version is None else self._lake.added("sketched", known.version, version)
        whole = files is None
        if files is None:
            known.forget()
            files = self._lake.files("sketched", version)
        if files:
            known.read(name, files, whole=whole)
        known.version = version


def drift_of(rollout: Rollout, files: Sequence[str], measured: Measured, at: float) -> dict[str, Any] | None:
    """The record made from the files of a record, as it was at a time; None where the spec does not ask for it."""
    drift = rollout.drift
    if drift is None:
        return None
    known = _Rollout(drift)
    if files:
        known.read(rollout.name, files, whole=True)
    known.take(at + drift.every + GRACE, float("inf"))
    return _record(rollout, drift, known.family, measured)


def _record(rollout: Rollout, drift: Drift, family: Family, measured: Measured) -> dict[str, Any]:
    outcomes = outcome_changes(measured, champion=rollout.champion.name, every=drift.every, reference=drift.reference)
    return drift_record(rollout, drift, (*family.changes(), *outcomes))


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
