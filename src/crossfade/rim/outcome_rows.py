"""Rows of files and tables as outcomes to report: CSV, NDJSON, Parquet, and folders of Delta tables.

A row keeps its number, so that whoever is told what is wrong with it can find it, and so that reading can go on where
it stopped. Numbers are those of lines in text files and count from 1 in tables.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

FIELDS = ("outcome_id", "decision_id", "rollout", "unit", "name", "value", "item", "at", "corrects")
"""What an outcome says; a column of that name is taken for it where nothing else is asked."""

FORMATS = ("csv", "ndjson", "parquet", "delta")

_ENDINGS = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json-lines": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}

_BATCH = 8192
"""Rows of a table in memory at once."""


class RowsError(ValueError):
    """The source cannot be read as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its columns, or what is wrong with it."""

    number: int
    columns: Mapping[str, Any]
    problem: str = ""


def format_of(source: Path, asked: str | None = None) -> str:
    """How to read a source: as asked, or by what it looks like. Raises RowsError."""
    if not source.exists():
        raise RowsError(f"there is no {source}; give a CSV, NDJSON or Parquet file, or the folder of a Delta table")
    if asked is not None:
        return asked
    if source.is_dir():
        if (source / "_delta_log").is_dir():
            return "delta"
        raise RowsError(f"{source} is a folder without _delta_log, so it is no Delta table; name one file at a time")
    endings = [ending for ending in source.suffixes if ending != ".gz"]
    found = _ENDINGS.get(endings[-1].lower() if endings else "")
    if found is None:
        raise RowsError(f"{source.name} does not say what it is; add --format {'|'.join(FORMATS)}")
    return found


def names_of(source: Path, format_: str) -> list[str] | None:
    """The columns of a source; None where each row has its own. Raises RowsError."""
    if format_ == "ndjson":
        return None
    if format_ == "csv":
        with _text(source) as file:
            return next(csv.reader(file), [])
    return list(_table(source, format_).schema.names)


def rows(source: Path, format_: str, *, after: int = 0) -> Iterator[Row]:
    """The rows with a number above `after`, in order. Raises RowsError."""
    try:
        if format_ == "csv":
            yield from _csv_rows(source, after)
        elif format_ == "ndjson":
            yield from _lines(source, after)
        else:
            yield from _table_rows(source, format_, after)
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise RowsError(f"cannot read {source} on: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Which column says what, and what is the same for all rows."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of the outcome → column of the source."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Field of the outcome → its value in every row."""
    zone: tzinfo | None = None
    """For times that do not say their offset."""

    def check(self, names: list[str] | None) -> Mapped:
        """With the columns that are named like fields added. Raises RowsError."""
        for field_ in (*self.columns, *self.fixed):
            if field_ not in FIELDS:
                raise RowsError(f"{field_!r} is nothing that an outcome says{_close(field_, FIELDS)}")
        both = sorted(set(self.columns) & set(self.fixed))
        if both:
            raise RowsError(f"{both[0]} is given both a column and a value for all rows; give one")
        if names is not None:
            for field_, column in self.columns.items():
                if column not in names:
                    raise RowsError(f"there is no column {column!r} for {field_}{_close(column, names)}")
        own = {name: name for name in FIELDS if name not in self.fixed and (names is None or name in names)}
        full = Mapped(columns=own | dict(self.columns), fixed=self.fixed, zone=self.zone)
        given = {*full.columns, *full.fixed}
        if "name" not in given:
            raise RowsError("nothing says which outcome these are; add --set name=purchase, or --column name=COLUMN")
        if "at" not in given:
            raise RowsError("nothing says when the outcomes happened; add --column at=COLUMN")
        if "decision_id" not in given and not {"rollout", "unit"} <= given:
            raise RowsError(
                "nothing says whose outcomes these are; add --column decision_id=COLUMN, "
                "or --set rollout=NAME and --column unit=COLUMN"
            )
        return full

    def item(self, row: Row) -> dict[str, Any] | str:
        """What to report of a row, or what is wrong with it."""
        if row.problem:
            return row.problem
        found: dict[str, Any] = {}
        for name, given in [*self.fixed.items(), *((name, row.columns.get(c)) for name, c in self.columns.items())]:
            if given is None or given == "" or (isinstance(given, float) and math.isnan(given)):
                if name == "value" and name in self.columns and self.columns[name] in row.columns:
                    return "value is empty; leave rows without one out, or report 0"
                continue
            try:
                found[name] = _number(given) if name == "value" else self._time(given) if name == "at" else _word(given)
            except (ValueError, TypeError, OverflowError) as error:
                return f"{name}: {error}"
        if "at" not in found:
            return "at is empty; an outcome that happened at no known time cannot be counted in a window"
        return found

    def _time(self, given: Any) -> float | str:
        if isinstance(given, bool):
            raise ValueError(f"{given} is no time")
        if isinstance(given, int | float | Decimal):
            return float(given)
        if isinstance(given, str):
            try:
                return float(given)
            except ValueError:
                given = datetime.fromisoformat(given.strip())
        if isinstance(given, date) and not isinstance(given, datetime):
            given = datetime(given.year, given.month, given.day)  # noqa: DTZ001 — the zone follows
        if given.tzinfo is None:
            if self.zone is None:
                raise ValueError(f"{given} does not say its offset; say it for all with --timezone UTC")
            given = given.replace(tzinfo=self.zone)
        return float(given.timestamp())


