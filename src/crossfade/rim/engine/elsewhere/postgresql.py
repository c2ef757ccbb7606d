"""PostgreSQL as an engine: the lake's files are copied into temporary tables of one connection, and asked there.

A file is copied once in the life of the connection, so that a look after another only brings what is new.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr
from crossfade.rim.engine.backend import Build, EngineError, Key, short
from crossfade.rim.engine.elsewhere.typed import typed
from crossfade.rim.engine.session import Session, reading

_TYPES = {"string": "text", "float64": "double precision", "int64": "bigint", "boolean": "boolean"}

_CHUNK = 1 << 20

_NULL = "\\N"


class PostgreSQL:
    """Questions put to one connection. It needs the right to make temporary tables, and no other."""

    def __init__(self, address: str, settings: Mapping[str, str] | None = None) -> None:
        import psycopg

        self._psycopg = psycopg
        try:
            self._connection: Any = psycopg.connect(address, autocommit=True, connect_timeout=10)
        except psycopg.Error as error:
            raise EngineError(
                f"PostgreSQL cannot be reached: {short(error)}; give the password in PGPASSWORD or in the file that "
                "PGPASSFILE names"
            ) from error
        # What a look keeps is large and read at once: the settings of a server for many small questions do not fit.
        told = {"temp_buffers": "256MB", "work_mem": "256MB", "jit": "off", "search_path": "pg_temp"}
        try:
            for name, value in (told | dict(settings or {})).items():
                self._run(f"SET {name} = {_text(value)}")
        except EngineError:
            self._connection.close()
            raise
        self._files: dict[str, dict[str, int]] = {}
        """By kind, the files whose rows are there, each with its number."""
        self._numbers = 0
        self._texts: dict[Key, str] = {}

    def facts(self, name: str, kind: str, files: Sequence[str]) -> None:
        """Let questions read what these files of the lake hold under a name."""
        table = f"facts_{kind}"
        if kind not in self._files:
            self._run(f"CREATE TEMP TABLE {table} (file integer, {_columns(FACTS[kind])})")
            told = ", ".join(f'"{column}"' for column in FACTS[kind].columns)
            self._run(f"CREATE TEMP VIEW {name} AS SELECT {told} FROM {table}")
            self._files[kind] = {}
        there = self._files[kind]
        gone = [number for file, number in there.items() if file not in set(files)]
        if gone:
            self._run(f"DELETE FROM {table} WHERE file = ANY ('{{{','.join(map(str, gone))}}}')")
        new = [file for file in files if file not in there]
        self._files[kind] = {file: number for file, number in there.items() if number not in set(gone)}
        for file in new:
            self._numbers += 1
            self._copy(table, kind, file, self._numbers)
            self._files[kind][file] = self._numbers
        if new or gone:
            self._run(f"ANALYZE {table}")

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        self.empty("look", LOOK)
        self._run("INSERT INTO look VALUES (%s, %s, %s, %s, %s)", (rollout, stage, mode, since, now))

    def view(self, name: str, key: Key | None, build: Build) -> None:
        """Let questions read an expression under a name."""
        self._run(f"CREATE OR REPLACE TEMP VIEW {name} AS {self._sql(key, build)}")

    def keep(self, name: str, key: Key, build: Build, *, as_written: bool = False) -> None:
        """Keep the rows of a question under a name."""
        self._run("DROP TABLE IF EXISTS kept")
        self._run(f"CREATE TEMP TABLE kept AS {self._sql(key, build)}")
        self._run(f"DROP TABLE IF EXISTS {name} CASCADE")
        self._run(f"ALTER TABLE kept RENAME TO {name}")
        # Nobody else tells the planner how many rows a temporary table has.
        self._run(f"ANALYZE {name}")

    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""
        self._run(f"DROP TABLE IF EXISTS {name} CASCADE")
        self._run(f"CREATE TEMP TABLE {name} ({_columns(table)})")

    def rows(self, key: Key, build: Build) -> Rows:
        """The rows of a question as columns."""
        found = self._run(self._sql(key, build)).fetchall()
        asked = build()
        return typed(asked, list(zip(*found, strict=True)) if found else [()] * len(asked.columns))

    def server_process(self) -> int:
        """The process of the server that answers this connection."""
        return int(self._connection.info.backend_pid)

    def close(self) -> None:
        """Leave the server, which drops all that was kept."""
        self._connection.close()

    def _copy(self, table: str, kind: str, file: str, number: int) -> None:
        """One file's rows, written as text by DuckDB, which is many times as quick as doing so in Python."""
        told = ", ".join(_written(name, str(type_).lower()) for name, type_ in FACTS[kind].schema().items())
        session = Session(2)
        try:
            with tempfile.TemporaryDirectory(prefix="crossfade-copy-") as folder:
                rows = Path(folder) / "rows.csv"
                session.run(
                    f"COPY (SELECT {number}, {told} FROM ({reading(kind, [file])})) TO {_text(str(rows))} "
                    f"(FORMAT csv, HEADER false, NULLSTR '{_NULL}')"
                )
                into = f"COPY {table} FROM STDIN (FORMAT csv, NULL '{_NULL}')"
                with self._connection.cursor() as cursor, rows.open("rb") as text, cursor.copy(into) as copy:
                    while chunk := text.read(_CHUNK):
                        copy.write(chunk)
        except self._psycopg.Error as error:
            raise EngineError(f"PostgreSQL could not take facts: {short(error)}") from error
        finally:
            session.close()

    def _run(self, sql: str, given: Sequence[Any] | None = None) -> Any:
        try:
            return self._connection.execute(sql, given)
        except self._psycopg.Error as error:
            raise EngineError(f"PostgreSQL could not answer: {short(error)}") from error

    def _sql(self, key: Key | None, build: Build) -> str:
        if key is None:
            return str(ibis.to_sql(build(), dialect="postgres"))
        if key not in self._texts:
            self._texts[key] = str(ibis.to_sql(build(), dialect="postgres"))
        return self._texts[key]


def _columns(table: Expr) -> str:
    told = []
    for name, type_ in table.schema().items():
        of = str(type_).lower()
        inner = _TYPES[of.removeprefix("array<").removesuffix(">")]
        told.append(f'"{name}" {inner}{"[]" if of.startswith("array<") else ""}')
    return ", ".join(told)


def _written(name: str, type_: str) -> str:
    """A column of DuckDB as PostgreSQL reads it in text: lists have braces there, and their texts quotes."""
    if not type_.startswith("array<"):
        return f'"{name}"'
    each = "x::VARCHAR"
    if type_ == "array<string>":
        each = """'"' || replace(replace(x, '\\', '\\\\'), '"', '\\"') || '"'"""
    inner = f"array_to_string([coalesce({each}, 'NULL') FOR x IN \"{name}\"], ',')"
    return f"CASE WHEN \"{name}\" IS NULL THEN NULL ELSE '{{' || {inner} || '}}' END"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
