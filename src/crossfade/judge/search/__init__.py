"""Searching for harm in segments that nobody declared: proposed by the past, tested on what comes later.

>>> from crossfade.judge.search import closed_e_bh, e_bh
>>> e_bh([90, 48, 30, 22, 18], 0.05), closed_e_bh([90, 48, 30, 22, 18], 0.05)
((), (0, 1, 2, 3, 4))
"""

from __future__ import annotations

from crossfade.judge.search.cells import Cell, Condition, Feature, feature
from crossfade.judge.search.discovery import allowed, closed_e_bh, e_bh
from crossfade.judge.search.hunt import Finding, Hunted, search
from crossfade.judge.search.memory import Hypothesis, Memory
from crossfade.judge.search.table import Compared, Paired, Table

__all__ = [
    "Cell",
    "Compared",
    "Condition",
    "Feature",
    "Finding",
    "Hunted",
    "Hypothesis",
    "Memory",
    "Paired",
    "Table",
    "allowed",
    "closed_e_bh",
    "e_bh",
    "feature",
    "search",
]
