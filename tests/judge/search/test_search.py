"""A segment that is harmed is named, nothing else is, and what is tested was proposed without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.evidence import Evidence
from crossfade.judge.search import Compared, Condition, Hypothesis, Memory, Table, search
from crossfade.judge.search.cells import told
from crossfade.judge.search.explain import EVERYONE
from crossfade.judge.search.memory import SLOTS
from crossfade.judge.search.table import taken

from .worlds import HARMED, LONG, outcomes, pairs, units


def names(table: Table, now: float = LONG, memory: Memory | None = None) -> list[str]:
    return [told(one.hypothesis.cell) for one in search(table, now, memory).named]


@pytest.mark.parametrize("seed", range(3))
def test_a_small_segment_that_fails_more_often_is_named_alone(seed: int) -> None:
    assert names(units(seed, 60_000, harm=0.1)) == [HARMED]


@pytest.mark.parametrize("seed", range(3))
def test_no_segment_is_named_where_nobody_is_harmed(seed: int) -> None:
    assert names(units(seed, 40_000, harm=0.0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_harm_that_everyone_suffers_is_no_segments(seed: int) -> None:
    found = search(units(seed, 40_000, harm=0.0, everyone=0.04), LONG)
    assert not found.named
    assert EVERYONE in {one.explained_by for one in found.found}


def test_fewer_purchases_in_a_segment_are_found_when_windows_close() -> None:
    table = outcomes(1, 60_000, base=0.3, harm=0.2)
    assert names(table) == [HARMED]
    assert names(table, now=300.0) == []


def test_differing_replies_in_a_segment_are_found_in_shadow() -> None:
    assert names(pairs(1, 20_000)) == [HARMED]
    assert names(pairs(1, 20_000, harm=0.0, noise=0.04)) == []


def test_a_ramp_is_no_segment_and_hides_none() -> None:
    assert names(units(2, 60_000, harm=0.0, steps=(0.05, 0.2, 0.5))) == []
    assert names(units(2, 120_000, harm=0.12, steps=(0.05, 0.2, 0.5))) == [HARMED]


def test_harm_of_two_segments_is_told_as_two() -> None:
    table = units(3, 60_000, harm=0.12)
    (signal,) = table.signals
    assert isinstance(signal, Compared)
    other = table.features[2]
    app = (other.code == other.values.index("4.3")) & signal.is_b
    more = app & (np.random.default_rng(0).random(len(app)) < 0.08)
    happened = np.where(signal.event | more, table.at, np.inf)
    table = replace(table, signals=(replace(signal, event=signal.event | more, happened=happened),))
    assert set(names(table)) == {HARMED, "header:x-app=4.3"}


def test_a_look_goes_on_from_what_is_remembered_and_proposes_the_same() -> None:
    table = units(4, 30_000, harm=0.1)
    whole = search(table, LONG)
    memory = Memory()
    for now in (500.0, 1500.0, 4000.0):
        seen = search(taken(table, table.at <= now), now, memory)
        memory = Memory.from_json(seen.memory.to_json())
        assert memory == seen.memory
    later = search(table, LONG, memory)
    assert later.memory == whole.memory
    assert [one.e_value for one in later.found] == [one.e_value for one in whole.found]


def test_what_came_in_before_a_cell_was_proposed_is_no_evidence_for_it() -> None:
    """Honest: events of the past may be turned round, and nothing that is said of a hypothesis changes."""
    table = units(5, 20_000, harm=0.1)
    since = float(table.at[9_999])
    cell = (Condition(field="header:x-country", value="zz"),)
    memory = Memory(rounds=99, hypotheses=(Hypothesis(slot=0, metric="errors", arm="v2", cell=cell, since=since),))
    (signal,) = table.signals
    assert isinstance(signal, Compared)
    event = np.where(table.at <= since, ~signal.event, signal.event)
    turned = replace(table, signals=(replace(signal, event=event, happened=np.where(event, table.at, np.inf)),))

    def line(of: Table) -> Evidence:
        hunted = search(of, LONG, memory)
        return (*hunted.found, *hunted.watched)[0].line

    assert line(table) == line(turned)
    assert sum(line(table).units.values()) < 0.04 * 10_000


def test_slots_are_never_more_than_stated_and_a_weak_one_leaves_its_stake() -> None:
    cells = [(Condition(field="json:$.age", low=float(i), high=i + 20.0),) for i in range(SLOTS)]
    memory = Memory(
        hypotheses=tuple(
            Hypothesis(slot=i, metric="errors", arm="v2", cell=cell, since=0.0) for i, cell in enumerate(cells)
        )
    )
    after = search(units(6, 60_000, harm=0.1), LONG, memory).memory
    assert len(after.hypotheses) == SLOTS == len({one.slot for one in after.hypotheses})
    new = [one for one in after.hypotheses if one.since > 0.0]
    assert new
    assert all(0.0 <= one.stake < 0.5 for one in new)


def test_rows_out_of_order_say_the_same() -> None:
    table = units(7, 20_000, harm=0.1)
    shuffled = taken(table, np.random.default_rng(1).permutation(len(table.at)))
    assert search(shuffled, LONG).memory == search(table, LONG).memory


def test_nothing_at_all_is_found_in_nothing() -> None:
    empty = taken(units(8, 300, harm=0.0), slice(0, 0))
    assert search(empty, LONG).named == ()
    assert search(units(8, 300, harm=0.5), LONG).named == ()
