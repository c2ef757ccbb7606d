"""Conditions, and values that become few levels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.search.cells import QUANTILES, Condition, cell_of, cuts, feature, inside, levels, members, told

NUMBERS = st.one_of(st.none(), st.integers(-5, 5).map(float))
CONDITIONS = st.one_of(
    st.builds(Condition, field=st.sampled_from("ab"), value=st.sampled_from(["", "1", "3", "x"])),
    st.builds(Condition, field=st.sampled_from("ab"), low=NUMBERS, high=NUMBERS),
)
CELLS = st.lists(CONDITIONS, max_size=2).map(tuple)


@given(CELLS, CELLS)
def test_what_is_inside_another_cell_has_no_row_outside_of_it(one, other) -> None:  # type: ignore[no-untyped-def]
    values = ["", "-4", "-1", "0", "1", "2.5", "3", "x"]
    known = [
        feature("a", [value for value in values for _ in values]),
        feature("b", [value for _ in values for value in values]),
    ]
    if inside(one, other):
        assert not (members(one, known) & ~members(other, known)).any()


@given(CELLS)
def test_a_cell_reads_back_what_it_was_written_as(cell) -> None:  # type: ignore[no-untyped-def]
    assert cell_of([condition.to_json() for condition in cell]) == cell


def test_conditions_in_words() -> None:
    cell = (Condition(field="json:$.age", low=85.0), Condition(field="header:x-country", value="de"))
    assert told(cell) == "json:$.age ≥ 85 and header:x-country=de"
    assert str(Condition(field="f", low=1.0, high=2.5)) == "1 ≤ f < 2.5"
    assert str(Condition(field="f", value="")) == "f absent"


def test_a_number_is_cut_at_quantiles_and_absent_stays_a_value_of_its_own() -> None:
    ages = [str(age) for age in range(100)] * 3 + [""] * 10
    one = feature("age", ages)
    edges = cuts(one)
    assert edges == tuple(round(100 * q) - 1.0 for q in QUANTILES)
    cut = levels(one, edges)
    every = np.zeros(len(ages), dtype=int)
    for place, condition in enumerate(cut.conditions, 1):
        rows = members((condition,), [one])
        assert (cut.level[rows] == place).all()
        assert rows.any()
        every += rows
    assert (every == 1).all()
    assert Condition(field="age", value="") in cut.conditions


def test_few_numbers_and_codes_among_words_are_values() -> None:
    assert cuts(feature("stars", [str(i % 5) for i in range(500)])) == ()
    assert cuts(feature("version", [f"{i % 30}" if i % 10 else "beta" for i in range(500)])) == ()
    assert cuts(feature("none", [""] * 10)) == ()


def test_a_feature_that_is_not_recorded_any_more_has_no_members() -> None:
    assert not members((Condition(field="gone", value="x"),), [feature("a", ["x", "y"])]).any()
