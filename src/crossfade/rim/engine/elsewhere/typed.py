"""Answers of any engine as the columns that the judge reads: the types are the question's, whatever the engine says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import Expr

_TYPES: dict[str, tuple[Any, Any]] = {"int": (np.int64, 0), "flo": (np.float64, np.nan), "boo": (np.bool_, False)}
"""By how a type's name begins: what it is as an array, and what stands for null, as with DuckDB's masked columns."""

ARROW = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "boolean": pa.bool_()}


def typed(asked: Expr, columns: Sequence[Sequence[Any]]) -> Rows:
    """Columns in the order of the question as arrays."""
    told: dict[str, np.ndarray[Any, Any]] = {}
    for (name, type_), column in zip(asked.schema().items(), columns, strict=True):
        kind = _TYPES.get(str(type_)[:3].lower())
        if kind is None:
            array = np.empty(len(column), dtype=object)
            array[:] = list(column)
        else:
            dtype, blank = kind
            array = np.asarray([blank if value is None else value for value in column], dtype=dtype)
        told[name] = array
    return told


def from_arrow(asked: Expr, table: pa.Table) -> Rows:
    """The same of an Arrow table, whose columns without nulls are not looked at one value at a time."""
    told = {}
    for (name, type_), column in zip(asked.schema().items(), table.columns, strict=True):
        kind = _TYPES.get(str(type_)[:3].lower())
        if kind is not None and not column.null_count and not pa.types.is_decimal(column.type):
            told[name] = column.to_numpy().astype(kind[0])
        else:
            told.update(typed(asked.select(name), [_texts(column)]))
    return told


def _texts(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.large_binary()).cast(pa.large_string())
    return list(column.to_pylist())


def arrow_schema(table: Expr) -> pa.Schema:
    """The columns of an unbound table as Arrow has them."""
    told = []
    for name, type_ in table.schema().items():
        of = str(type_).lower()
        inner = of.removeprefix("array<").removesuffix(">")
        told.append((name, pa.list_(ARROW[inner]) if of.startswith("array<") else ARROW[inner]))
    return pa.schema(told)
