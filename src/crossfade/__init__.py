"""Crossfade takes a model from "passed its tests" to "serves everyone", and can prove why."""

__version__ = "0.1.0"
