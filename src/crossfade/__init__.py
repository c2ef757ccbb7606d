"""Crossfade takes a model from "passed its tests" to "serves everyone", and can prove why."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {"analyze": "crossfade.rim.analyze", "interleave": "crossfade.sim.interleave"}
"""What a program calls, and where it is: loaded when first asked for, because the request path must not wait for it."""


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'crossfade' has no attribute {name!r}")
