"""The fields of one request or reply as single values: what a model is asked with, and what it predicts.

Of a batch one row is taken, drawn by the request's own id, so that each request says one thing of each field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossfade.live.protocols import tensors, wire
from crossfade.live.protocols.base import Headers, Invalid, Tensor
from crossfade.spec.model import Protocol

MOST_FIELDS: Final = 50
"""Fields of one side; further ones are left out."""

_DEEPEST: Final = 6
_WIDEST: Final = 16
"""Places of a row that are fields of their own; of wider rows, such as images, only the length is one."""

Fields = dict[str, Any]
"""Values by the names that differences use; a list or a mapping where a single value was looked for."""


def asked(protocol: Protocol, doc: Any, row: int) -> Fields | None:
    """The fields of a request's JSON document; None where it is not what the protocol asks with. Never raises."""
    if not isinstance(doc, (dict, list)):
        return None
    match protocol:
        case Protocol.OPEN_INFERENCE:
            return _inputs(doc, row)
        case Protocol.MLFLOW | Protocol.PREDICT_V1:
            return _tabular(doc, row)
        case Protocol.OPENAI_CHAT:
            return _chat(doc)
        case Protocol.JSON:
            found: Fields = {}
            _flatten("$", doc, row, 0, found)
            return found


def predicted(protocol: Protocol, headers: Headers, body: bytes, row: int) -> Fields | None:
    """The fields of a good reply; None where it is unusable. Never raises."""
    found = wire(protocol).prediction(headers, body)
    if isinstance(found, Invalid):
        return None
    fields: Fields = {}
    for name, value in found.fields.items():
        if isinstance(value, Tensor):
            _tensor(name, value.shape, value.values, row, fields)
        elif protocol is Protocol.OPENAI_CHAT and not name.endswith("finish_reason"):
            fields[f"{name}.length"] = len(value) if isinstance(value, (str, list)) else None
        else:
            _flatten(name, value, row, 0, fields)
        if len(fields) >= MOST_FIELDS:
            break
    return fields


def _inputs(doc: Any, row: int) -> Fields | None:
    inputs = doc.get("inputs") if isinstance(doc, dict) else None
    if not isinstance(inputs, list):
        return None
    fields: Fields = {}
    for one in inputs[:MOST_FIELDS]:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            return None
        shape, data = tensors.shape_of(one), tensors.flat(one.get("data"))
        if shape is not None and data is not None:
            _tensor(name, shape, data, row, fields)
    return fields


def _tensor(name: str, shape: tuple[int, ...], values: Any, row: int, fields: Fields) -> None:
    """One row: a value, or a few that are fields by their places."""
    rows = shape[0] if shape else 1
    width = len(values) // rows if rows else 0
    if not width:
        fields[name] = None
        return
    at = (row % rows) * width
    _places(name, list(values[at : at + width]), fields)


def _places(name: str, row: list[Any], fields: Fields) -> None:
    if len(row) == 1:
        fields[name] = row[0]
    elif len(row) <= _WIDEST:
        fields.update((f"{name}[{place}]", value) for place, value in enumerate(row))
    else:
        fields[f"{name}.length"] = len(row)


def _tabular(doc: Any, row: int) -> Fields | None:
    """MLflow's and predict-v1's ways to write a table: rows with names beside them, records, columns, plain rows."""
    if isinstance(doc, dict):
        split = doc.get("dataframe_split")
        if isinstance(split, dict):
            names, rows = split.get("columns"), split.get("data")
            if isinstance(rows, list) and rows and isinstance(names, list) and isinstance(rows[row % len(rows)], list):
                return {
                    str(name): value for name, value in zip(names[:MOST_FIELDS], rows[row % len(rows)], strict=False)
                }
            return None
        doc = next((doc[key] for key in ("dataframe_records", "instances", "inputs") if key in doc), None)
    fields: Fields = {}
    if isinstance(doc, dict):
        for name, column in list(doc.items())[:MOST_FIELDS]:
            fields[name] = column[row % len(column)] if isinstance(column, list) and column else column
        return fields
    if not isinstance(doc, list) or not doc:
        return None
    one = doc[row % len(doc)]
    if isinstance(one, dict):
        fields.update(list(one.items())[:MOST_FIELDS])
    elif isinstance(one, list):
        _places("$", one, fields)
    else:
        fields["$"] = one
    return fields


def _chat(doc: Any) -> Fields | None:
    """Lengths and settings: what was said is nobody's business here."""
    if not isinstance(doc, dict):
        return None
    messages, prompt = doc.get("messages"), doc.get("prompt")
    fields: Fields = {}
    if isinstance(messages, list):
        fields["messages"] = len(messages)
        fields["characters"] = sum(_length(one.get("content")) for one in messages if isinstance(one, dict))
        fields["tools"] = len(doc["tools"]) if isinstance(doc.get("tools"), list) else 0
    elif prompt is not None:
        fields["characters"] = _length(prompt)
    else:
        return None
    fields.update((name, doc[name]) for name in ("temperature", "max_tokens", "stream") if name in doc)
    return fields


def _length(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        return sum(_length(part.get("text") if isinstance(part, dict) else part) for part in content)
    return 0


def _flatten(path: str, value: Any, row: int, depth: int, fields: Fields) -> None:
    """Single values by their paths; of a list its length, and one element."""
    if len(fields) >= MOST_FIELDS:
        return
    if depth < _DEEPEST and isinstance(value, Mapping):
        for name, inner in value.items():
            _flatten(f"{path}.{name}", inner, row, depth + 1, fields)
    elif depth < _DEEPEST and isinstance(value, list):
        fields[f"{path}.length"] = len(value)
        if value:
            _flatten(f"{path}[*]", value[row % len(value)], row, depth + 1, fields)
    else:
        fields[path] = value
