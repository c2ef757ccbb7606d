"""Paths that name a model, `/v2/models/NAME/…` and `/v1/models/NAME:predict`, below any base path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_PATH = re.compile(rb"[^?]*?/v([12])/models/([^/:?]+)")


class Named(NamedTuple):
    """Where a request target names its model."""

    version: int
    name: str
    start: int
    end: int


def find(target: bytes) -> Named | None:
    """The name in a request target; None when it names no model."""
    found = _PATH.match(target)
    if found is None:
        return None
    return Named(int(found[1]), unquote_to_bytes(found[2]).decode(errors="replace"), found.start(2), found.end(2))


@lru_cache(maxsize=4096)
def model_of(path: str) -> str:
    """All of a path up to the end of the model's name; '' when it names none."""
    raw = path.encode(errors="replace")
    found = find(raw)
    return raw[: found.end].decode(errors="replace") if found is not None else ""
