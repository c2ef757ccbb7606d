"""The engine: runs the questions of `judge.measure` on DuckDB over the lake and hands back moments.

Facts are read from the lake once: what a new table version adds is appended to in-memory tables, and the look's own
tables (who is exposed, who entered) are made once and asked by every metric.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import duckdb
import ibis
import numpy as np

from crossfade.judge.measure import Absent, Measured, Progress, Question, Reach, answer, ask, counts, gates
from crossfade.judge.measure.assemble import PREFERENCE, Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr, arrivals, exposures, units
from crossfade.judge.moments import MeanMoments, PairedMoments, RateMoments
from crossfade.rim.lake import Lake
from crossfade.spec.model import Kind, Promote, Rollout, Source, stage_name
from crossfade.state import Phase, Position

ORPHANS_EVERY = 15.0
"""Seconds between counts of outcomes without a decision, which need every decision ever made."""

_TYPES = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
}


_compiled: dict[tuple[object, ...], str] = {}
"""Questions by their key: compiling one takes longer than asking it, and the same key always gives the same text."""


class Engine:
    """Measures rollouts over one lake. Safe to share between threads; one look runs at a time."""

    def __init__(self, lake: Lake, *, threads: int = 2) -> None:
        self._lake = lake
        self._threads = threads
        self._lock = threading.Lock()
        self._session = _Session(threads)
        self._orphans: tuple[float, int] | None = None

    def measure(
        self, rollout: Rollout, position: Position, now: float, facts: Mapping[str, int] | None = None
    ) -> Measured:
        """One look at a rollout's present stage. With `facts`, over exactly those table versions instead of all."""
        with self._lock:
            session = self._session if facts is None else _Session(self._threads)
            versions = session.load(self._lake, facts)
            try:
                return _Look(self, session, rollout, position, now, versions).take()
            finally:
                if facts is not None:
                    session.close()

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._session.close()

    def sql(self, key: tuple[object, ...], build: Any) -> str:
        """The compiled form of a question."""
        if key not in _compiled:
            _compiled[key] = str(ibis.to_sql(build(), dialect="duckdb"))
        return _compiled[key]

    def orphans(self, session: _Session, now: float) -> int:
        """Outcomes without a decision, counted anew when the last count has aged."""
        if self._orphans is None or not 0.0 <= now - self._orphans[0] < ORPHANS_EVERY:
            rows = session.rows(self.sql(("orphans",), counts.orphans))
            self._orphans = (now, int(rows["orphans"][0]))
        return self._orphans[1]


