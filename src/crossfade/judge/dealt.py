"""Whether places of interleaved lists were dealt evenly: at each both rankers must be as likely to own the item.

Each place is bet on by itself, and the bets are averaged: an average of e-values is one whatever hangs together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.graded import graded_log_es
from crossfade.judge.infer.mismatch import MINIMUM_UNITS, log_e
from crossfade.judge.infer.verdict import e_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place of the first list of each unit: whose item stood there how often, and what it was worth."""

    champion: int = 0
    challenger: int = 0
    nobody: int = 0
    graded: int = 0
    """How many of them have a worth that is not whole; only these are in the two sums."""
    total: float = 0.0
    """Sum of what the place was worth to the challenger, from −1 to 1 a list."""
    squares: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """What the counts say of all places together. `harmful`: they were not dealt evenly, and no preference holds."""

    units: int
    e_value: float | None
    needed: float
    verdict: Verdict
    worst: int | None
    """The place, from 0, that is furthest from even; None before there was any."""


def dealt(slots: Sequence[Slot], units: int, alpha: float) -> Dealt:
    """Valid at every look, as long as each unit counts once and its coin is its own."""
    found = [_log_e(slot) for slot in slots if slot.champion + slot.challenger]
    worst = max(range(len(slots)), key=lambda place: _log_e(slots[place]), default=None)
    together = float(np.logaddexp.reduce(found)) - math.log(len(found)) if found else None
    if together is not None and together >= -math.log(alpha):
        verdict = Verdict.HARMFUL
    else:
        verdict = Verdict.UNMEASURED if units < MINIMUM_UNITS else Verdict.UNDECIDED
    value = None if together is None else e_value(together)
    return Dealt(units=units, e_value=value, needed=1.0 / alpha, verdict=verdict, worst=worst)


def _log_e(slot: Slot) -> float:
    """Log e-value against "this place is dealt evenly"."""
    if not slot.graded:
        return log_e([slot.champion, slot.challenger], [0.5, 0.5]) if slot.champion + slot.challenger else 0.0
    both = graded_log_es(np.array([slot.total]), np.array([slot.squares]))
    return float(both[0]) - math.log(2.0)
