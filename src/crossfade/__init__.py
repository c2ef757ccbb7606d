"""Crossfade takes a model from "passed its tests" to "serves everyone", and can prove why."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`crossfade.interleave`, found by name when it is first asked for: no room of this house may wait for numerics."""
    if name == "interleave":
        from importlib import import_module

        return import_module("crossfade.sim.interleave").interleave
    raise AttributeError(f"module 'crossfade' has no attribute {name!r}")
