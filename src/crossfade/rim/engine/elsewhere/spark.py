"""Spark as an engine: a session on a cluster, or one in processes of this machine, that reads the lake's files itself.

Files are named one by one, as the table's log lists them, and read as Parquet: the connector that reads a table by its
log is a Java library that not every cluster has, and a log that was read once cannot be read differently.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ibis
import pyarrow as pa

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr
from crossfade.rim.engine.backend import Build, EngineError, Key, short
from crossfade.rim.engine.elsewhere.typed import arrow_schema, from_arrow

_TYPES = {"string": "string", "float64": "double", "int64": "bigint", "boolean": "boolean"}


def session(engine: str) -> Any:
    """A session of the master that `spark://…` or `spark:MASTER` names. Raises EngineError."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    master = engine if engine.startswith("spark://") else engine.removeprefix("spark:")
    builder = SparkSession.builder.master(master).appName("crossfade")
    told = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.session.timeZone": "UTC"}
    if master.startswith("local"):
        # Here nobody else says so, and what is made for a cluster makes hundreds of tasks of a handful of rows.
        told |= {"spark.sql.shuffle.partitions": str(4 * (os.cpu_count() or 1)), "spark.driver.memory": "2g"}
    for name, value in told.items():
        builder = builder.config(name, value)
    try:
        found = builder.getOrCreate()
        found.sparkContext.setLogLevel("ERROR")
        return found
    except (PySparkException, RuntimeError, OSError) as error:
        raise EngineError(
            f"Spark at {master} cannot be reached: {short(error)}; it needs Java 17 on this machine (JAVA_HOME) and a "
            "master that answers"
        ) from error
    except Exception as error:  # py4j's own, which may be missing where Spark Connect is installed alone
        raise EngineError(f"Spark at {master} cannot be reached: {short(error)}") from error


@contextmanager
def _asked() -> Iterator[None]:
    """Whatever Spark, its gateway to Java or Java itself says, in one kind of error."""
    try:
        yield
    except Exception as error:
        raise EngineError(f"Spark could not answer: {short(error)}") from error


class Spark:
    """Questions put to a session of Spark. Every table is a view of this session; those kept are held in its cache."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._backend = ibis.pyspark.connect(session)
        self._kept: dict[str, Any] = {}
        self._texts: dict[Key, str] = {}

    @_asked()
    def facts(self, name: str, kind: str, files: Sequence[str]) -> None:
        """Let questions read what these files hold; null where an earlier version of us wrote no such column."""
        if not files:
            self.empty(name, FACTS[kind])
            return
        self._session.read.schema(_schema(FACTS[kind])).parquet(*files).createOrReplaceTempView(name)

    @_asked()
    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        row = {"rollout": rollout, "stage": stage, "mode": mode, "since": since, "now": now}
        self._frame(pa.Table.from_pylist([row], schema=arrow_schema(LOOK)), LOOK).createOrReplaceTempView("look")

    @_asked()
    def view(self, name: str, key: Key | None, build: Build) -> None:
        """Let questions read an expression under a name."""
        self._session.sql(self._text(key, build)).createOrReplaceTempView(name)

    @_asked()
    def keep(self, name: str, key: Key, build: Build, *, as_written: bool = False) -> None:
        """Keep the rows of a question under a name, in the cluster's memory and on its disks."""
        frame = self._session.sql(self._text(key, build)).persist()
        # Counted at once: what replaces it may be made of what it replaces.
        frame.count()
        frame.createOrReplaceTempView(name)
        before, self._kept[name] = self._kept.get(name), frame
        if before is not None:
            before.unpersist()

    @_asked()
    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""
        self._frame(arrow_schema(table).empty_table(), table).createOrReplaceTempView(name)

    @_asked()
    def rows(self, key: Key, build: Build) -> Rows:
        """The rows of a question as columns."""
        return from_arrow(build(), self._session.sql(self._text(key, build)).toArrow())

    def close(self) -> None:
        """Let go of what was kept, and of the cluster."""
        for frame in self._kept.values():
            frame.unpersist()
        self._session.stop()

    def _frame(self, rows: pa.Table, table: Expr) -> Any:
        return self._session.createDataFrame(rows.to_pylist(), _schema(table))

    def _text(self, key: Key | None, build: Build) -> str:
        if key is None:
            return str(self._backend.compile(build()))
        if key not in self._texts:
            self._texts[key] = str(self._backend.compile(build()))
        return self._texts[key]


def _schema(table: Expr) -> str:
    told = []
    for name, type_ in table.schema().items():
        of = str(type_).lower()
        inner = of.removeprefix("array<").removesuffix(">")
        told.append(f"`{name}` {f'array<{_TYPES[inner]}>' if of.startswith('array<') else _TYPES[inner]}")
    return ", ".join(told)
