"""ClickHouse as an engine, in this process: it reads the lake's files where they lie."""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import ibis

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr
from crossfade.rim.engine.backend import Build, EngineError, Key, short
from crossfade.rim.engine.elsewhere.typed import from_arrow

_TYPES = {"string": "String", "float64": "Float64", "int64": "Int64", "boolean": "Bool"}


class ClickHouse:
    """Questions put to ClickHouse as a library. One at a time in a process, which is the library's own limit."""

    def __init__(self, threads: int | None = None) -> None:
        chdb: Any = import_module("chdb.session")
        self._folder = tempfile.TemporaryDirectory(prefix="crossfade-clickhouse-")
        try:
            self._session = chdb.Session(self._folder.name)
            # Where a join finds nothing it has to give nulls, as everybody else does.
            self._run("SET join_use_nulls = 1")
            self._run(f"SET max_threads = {threads or os.cpu_count() or 1}")
            self._run("CREATE DATABASE IF NOT EXISTS crossfade ENGINE = Atomic")
            self._run("USE crossfade")
        except RuntimeError as error:
            self._folder.cleanup()
            raise EngineError(f"ClickHouse cannot be started: {short(error)}") from error
        self._texts: dict[Key, str] = {}

    def facts(self, name: str, kind: str, files: Sequence[str]) -> None:
        """Let questions read what these files hold; null where an earlier version of us wrote no such column."""
        if not files:
            self.empty(name, FACTS[kind])
            return
        folders: defaultdict[Path, list[str]] = defaultdict(list)
        for file in files:
            folders[Path(file).parent].append(Path(file).name)
        columns = _columns(FACTS[kind])
        parts = []
        for folder, names in folders.items():
            told = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
            parts.append(f"SELECT * FROM file({_text(f'{folder}/{told}')}, Parquet, {_text(columns)})")
        self._view(name, " UNION ALL ".join(parts))

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        self.empty("look", LOOK)
        self._run(f"INSERT INTO look VALUES ({_text(rollout)}, {stage}, {_text(mode)}, {since!r}, {now!r})")

    def view(self, name: str, key: Key | None, build: Build) -> None:
        """Let questions read an expression under a name."""
        self._view(name, self._sql(key, build))

    def keep(self, name: str, key: Key, build: Build, *, as_written: bool = False) -> None:
        """Keep the rows of a question under a name, in memory."""
        self._run(f"CREATE TABLE kept ENGINE = Memory AS {self._sql(key, build)}")
        self._drop(name)
        self._run(f"RENAME TABLE kept TO {name}")

    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""
        self._drop(name)
        self._run(f"CREATE TABLE {name} ({_columns(table)}) ENGINE = Memory")

    def rows(self, key: Key, build: Build) -> Rows:
        """The rows of a question as columns."""
        return from_arrow(build(), self._run(self._sql(key, build), "ArrowTable"))

    def close(self) -> None:
        """Free the memory."""
        self._session.close()
        self._folder.cleanup()

    def _view(self, name: str, sql: str) -> None:
        self._drop(name)
        self._run(f"CREATE VIEW {name} AS {sql}")

    def _drop(self, name: str) -> None:
        self._run(f"DROP TABLE IF EXISTS {name}")

    def _run(self, sql: str, form: str = "CSV") -> Any:
        try:
            return self._session.query(sql, form)
        except RuntimeError as error:
            raise EngineError(f"ClickHouse could not answer: {short(error)}") from error

    def _sql(self, key: Key | None, build: Build) -> str:
        if key is None:
            return exact(build())
        if key not in self._texts:
            self._texts[key] = exact(build())
        return self._texts[key]


def exact(asked: Expr) -> str:
    """A question in ClickHouse's words. What Ibis counts distinct things by is an estimate there beyond 65,536."""
    return re.sub(r"\buniq\(", "uniqExact(", str(ibis.to_sql(asked, dialect="clickhouse")), flags=re.IGNORECASE)


def _columns(table: Expr) -> str:
    told = []
    for name, type_ in table.schema().items():
        of = str(type_).lower()
        inner = _TYPES[of.removeprefix("array<").removesuffix(">")]
        # A list cannot be null there: it is empty where an earlier version of us wrote none.
        told.append(f"`{name}` {f'Array({inner})' if of.startswith('array<') else f'Nullable({inner})'}")
    return ", ".join(told)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
