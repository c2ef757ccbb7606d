"""Everything asked anew of the facts as they lie in the lake: the definition, and how a look is repeated exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import duckdb
import pyarrow as pa

from crossfade.judge.measure import counts, received, spread, triggers
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.cohorts import cohorts
from crossfade.judge.measure.measured import Received
from crossfade.judge.measure.questions import Judged, Question
from crossfade.judge.measure.tables import (
    FACTS,
    Expr,
    arrivals,
    copied,
    exposures,
    fallen,
    greetings,
    homes,
    units,
    visits,
)
from crossfade.rim.engine.amending import amend
from crossfade.rim.engine.backend import Backend, needed
from crossfade.rim.engine.here import Here
from crossfade.rim.engine.session import Session

_SHARED: Mapping[str, Callable[[], Expr]] = {
    "visits": visits,
    "arrivals": arrivals,
    "greetings": greetings,
    "units": units,
    "fallen": fallen,
    "homes": homes,
    "copied": copied,
    "triggered": triggers.triggered,
    "touched": counts.touched,
    "named": spread.named,
    "labels": spread.labels,
}
"""Tables that several questions ask."""


class Files(Protocol):
    """Where facts lie: a lake, or what was recorded of one."""

    def files(self, kind: str, version: int | None = None) -> list[str]:
        """The Parquet files that make up a table."""


class Full:
    """One look over named versions of the fact tables."""

    def __init__(
        self, lake: Files, versions: Mapping[str, int], threads: int, *, backend: Backend | None = None
    ) -> None:
        """`backend`: who is asked, and stays open; where none is given, a DuckDB that is closed in the end."""
        self._owned = backend is None
        self._backend: Backend = Here(Session(threads)) if backend is None else backend
        self._judged: Judged | None = None
        self._made: set[str] = set()
        for kind in FACTS:
            files = lake.files(kind, versions[kind]) if kind in versions else []
            self._backend.facts("reported" if kind == "outcome" else kind, kind, files)

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        self._backend.look(rollout, stage, mode, since, now)
        amend(self._backend)
        told = {"rollout": rollout, "stage": stage, "mode": mode, "since": since, "now": now}
        # Not kept: reading the columns that are asked for again costs less than keeping all of them.
        self._backend.view("exposures", None, partial(exposures, look=told))
        self._made.clear()
        self._judged = None

    def ask(self, question: Question) -> Rows:
        """The rows of a question."""
        if question.segments and question.by_unit:
            self._said(question.segments)
        judged = question.judged
        if judged is not None and judged != self._judged:
            self._keep("settled", ("settled", judged), judged.build, as_written=True)
            self._judged = judged
        return self._rows(question.key, question.build)

    def segments(self, fields: int) -> Rows:
        """Units by segment, over so many fields."""
        self._said(fields)
        return self._rows(("heard",), spread.heard)

    def count(self, name: str, build: Callable[[], Expr]) -> Rows:
        """The rows of a query of `measure.counts`."""
        return self._rows((name,), build)

    def events(self, name: str, champion: str) -> Rows:
        """Over the whole rollout, units per arm with an outcome of that name."""
        self._keep("told", ("told", name), lambda: counts.told(name))
        self._keep("loose", ("loose", name), lambda: counts.loose(name))
        return self._rows(("outcome-reach", champion), lambda: counts.outcome_reach(champion))

    def orphans(self, now: float) -> tuple[int, int]:
        """Outcomes without a decision, and those that are merely early."""
        rows = self._rows(("orphans",), counts.orphans)
        return int(rows["orphans"][0]), int(rows["early"][0])

    def received(self, names: tuple[str, ...]) -> Received:
        """What became of outcomes of these names."""
        told: dict[str, int] = {}
        for name, build in (
            ("received", received.received),
            ("corrected", received.corrected),
            ("astray", received.astray),
        ):
            told[name] = int(self._rows((name, names), partial(build, names))["n"][0])
        return Received(**told)

    def ages(self, names: tuple[str, ...]) -> Rows:
        """Outcomes of these names by days since each unit's first exposure in the stage."""
        return self._rows(("cohorts", names), partial(cohorts, names))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Where the tables of the look are, for what no question asks."""
        assert isinstance(self._backend, Here), "only DuckDB, which runs in this process, has such a connection"
        return self._backend.session.connection

    def arrow(self, sql: str) -> pa.Table:
        """The rows of a query on them."""
        return self.connection.sql(sql).to_arrow_table()

    def close(self) -> None:
        """Free the memory."""
        if self._owned:
            self._backend.close()

    def _said(self, fields: int) -> None:
        if "said" not in self._made:
            self._keep("said", ("said", fields), partial(spread.said, fields), as_written=True)
            self._made.add("said")

    def _rows(self, key: tuple[object, ...], build: Callable[[], Expr]) -> Rows:
        self._prepare(key, build)
        return self._backend.rows(key, build)

    def _keep(self, name: str, key: tuple[object, ...], build: Callable[[], Expr], *, as_written: bool = False) -> None:
        self._prepare(key, build)
        self._backend.keep(name, key, build, as_written=as_written)

    def _prepare(self, key: tuple[object, ...], build: Callable[[], Expr]) -> None:
        """Make the shared tables that a query asks and that are not there yet."""
        for name in sorted(needed(key, build) & _SHARED.keys() - self._made):
            self._keep(name, (name,), _SHARED[name])
            self._made.add(name)
