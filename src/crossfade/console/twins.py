"""The twins of a page: the same record as JSON, and its rows as CSV, each at an address of its own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Response
from fastapi.responses import JSONResponse

from crossfade.console.markup import Markup, el

Record = Mapping[str, Any]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would carry out."""


def as_json(record: Any) -> Response:
    """The record."""
    return JSONResponse(record)


def as_csv(rows: Sequence[Record], columns: Sequence[str], name: str) -> Response:
    """Rows under their columns; nothing stands where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    named = {"content-disposition": f"inline; filename*=UTF-8''{quote(name)}.csv"}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=named)


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"'{text}" if text.startswith(FORMULA) else text


def twin_links(path: str, **asked: str) -> Markup:
    """Links to both; `asked` is what the page was asked for."""
    more = {key: value for key, value in asked.items() if value}
    told = f"?{urlencode(more)}" if more else ""
    links = [el("a", kind.upper(), href=f"{path}.{kind}{told}") for kind in ("json", "csv")]
    return el("p", "This page as ", links[0], " or ", links[1], ".", class_="quiet twins")
