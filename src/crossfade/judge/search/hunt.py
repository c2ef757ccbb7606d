"""One look of a search: cells are proposed from what was known at fixed points, and tested on what came in since.

A pure function of the rows, of what is remembered, and of the time of the look. Points in time are those at which the
stage had 400, 600, 900, ... rows, so that no look chooses them, and a later look proposes the same again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.search.cells import Bools, cuts, levels, members
from crossfade.judge.search.discovery import allowed, closed_e_bh
from crossfade.judge.search.explain import Tested, sort_out
from crossfade.judge.search.memory import SLOTS, Hypothesis, Memory
from crossfade.judge.search.mine import Suspect, suspects
from crossfade.judge.search.proof import evidence, strength
from crossfade.judge.search.table import Signal, Table, ordered, taken

FIRST = 400
"""Rows at which cells are proposed for the first time."""

GROWTH = 1.5
"""How many times as many there have to be for the next time."""

PER_ROUND = 4
"""Cells proposed at a time."""

WEAK = 0.5
"""E-value below which a hypothesis may be given up for a new one, which starts with what is left."""

LAG = 5.0
"""Seconds after which all facts of a moment have been recorded."""

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A segment in which harm is shown."""

    hypothesis: Hypothesis
    line: Evidence
    e_value: float
    """With the stake of the hypothesis."""
    share: float
    """Of all rows since it was proposed, how many are in it."""
    explained_by: str | None = None
    """The segment, or all units, whose harm this is; None where it is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunted:
    """What one look of a search says, and what it leaves for the next."""

    memory: Memory
    found: tuple[Finding, ...]
    """The strongest first; with those that others explain."""
    watched: tuple[Finding, ...]
    """What is being tested and not shown, the strongest first."""
    rows: int
    alpha: float

    @property
    def named(self) -> tuple[Finding, ...]:
        """Those that nothing else explains."""
        return tuple(one for one in self.found if one.explained_by is None)


def search(table: Table, now: float, memory: Memory | None = None, *, alpha: float = ALPHA) -> Hunted:
    """Look for segments in which a challenger does harm, in all rows that came in up to `now`.

    Among what is reported as found, the expected share of segments that are not harmed is at most `alpha`, at any look:
    cells are proposed by the past and tested on later rows alone, and all that are tested count (closed e-BH).
    """
    table = ordered(table)
    memory = _proposed(table, now, memory or Memory())
    tested = _tested(table, memory, now, alpha)
    e_values = [0.0] * SLOTS
    for slot in memory.free():
        e_values[slot] = 1.0
    for one in tested:
        e_values[one.hypothesis.slot] = one.e_value
    found = set(closed_e_bh(e_values, alpha))
    sorted_out = sort_out(
        [one for one in tested if one.hypothesis.slot in found],
        lambda signal, rows: evidence([(signal, rows)], now, alpha)[0],
        alpha,
    )
    named = [one.hypothesis.slot for one, why in sorted_out if why is None]
    # What is told is fewer than what was found, and has to hold for itself.
    while named and not allowed(e_values, named, alpha):
        named.pop()
    told = [(one, why if why is not None or one.hypothesis.slot in named else _WITH_OTHERS) for one, why in sorted_out]
    return Hunted(
        memory=memory,
        found=tuple(_finding(one, why) for one, why in told),
        watched=tuple(
            _finding(one, None)
            for one in sorted(tested, key=lambda one: -one.e_value)
            if one.hypothesis.slot not in found
        ),
        rows=len(table.at),
        alpha=alpha,
    )


_WITH_OTHERS = "shown only together with others"


def _finding(one: Tested, why: str | None) -> Finding:
    later = int(one.later.sum())
    share = int((one.members & one.later).sum()) / later if later else 0.0
    return Finding(hypothesis=one.hypothesis, line=one.line, e_value=one.e_value, share=share, explained_by=why)


def _proposed(table: Table, now: float, memory: Memory) -> Memory:
    """With the cells of every round that has come due."""
    while True:
        needed = math.ceil(FIRST * GROWTH**memory.rounds)
        if len(table.at) < needed or table.at[needed - 1] + LAG > now:
            return memory
        memory = _round(table, needed, memory)


def _round(table: Table, rows: int, memory: Memory) -> Memory:
    since = float(table.at[rows - 1])
    past = taken(table, slice(0, rows))
    if memory.cuts is None:
        memory = replace(memory, cuts={one.name: cuts(one) for one in past.features})
    edges = memory.cuts or {}
    cut = [levels(one, edges.get(one.name, ())) for one in past.features]
    suspected: list[Suspect] = []
    for place, signal in enumerate(past.signals):
        known = {one.cell for one in memory.hypotheses if _asks(one, signal)}
        fresh = [one for one in suspects(signal, cut, since, 2 * PER_ROUND) if one.cell not in known]
        suspected += [replace(one, signal=place) for one in fresh]
    suspected.sort(key=lambda one: -one.score)
    weak: list[Tested] | None = None
    for one in suspected[:PER_ROUND]:
        question = table.signals[one.signal].question
        free, stake = memory.free(), 1.0
        if not free:
            if weak is None:
                tested = _tested(past, memory, since, ALPHA)
                weak = sorted((old for old in tested if old.e_value < WEAK), key=lambda old: -old.e_value)
            if not weak:
                break
            given_up = weak.pop(0)
            free, stake = [given_up.hypothesis.slot], given_up.e_value
        memory = memory.put(
            Hypothesis(
                slot=free[0], metric=question.metric.name, arm=question.arm, cell=one.cell, since=since, stake=stake
            )
        )
    return replace(memory, rounds=memory.rounds + 1)


def _asks(hypothesis: Hypothesis, signal: Signal) -> bool:
    question = signal.question
    return (hypothesis.metric, hypothesis.arm) == (question.metric.name, question.arm)


def _tested(table: Table, memory: Memory, now: float, alpha: float) -> list[Tested]:
    """What is known of every hypothesis that still has a question."""
    asked: list[tuple[Hypothesis, Signal, Bools, Bools]] = []
    for hypothesis in memory.hypotheses:
        for signal in table.signals:
            if _asks(hypothesis, signal):
                # In time order, so that what came in later is a tail.
                later = np.zeros(len(table.at), dtype=bool)
                later[np.searchsorted(table.at, hypothesis.since, side="right") :] = True
                later &= table.at <= now
                asked.append((hypothesis, signal, members(hypothesis.cell, table.features), later))
    lines = evidence([(signal, mine & later) for _, signal, mine, later in asked], now, alpha / SLOTS)
    return [
        Tested(
            hypothesis=hypothesis,
            signal=signal,
            members=mine,
            later=later,
            line=line,
            e_value=hypothesis.stake * strength(line),
        )
        for (hypothesis, signal, mine, later), line in zip(asked, lines, strict=True)
    ]
