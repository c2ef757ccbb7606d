"""The columns of the lake's tables: each kind of fact as a schema, and facts as a table of that schema."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from crossfade.facts import KINDS, Fact

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    bool | None: pa.bool_(),
    float | None: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
    tuple[int, ...]: pa.list_(pa.int64()),
    tuple[float, ...]: pa.list_(pa.float64()),
}


def _schema(kind: type[Any]) -> pa.Schema:
    columns = msgspec.inspect.type_info(kind)
    assert isinstance(columns, msgspec.inspect.StructType)
    hints = msgspec.structs.fields(kind)
    return pa.schema([pa.field(f.name, _ARROW[f.type]) for f in hints])


SCHEMAS: dict[str, pa.Schema] = {name: _schema(kind) for kind, name in KINDS.items()}
"""The columns of each table: the fields of its fact, in their order, with their types."""


def columns(kind: str, facts: Iterable[Fact]) -> pa.Table:
    """Facts of one kind as a table with that kind's schema."""
    schema = SCHEMAS[kind]
    rows = map(attrgetter(*schema.names), facts)
    return pa.table(
        [pa.array(column, f.type) for column, f in zip(zip(*rows, strict=True), schema, strict=True)], schema=schema
    )


def fitted(kind: str, found: pa.Table) -> pa.Table:
    """What a file holds as a table with its kind's schema.

    Files of an earlier version lack columns that came later, and rewritten ones may hold texts in another layout.
    """
    schema, there = SCHEMAS[kind], set(found.column_names)
    return pa.table(
        [found.column(f.name).cast(f.type) if f.name in there else pa.nulls(len(found), f.type) for f in schema],
        schema=schema,
    )
