"""A DuckDB connection that knows the fact tables, and questions compiled for it once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import ibis
import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr

_TYPES = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
}

_compiled: dict[tuple[object, ...], str] = {}
"""Questions by their key: compiling one takes longer than asking it, and the same key always gives the same text."""


def compiled(key: tuple[object, ...], build: Callable[[], Expr]) -> str:
    """A question as SQL."""
    if key not in _compiled:
        _compiled[key] = str(ibis.to_sql(build(), dialect="duckdb"))
    return _compiled[key]


class Session:
    """One connection in memory. Nothing that is not in the package is ever fetched."""

    def __init__(self, threads: int) -> None:
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "threads": threads,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "preserve_insertion_order": "false",
            },
        )
        self.run(f"CREATE TABLE look ({columns(LOOK)})")

    def run(self, sql: str, given: Sequence[Any] = ()) -> None:
        """Run a statement."""
        self.connection.execute(sql, list(given))

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        self.run("DELETE FROM look")
        self.run("INSERT INTO look VALUES (?, ?, ?, ?, ?)", [rollout, stage, mode, since, now])

    def table(self, name: str, sql: str) -> None:
        """Keep the rows of a query under a name."""
        self.run(f"CREATE OR REPLACE TABLE {name} AS {sql}")

    def rows(self, sql: str) -> Rows:
        """The rows of a query as columns."""
        return {name: np.ma.getdata(column) for name, column in self.connection.execute(sql).fetchnumpy().items()}

    def given(self, name: str, rows: Rows) -> None:
        """Let queries read arrays under a name."""
        self.connection.register(name, dict(rows))

    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""
        self.run(f"CREATE OR REPLACE TABLE {name} ({columns(table)})")

    def close(self) -> None:
        """Free the memory."""
        self.connection.close()


def columns(table: Expr) -> str:
    """The columns of an unbound table, as CREATE TABLE wants them."""
    return ", ".join(f'"{name}" {_TYPES[str(type_).lower()]}' for name, type_ in table.schema().items())


def reading(kind: str, files: Sequence[str], where: str = "TRUE", *, numbered: bool = False) -> str:
    """A query for the facts in files that have the columns questions ask for."""
    names = ", ".join(f'"{name}"' for name in FACTS[kind].columns)
    told = ", ".join(map(text, files))
    extra = ", file_row_number = true" if numbered else ""
    return f"SELECT {names} FROM read_parquet([{told}]{extra}) WHERE {where}"


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def number(value: float) -> str:
    """A number as SQL writes it, to the last bit."""
    return f"'{value!r}'::DOUBLE"
