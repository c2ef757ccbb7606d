"""Crossfade takes a model from "passed its tests" to "serves everyone", and can prove why."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`crossfade.analyze`, loaded when it is first asked for: the request path must not wait for a database engine."""
    if name == "analyze":
        return importlib.import_module("crossfade.rim.analyze").analyze
    raise AttributeError(f"module 'crossfade' has no attribute {name!r}")
