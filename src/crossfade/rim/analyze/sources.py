"""Files and tables to typed Ibis tables, or a sentence that names file, line, column and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis

from crossfade.judge.analysis.asked import AnalysisError
from crossfade.spec.problems import listed, nearest

Expr = Any
"""An Ibis expression; the library ships no types."""

Source = str | Path | Any
"""A path to a CSV or Parquet file, an Ibis table, or a data frame that Ibis can take in."""

TEXT, NUMBER, TIME, FLAG = "text", "number", "time", "flag"

ALLOWED = {
    NUMBER: "a number",
    TIME: "a time: seconds since 1970, or a date and time such as 2026-03-01T14:03:20Z (UTC where no zone is told)",
    TEXT: "a text that is not empty",
    FLAG: "true or false (or 1 or 0)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a table must have."""

    what: str
    kinds: Mapping[str, str]
    optional: Mapping[str, str]


EXPOSURES = Columns(what="exposures", kinds={"unit": TEXT, "arm": TEXT, "at": TIME}, optional={})
OUTCOMES = Columns(what="outcomes", kinds={"unit": TEXT, "name": TEXT, "at": TIME}, optional={"value": NUMBER})


class Reader:
    """One DuckDB session in which files are read and checked; tables of other engines pass through it untouched."""

    def __init__(self) -> None:
        self._con = ibis.duckdb.connect()
        self._con.raw_sql("SET TimeZone = 'UTC'")

    def close(self) -> None:
        self._con.disconnect()

    def table(self, source: Source, columns: Columns, numbers: Sequence[str] = (), flags: Sequence[str] = ()) -> Expr:
        """The source with its columns typed; `numbers` and `flags` are further columns that must be such."""
        if isinstance(source, str | Path):
            return self._file(Path(source), columns, numbers, flags)
        if not isinstance(source, ibis.Table):
            source = self._frame(source, f"given_{columns.what}")
        _has(columns, source.columns, columns.what)
        return _typed(source, columns, numbers, flags)

    def _frame(self, source: Any, name: str) -> Expr:
        """A pandas, Polars or Arrow table as a view; DuckDB reads it where it lies."""
        try:
            self._con.con.register(name, source.to_arrow() if hasattr(source, "to_arrow") else source)
        except (duckdb.Error, TypeError):
            raise AnalysisError(
                f"cannot read a {type(source).__name__}",
                "give a path to a CSV or Parquet file, an Ibis table, or a pandas, Polars or Arrow table",
            ) from None
        return self._con.table(name)

    def _file(self, path: Path, columns: Columns, numbers: Sequence[str], flags: Sequence[str]) -> Expr:
        name = f"read_{columns.what}"
        header, csv = self._load(path, name)
        _has(columns, header, str(path))
        kinds = dict(columns.kinds) | {k: v for k, v in columns.optional.items() if k in header}
        kinds |= {column: NUMBER for column in numbers if column in header}
        kinds |= {column: FLAG for column in flags if column in header}
        told = []
        for column in header:
            kind = kinds.get(column)
            quoted = _quoted(column)
            if kind is None:
                told.append(f"CAST({quoted} AS VARCHAR) AS {quoted}")
                continue
            sql = self._cast(name, column, quoted, kind)
            self._check(path, name, column, sql, kind, csv=csv, empty=column in numbers)
            told.append(f"{sql} AS {quoted}")
        self._con.raw_sql(f"CREATE OR REPLACE TABLE {columns.what} AS SELECT {', '.join(told)} FROM {name}")
        return self._con.table(columns.what)

    def _load(self, path: Path, name: str) -> tuple[list[str], bool]:
        """The file as a table with the number of each row; its columns, and whether it is text."""
        if not path.is_file():
            raise AnalysisError(f"there is no file {path}", "name a CSV or Parquet file")
        form = path.suffix.lower().removeprefix(".")
        readers = {
            "csv": "read_csv(?, all_varchar=true, header=true, delim=',', quote='\"', escape='\"')",
            "tsv": "read_csv(?, all_varchar=true, header=true, delim='\t')",
            "parquet": "read_parquet(?)",
        }
        if form not in readers:
            raise AnalysisError(
                f"{path}: cannot tell its format from {path.suffix or 'its name'}", "allowed: .csv, .tsv or .parquet"
            )
        try:
            self._con.con.execute(
                f'CREATE OR REPLACE TABLE {name} AS SELECT *, row_number() OVER () AS "#row" FROM {readers[form]}',
                [str(path)],
            )
        except duckdb.Error as error:
            raise AnalysisError(
                f"{path}: {_first_line(error)}", "see to it that it is a table", found_in_data=True
            ) from None
        described = self._con.con.execute(f"DESCRIBE {name}").fetchall()
        return [row[0] for row in described if row[0] != "#row"], form != "parquet"

    def _cast(self, name: str, column: str, quoted: str, kind: str) -> str:
        if kind == TEXT:
            return f"NULLIF(CAST({quoted} AS VARCHAR), '')"
        if kind == NUMBER:
            return f"TRY_CAST({quoted} AS DOUBLE)"
        if kind == FLAG:
            return f"TRY_CAST(CAST({quoted} AS VARCHAR) AS BOOLEAN)"
        described = {row[0]: row[1] for row in self._con.con.execute(f"DESCRIBE {name}").fetchall()}
        type_ = described[column]
        if type_.startswith("TIMESTAMP") or type_ == "DATE":
            return f"epoch(CAST({quoted} AS TIMESTAMPTZ))"
        if type_ != "VARCHAR":
            return f"TRY_CAST({quoted} AS DOUBLE)"
        return f"COALESCE(TRY_CAST({quoted} AS DOUBLE), epoch(TRY_CAST({quoted} AS TIMESTAMPTZ)))"

    def _check(self, path: Path, name: str, column: str, sql: str, kind: str, *, csv: bool, empty: bool) -> None:
        """Finds the first row that cannot be read; `empty`: nothing at all is fine."""
        quoted = _quoted(column)
        broken = f"{sql} IS NULL" if kind in (TEXT, FLAG) else f"({sql} IS NULL OR NOT isfinite({sql}))"
        if empty:
            broken = f"{broken} AND COALESCE(CAST({quoted} AS VARCHAR), '') <> ''"
        row = self._con.con.execute(
            f'SELECT "#row", CAST({quoted} AS VARCHAR) FROM {name} WHERE {broken} ORDER BY "#row" LIMIT 1'
        ).fetchone()
        if row is None:
            return
        place = f"line {row[0] + 1}" if csv else f"row {row[0]}"
        found = "nothing" if row[1] in (None, "") else repr(row[1][:60])
        raise AnalysisError(
            f"{path}: {place}, column {column}: found {found}", f"expected {ALLOWED[kind]}", found_in_data=True
        )


