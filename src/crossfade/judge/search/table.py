"""What a search is given: rows in the order in which they came, what is known of each, and what may have gone wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats, Ints
from crossfade.judge.search.cells import Bools, Feature


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An event of units that were randomised, asked of one challenger and the champion."""

    question: Question
    is_b: Bools
    """The unit is the challenger's."""
    use: Bools
    """The unit is one of these two arms'."""
    share: Floats
    """Probability that a unit of these two arms was the challenger's."""
    step: Ints
    event: Bools
    happened: Floats
    """When the event became known; infinite where there is none."""
    counts_from: Floats
    """When the unit's value is settled; the time it came in where an event counts as soon as it happens, infinite where
    that is not known yet."""
    settled: bool
    """Units count when their window has closed, with an event or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A difference of two replies to the same request: +1 speaks against the challenger, −1 for it."""

    question: Question
    use: Bools
    difference: npt.NDArray[np.int8]


Signal = Compared | Paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in time order: units at their first exposure of a stage, or mirrored requests."""

    at: Floats
    """When the row came in, in seconds since the stage began."""
    features: tuple[Feature, ...]
    signals: tuple[Signal, ...]


def ordered(table: Table) -> Table:
    """The same rows in time order."""
    if len(table.at) < 2 or bool((np.diff(table.at) >= 0.0).all()):
        return table
    return taken(table, np.argsort(table.at, kind="stable"))


def taken(table: Table, rows: Ints | Bools | slice) -> Table:
    """Some of the rows."""
    return Table(
        at=table.at[rows],
        features=tuple(replace(one, code=one.code[rows]) for one in table.features),
        signals=tuple(_taken(one, rows) for one in table.signals),
    )


def _taken(signal: Signal, rows: Ints | Bools | slice) -> Signal:
    if isinstance(signal, Paired):
        return replace(signal, use=signal.use[rows], difference=signal.difference[rows])
    names: Sequence[str] = ("is_b", "use", "share", "step", "event", "happened", "counts_from")
    return replace(signal, **{name: getattr(signal, name)[rows] for name in names})
