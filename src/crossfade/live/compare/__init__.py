"""Whether two replies say the same: the comparators, and the walk that finds where and how they differ.

What is wanted of a field is a `spec.model.Comparison`; where none is written, values are compared as they are, numbers
with a small tolerance. Nothing here knows of pairs, rates or verdicts: those are the judge's.
"""

from __future__ import annotations

from crossfade.live.compare.kinds import CATASTROPHIC, Difference
from crossfade.live.compare.rules import NO_RULES, Rules
from crossfade.live.compare.walk import DEFAULT, MOST_PATHS, Found, Tolerance, differences, fields_of, found, known

__all__ = [
    "CATASTROPHIC",
    "DEFAULT",
    "MOST_PATHS",
    "NO_RULES",
    "Difference",
    "Found",
    "Rules",
    "Tolerance",
    "differences",
    "fields_of",
    "found",
    "known",
]