def _typed(table: Expr, columns: Columns, numbers: Sequence[str], flags: Sequence[str]) -> Expr:
    """A table of any engine with the same types as a file would have."""
    kinds = dict(columns.kinds) | {k: v for k, v in columns.optional.items() if k in table.columns}
    kinds |= {column: NUMBER for column in numbers if column in table.columns}
    kinds |= {column: FLAG for column in flags if column in table.columns}
    cast = {}
    for column in table.columns:
        kind, value = kinds.get(column, TEXT), table[column]
        if kind == TEXT:
            cast[column] = value.cast("string")
        elif kind == TIME and not value.type().is_numeric():
            if not (value.type().is_timestamp() or value.type().is_date()):
                raise AnalysisError(
                    f"the column {column} of the {columns.what} is of type {value.type()}", f"expected {ALLOWED[TIME]}"
                )
            begun = ibis.timestamp("1970-01-01 00:00:00")
            micros = value.cast("timestamp").delta(begun, unit="microsecond")
            cast[column] = micros.cast("float64") / 1e6
        else:
            if not (value.type().is_numeric() or value.type().is_boolean()):
                raise AnalysisError(
                    f"the column {column} of the {columns.what} is of type {value.type()}", f"expected {ALLOWED[kind]}"
                )
            cast[column] = value.cast("boolean" if kind == FLAG else "float64")
    return table.select(**cast)


def _has(columns: Columns, header: Sequence[str], where: str) -> None:
    for column in columns.kinds:
        if column in header:
            continue
        near = nearest(column, [name for name in header if name not in columns.kinds])
        hint = f"; did you mean {near}?" if near else ""
        wanted = listed([*columns.kinds, *columns.optional]).replace(" or ", " and ")
        raise AnalysisError(
            f"{where} has no column {column}{hint}",
            f"its columns are {listed(header).replace(' or ', ' and ')}; {columns.what} need {wanted}",
            found_in_data=True,
        )


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "it cannot be read"