class _Session:
    """A DuckDB connection with the facts loaded so far."""

    def __init__(self, threads: int) -> None:
        # No network and no surprises: nothing that is not in the package is ever fetched.
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "threads": threads,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "preserve_insertion_order": "false",
            },
        )
        self._loaded: dict[str, int] = {}
        for kind in FACTS:
            self._empty(kind)
        self.connection.execute(f"CREATE TABLE look ({_columns(LOOK)})")

    def load(self, lake: Lake, wanted: Mapping[str, int] | None) -> dict[str, int]:
        """Bring the tables to the lake's present (or the wanted) versions."""
        versions = dict(wanted) if wanted is not None else lake.versions()
        for kind in FACTS:
            version = versions.get(kind)
            have = self._loaded.get(kind)
            if version is None or version == have:
                continue
            fresh = lake.added(kind, have, version) if have is not None and have < version else None
            if fresh is None:
                self._empty(kind)
                fresh = lake.files(kind, version)
            self._read(kind, fresh)
            self._loaded[kind] = version
        return versions

    def table(self, name: str, sql: str) -> None:
        """Keep the rows of a query under a name."""
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {sql}")

    def rows(self, sql: str) -> Rows:
        """The rows of a query as columns."""
        return {name: np.ma.getdata(column) for name, column in self.connection.execute(sql).fetchnumpy().items()}

    def close(self) -> None:
        self.connection.close()

    def _empty(self, kind: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TABLE {kind} ({_columns(FACTS[kind])})")

    def _read(self, kind: str, files: list[str]) -> None:
        if files:
            names = ", ".join(f'"{name}"' for name in FACTS[kind].columns)
            self.connection.execute(f"INSERT INTO {kind} SELECT {names} FROM read_parquet(?)", [files])


class _Look:
    """One look: its tables are made, its questions asked, its answers put together."""

    def __init__(
        self,
        engine: Engine,
        session: _Session,
        rollout: Rollout,
        position: Position,
        now: float,
        versions: dict[str, int],
    ) -> None:
        self._engine = engine
        self._session = session
        self._rollout = rollout
        self._position = position
        self._now = now
        self._versions = versions
        self._mode = look_mode(rollout, position)
        self._challengers = [arm.name for arm in rollout.challengers]

    def take(self) -> Measured:
        session, position = self._session, self._position
        if position.phase is Phase.PENDING:
            return self._measured({}, {}, Progress(), Reach())
        session.connection.execute("DELETE FROM look")
        session.connection.execute(
            "INSERT INTO look VALUES (?, ?, ?, ?, ?)",
            [self._rollout.name, position.stage, self._mode, position.stage_since, self._now],
        )
        session.table("exposures", self._engine.sql(("exposures",), exposures))
        session.table("arrivals", self._engine.sql(("arrivals",), arrivals))
        session.table("units", self._engine.sql(("units",), units))
        session.table("touched", self._engine.sql(("touched",), counts.touched))
        metrics: dict[tuple[str, str], Any] = {}
        for metric in self._rollout.metrics:
            metrics.update(self._ask(metric.name, ask(self._rollout, self._mode, metric)))
        found: dict[tuple[str, str], Any] = {}
        for name, question in gates(self._rollout, position.stage, self._mode).items():
            found.update(self._ask(name, question))
        return self._measured(metrics, found, self._progress(metrics, found), self._reach())

    def _ask(self, name: str, question: Question | Absent) -> dict[tuple[str, str], Any]:
        if isinstance(question, Absent):
            return {(name, arm): question for arm in self._challengers}
        rows = self._session.rows(self._engine.sql(question.key, question.build))
        return {(name, arm): answer(question, rows, arm) for arm in self._challengers}

    def _rows(self, name: str, build: Any, *key: object) -> Rows:
        return self._session.rows(self._engine.sql((name, *key), build))

    def _progress(self, metrics: Mapping[tuple[str, str], Any], found: Mapping[tuple[str, str], Any]) -> Progress:
        requests = self._rows("requests", counts.requests)
        pairs = dict.fromkeys(self._challengers, 0) | _by(self._rows("mirrored", counts.mirrored), "arm", "pairs")
        lists = _by(self._rows("lists", counts.lists), "excluded", "lists")
        steps = self._rows("step-units", counts.step_units)
        present = steps["step"] == self._position.step
        vote = found.get((PREFERENCE, self._challengers[0]))
        wins, losses, ties = (
            (int(vote.minus.sum()), int(vote.plus.sum()), int(vote.zero.sum()))
            if isinstance(vote, PairedMoments)
            else (0, 0, 0)
        )
        return Progress(
            requests=int(requests["requests"].sum()),
            mirrored=min(pairs[arm] for arm in self._challengers),
            pairs=pairs,
            units=_by(self._rows("exposed-units", counts.exposed_units), "arm", "units"),
            step_units=_by({name: column[present] for name, column in steps.items()}, "arm", "units"),
            missing=int(requests["missing"].sum()),
            fallbacks=_by(requests, "arm", "fallbacks"),
            failures=_by(requests, "arm", "failed"),
            unserved=int(requests["unserved"].sum()),
            dropped=_by(self._rows("drops", counts.drops), "reason", "copies"),
            lists=lists.pop("", 0),
            excluded=lists,
            wins=wins,
            losses=losses,
            ties=ties,
            immature={
                name: moments.immature
                for (name, arm), moments in metrics.items()
                if arm == self._challengers[0] and isinstance(moments, RateMoments | MeanMoments)
            },
            orphans=self._engine.orphans(self._session, self._now),
            faults=int(self._rows("faults", counts.faults)["faults"][0]),
            lease_held=bool(held.all()) if len(held := self._rows("leases", counts.leases)["held"]) else None,
        )

    def _reach(self) -> Reach:
        reach = self._rows("reach", counts.reach)
        failed_units = _by(reach, "arm", "failed_units")
        events: dict[tuple[str, str], int] = {}
        champion = self._rollout.champion.name
        for metric in self._rollout.metrics:
            if metric.kind is not Kind.RATE:
                continue
            counted = failed_units
            if metric.source is Source.OUTCOME:
                name = metric.outcome or metric.name

                def build(name: str = name) -> Expr:
                    return counts.outcome_reach(name, champion)

                counted = _by(self._rows("outcome-reach", build, name, champion), "arm", "units")
            events.update({(metric.name, arm): counted.get(arm, 0) for arm in (champion, *self._challengers)})
        return Reach(
            units=_by(reach, "arm", "units"),
            requests=_by(reach, "arm", "requests"),
            failed_units=failed_units,
            failures=_by(reach, "arm", "failures"),
            events=events,
        )

    def _measured(
        self,
        metrics: Mapping[tuple[str, str], Any],
        found: Mapping[tuple[str, str], Any],
        progress: Progress,
        reach: Reach,
    ) -> Measured:
        if self._position.phase is Phase.PENDING:
            absent = Absent(reason="the rollout has not started")
            metrics = {(metric.name, arm): absent for metric in self._rollout.metrics for arm in self._challengers}
        return Measured(
            rollout=self._rollout.name,
            stage=self._position.stage,
            step=self._position.step,
            mode=self._mode,
            since=self._position.stage_since,
            now=self._now,
            facts=self._versions,
            metrics=metrics,
            gates=found,
            progress=progress,
            reach=reach,
        )


def _columns(table: Expr) -> str:
    return ", ".join(f'"{name}" {_TYPES[str(type_).lower()]}' for name, type_ in table.schema().items())


def look_mode(rollout: Rollout, position: Position) -> str:
    """The mode whose facts a look is about; a rollout that was rolled back is looked at as it was."""
    if position.phase in (Phase.PROMOTED, Phase.FINISHED):
        return stage_name(Promote())
    return stage_name(rollout.stages[position.stage])


def _by(rows: Rows, key: str, value: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in zip(rows[key], rows[value], strict=True)}
