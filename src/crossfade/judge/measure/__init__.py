"""Metric definitions as queries, and their answers as moments: written once, run on any engine that Ibis speaks to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossfade.judge.measure.assemble import DISAGREEMENT, PREFERENCE
    from crossfade.judge.measure.measured import Absent, Measured, Progress, Reach
    from crossfade.judge.measure.questions import Question, answer, ask, gates, sliced
    from crossfade.judge.measure.tables import latency_bin
    from crossfade.judge.slices import bucket

__all__ = [
    "DISAGREEMENT",
    "PREFERENCE",
    "Absent",
    "Measured",
    "Progress",
    "Question",
    "Reach",
    "answer",
    "ask",
    "bucket",
    "gates",
    "latency_bin",
    "sliced",
]

_ROOMS = {
    **dict.fromkeys(("DISAGREEMENT", "PREFERENCE"), ".assemble"),
    **dict.fromkeys(("Absent", "Measured", "Progress", "Reach"), ".measured"),
    **dict.fromkeys(("Question", "answer", "ask", "gates", "sliced"), ".questions"),
    "latency_bin": ".tables",
    "bucket": "..slices",
}


def __getattr__(name: str) -> Any:
    # Queries bring Ibis, which takes a quarter of a second to load: `crossfade status` only wants the records.
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name], __name__), name)
