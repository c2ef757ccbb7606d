"""Searches for harm in groups that nobody declared, looked at several times as rows come in."""

from __future__ import annotations

from crossfade.judge.search import Memory, Table, search
from crossfade.judge.search.cells import told
from crossfade.judge.search.table import taken
from judge.search.worlds import HARMED, units

LOOKS = (2400.0, 4800.0, 7200.0 + 60.0)
"""Seconds into a stage of two hours."""


def named(table: Table) -> list[list[str]]:
    """What is named at each look, the strongest first."""
    memory, found = Memory(), []
    for now in LOOKS:
        seen = search(taken(table, table.at <= now), now, memory)
        memory = seen.memory
        found.append([told(one.hypothesis.cell) for one in seen.named])
    return found


def harmed(runs: int) -> tuple[int, int]:
    """In how many runs the harmed country is named first at the end, and in how many anything else was ever named.

    80,000 units; the challenger's errors are 7 % in place of 1 % for one country of 3 %.
    """
    first, wrong = 0, 0
    for seed in range(runs):
        looks = named(units(1000 + seed, 80_000, harm=0.06))
        first += looks[-1][:1] == [HARMED]
        wrong += any(HARMED not in segment for look in looks for segment in look)
    return first, wrong


def alarms(runs: int, everyone: float = 0.0) -> int:
    """Runs in which a group was ever named although nobody is harmed, or everyone alike."""
    return sum(any(named(units(5000 + seed, 40_000, harm=0.0, everyone=everyone))) for seed in range(runs))
