"""Whether the request path that is installed here was compiled (native.py) or runs as it is written."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

COMPILED = "compiled"
INTERPRETED = "interpreted"


def request_path() -> str:
    """`compiled` or `interpreted`. Nothing heavy is loaded to find out."""
    # Every compiled module is found before its source, all of them or none: native.py leaves no half.
    found = find_spec("crossfade.live.assign")
    origin = found.origin if found is not None else None
    return COMPILED if origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES)) else INTERPRETED
