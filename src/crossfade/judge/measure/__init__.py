"""Metric definitions as queries, and their answers as moments: written once, run on any engine that Ibis speaks to."""

from crossfade.judge.measure.assemble import DISAGREEMENT, PREFERENCE
from crossfade.judge.measure.measured import Absent, Measured, Progress, Reach
from crossfade.judge.measure.questions import Question, answer, ask, gates, sliced
from crossfade.judge.measure.tables import bucket, latency_bin

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
