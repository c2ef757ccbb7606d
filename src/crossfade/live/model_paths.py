"""Paths that name a model, such as `/v2/models/NAME/…`, `/v1/models/NAME:predict`, below any base path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

_LISTED = re.compile(rb"([^?]*/models/)[^?]+")
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


def listed(path: str) -> str:
    """The model that OpenAI's `GET …/models/NAME` asks for, whose name may hold slashes; '' for other paths."""
    return path.rpartition("/models/")[2] if "/models/" in path else ""


def listed_as(target: bytes, name: str) -> bytes | None:
    """Such a request for the same model under another name; None for other requests."""
    found = _LISTED.match(target)
    return None if found is None else found[1] + quote(name, safe="").encode() + target[found.end() :]


LONGEST = 512
"""Characters of a path of which it is remembered what it names: clients choose them."""


def model_of(path: str) -> str:
    """All of a path up to the end of the model's name; '' when it names none."""
    return _known(path) if len(path) <= LONGEST else _model_of(path)


def _model_of(path: str) -> str:
    raw = path.encode(errors="replace")
    found = find(raw)
    return raw[: found.end].decode(errors="replace") if found is not None else ""


_known = lru_cache(maxsize=4096)(_model_of)