def _number(given: Any) -> float:
    if isinstance(given, str) and given.strip().lower() in ("true", "false"):
        return float(given.strip().lower() == "true")
    try:
        found = float(given)
    except (TypeError, ValueError):
        raise ValueError(f"{str(given)[:40]!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{given} is not a finite number")
    return found


def _word(given: Any) -> str:
    if isinstance(given, bytes | list | dict):
        raise ValueError(f"a {type(given).__name__} is not a text")
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def _close(found: str, known: Any) -> str:
    close = get_close_matches(found, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"


def _text(source: Path) -> TextIO:
    opened = gzip.open(source, "rb") if source.suffix == ".gz" else open(source, "rb")  # noqa: SIM115
    return io.TextIOWrapper(opened, encoding="utf-8-sig", newline="")


def _csv_rows(source: Path, after: int) -> Iterator[Row]:
    with _text(source) as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, None)
        if header is None:
            return
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # Where quotes are broken, nobody can tell where the next row begins.
                raise RowsError(f"{source}, line {number}: {error}; mend it and import again") from error
            if number <= after or not cells:
                continue
            if len(cells) != len(header):
                yield Row(number, {}, f"it has {len(cells)} cells where the heading has {len(header)}")
            else:
                yield Row(number, dict(zip(header, cells, strict=True)))


def _lines(source: Path, after: int) -> Iterator[Row]:
    with _text(source) as file:
        for number, line in enumerate(file, 1):
            if number <= after or not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, f"this is not JSON: {error}")
                continue
            if isinstance(found, dict):
                yield Row(number, found)
            else:
                yield Row(number, {}, "this is JSON, but not an object")


def _table_rows(source: Path, format_: str, after: int) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        for batch in _table(source, format_).to_batches(batch_size=_BATCH, use_threads=False):
            if number + batch.num_rows > after:
                for columns in batch.to_pylist():
                    number += 1
                    if number > after:
                        yield Row(number, columns)
            else:
                number += batch.num_rows
    except pa.ArrowException as error:
        raise RowsError(f"cannot read {source} on, at row {number + 1}: {error}") from error


def _table(source: Path, format_: str) -> Any:
    import pyarrow as pa
    from pyarrow import dataset

    try:
        if format_ == "delta":
            from deltalake import DeltaTable
            from deltalake.exceptions import DeltaError

            try:
                return DeltaTable(source).to_pyarrow_dataset()
            except DeltaError as error:
                raise RowsError(f"cannot read the Delta table {source}: {error}") from error
        return dataset.dataset(source, format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise RowsError(f"cannot read {source} as {format_}: {error}") from error
