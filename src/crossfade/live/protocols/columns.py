"""Ranked lists in the Open Inference Protocol: ids in one output's data, and beside them outputs of as many rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import msgspec

from crossfade.live import paths
from crossfade.live.protocols import document, tensors
from crossfade.live.protocols.base import Invalid
from crossfade.live.units import canonical
from crossfade.spec.model import Ranking

Row = dict[str, list[Any]]
"""The values of one item by output name: one value, or one row of a wider output."""


def place(ranking: Ranking) -> int | None:
    """The index of the output whose data is the list; None when the path leads elsewhere. Raises PathError."""
    match paths.compile(ranking.items).parts:
        case ("outputs", int(index), "data"):
            return index
        case _:
            return None


def items(body: bytes, index: int) -> list[tuple[str, Row]] | Invalid:
    """(id, row) pairs in order. Never raises."""
    doc = document.load(body)
    if isinstance(doc, Invalid):
        return doc
    failed = document.failure(doc)
    if failed is not None:
        return failed
    outputs = doc.get("outputs") if isinstance(doc, dict) else None
    if not isinstance(outputs, list) or index >= len(outputs):
        return Invalid("shape", f"the reply has no output {index}")
    columns = _columns(outputs, index)
    if isinstance(columns, Invalid):
        return columns
    main = outputs[index]["name"]
    pairs = []
    for at, values in enumerate(columns[main]):
        name = canonical(values[0])
        if not name:
            return Invalid("shape", f"item {at} of output {main!r} has no usable id")
        pairs.append((name, {output: rows[at] for output, rows in columns.items()}))
    return pairs


def merged(body: bytes, index: int, rows: Sequence[Any]) -> bytes:
    """The reply with the rows of its aligned outputs replaced; `body` itself when a row lacks one. Never raises."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        outputs = msgspec.json.decode(members["outputs"])
        whole = msgspec.json.decode(members["outputs"], type=list[msgspec.Raw])
        columns = _columns(outputs, index)
        if isinstance(columns, Invalid):
            return body
        for at, output in enumerate(outputs):
            if output["name"] in columns:
                whole[at] = msgspec.Raw(document.encode(_with_rows(output, rows)))
        members["outputs"] = msgspec.Raw(document.encode(whole))
        return document.encode(members)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, OverflowError):
        return body


def _columns(outputs: list[Any], index: int) -> dict[str, list[list[Any]]] | Invalid:
    """The outputs that have one row an item, by name, each as its rows; the ids' own output is among them."""
    found: dict[str, list[list[Any]]] = {}
    count = -1
    for at in (index, *(other for other in range(len(outputs)) if other != index)):
        output = outputs[at]
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name in found:
            return Invalid("shape", f"output {at} has no name of its own")
        shape, data = tensors.shape_of(output), tensors.flat(output.get("data"))
        if shape is None or data is None or prod(shape) != len(data):
            return Invalid("shape", f"output {name!r}: its shape and its data do not agree")
        axis = _axis(shape)
        rows = shape[axis] if shape else len(data)
        if at == index:
            if rows != len(data):
                return Invalid("shape", f"output {name!r} has shape {list(shape)}: a batch of lists is not one list")
            count = rows
        if rows == count:
            width = prod(shape[axis + 1 :])
            found[name] = [data[start : start + width] for start in range(0, len(data), width)] if width else []
    return found


def _axis(shape: tuple[int, ...]) -> int:
    """The first dimension that is not 1, which counts the rows; the last where all are."""
    return next((axis for axis, size in enumerate(shape) if size != 1), max(len(shape) - 1, 0))


def _with_rows(output: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The output with other rows, nested as it was."""
    shape = tensors.shape_of(output) or (0,)
    axis = _axis(shape)
    data: list[Any] = list(chain.from_iterable(row[output["name"]] for row in rows))
    sizes = (*shape[:axis], len(rows), *shape[axis + 1 :])
    if prod(sizes) != len(data):
        raise ValueError("a row of another width")
    nested = bool(output["data"]) and isinstance(output["data"][0], list)
    return {**output, "shape": list(sizes), "data": _nest(data, sizes[1:]) if nested else data}


def _nest(data: list[Any], sizes: tuple[int, ...]) -> list[Any]:
    for size in reversed(sizes):
        data = [data[start : start + size] for start in range(0, len(data), size)] if size else []
    return data
