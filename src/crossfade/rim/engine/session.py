"""A DuckDB connection that knows the fact tables, and questions compiled for it once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import msgspec
import numpy as np
import pyarrow.parquet as pq

from crossfade.facts import KINDS
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, LOOK, Expr

_TYPES = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
    "array<int64>": "BIGINT[]",
    "array<float64>": "DOUBLE[]",
}

_compiled: dict[tuple[object, ...], str] = {}
"""Questions by their key: compiling one takes longer than asking it, and the same key always gives the same text."""


def compiled(key: tuple[object, ...], build: Callable[[], Expr]) -> str:
    """A question as SQL."""
    if key not in _compiled:
        _compiled[key] = sql(build())
    return _compiled[key]


def sql(asked: Expr) -> str:
    """An expression as this engine's SQL. Sums of numbers that are not whole carry along what rounding drops."""
    return str(ibis.to_sql(asked.op().replace(_compensated).to_expr(), dialect="duckdb"))


@ibis.udf.agg.builtin(name="fsum")  # type: ignore[untyped-decorator]
def _fsum(value: float) -> float:  # type: ignore[empty-body]
    """DuckDB's sum after Kahan."""


def _compensated(node: Any, changed: Mapping[str, Any] | None) -> Any:
    """A variance is a small difference of large sums: by plain ones it depends on how many threads there were."""
    node = node.__recreate__(changed) if changed else node
    if isinstance(node, ops.Sum) and node.arg.dtype.is_floating() and node.where is None:
        return _fsum(node.arg.to_expr()).op()
    return node


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

    def table(self, name: str, sql: str, *, as_written: bool = False) -> None:
        """Keep the rows of a query under a name.

        `as_written`: each join keeps its sides, the smaller one on the right. What is left of facts behind a look is
        estimated at a row, so that large joins are turned round: for nothing, and for a quarter more time.
        """
        if as_written:
            self.run("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            self.run(f"CREATE OR REPLACE TABLE {name} AS {sql}")
        finally:
            if as_written:
                self.run("RESET disabled_optimizers")

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


def reading(
    kind: str, files: Sequence[str], where: str = "TRUE", *, numbered: bool = False, without: Sequence[str] = ()
) -> str:
    """A query for the columns of facts that questions ask for; null where an earlier version of us wrote none.

    Columns it is asked `without` are null too, and are not read.
    """
    types = {name: _TYPES[str(type_).lower()] for name, type_ in FACTS[kind].schema().items()}
    names = ", ".join(f'NULL::{type_} AS "{name}"' if name in without else f'"{name}"' for name, type_ in types.items())
    told = ", ".join(map(text, files))
    extra = ", file_row_number = true" if numbered else ""
    source = f"read_parquet([{told}]{extra})"
    later = _LATER[kind]
    if later and not _alike(kind, files):
        # A column that no file has can only be named beside rows that have it: here, none.
        blank = ", ".join(f'NULL::{type_} AS "{name}"' for name, type_ in later.items())
        source = f"read_parquet([{told}], union_by_name = true{extra})"
        source = f"(SELECT {blank} WHERE FALSE UNION ALL BY NAME SELECT * FROM {source})"
    return f"SELECT {names} FROM {source} WHERE {where}"


_EVER: defaultdict[str, frozenset[str]] = defaultdict(frozenset, exposed=frozenset({"segments"}))
"""Columns that may be left out of a fact and that every file has all the same."""


def _alike(kind: str, files: Sequence[str]) -> bool:
    """Whether all files have the same columns, and all that questions ask for: then reading costs a third less."""
    found = {_columns(file) for file in files}
    return len(found) == 1 and found.pop() >= set(FACTS[kind].columns)


@lru_cache(maxsize=10_000)
def _columns(file: str) -> frozenset[str]:
    """What a file holds. Files of a lake are never written twice."""
    return frozenset(pq.read_schema(file).names)


def _later(kind: type, name: str) -> dict[str, str]:
    """The columns with their types that questions ask for and files of an earlier version may not have."""
    optional = {f.name for f in msgspec.structs.fields(kind) if f.default is not msgspec.NODEFAULT} - _EVER[name]
    schema = FACTS[name].schema()
    return {column: _TYPES[str(type_).lower()] for column, type_ in schema.items() if column in optional}


_LATER = {name: _later(kind, name) for kind, name in KINDS.items() if name in FACTS}


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def number(value: float) -> str:
    """A number as SQL writes it, to the last bit."""
    return f"'{value!r}'::DOUBLE"
