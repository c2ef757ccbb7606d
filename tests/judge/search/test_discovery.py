"""e-BH and its closure, against the definition over every set of hypotheses."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.search import allowed, closed_e_bh, e_bh

E_VALUES = st.lists(st.floats(0.0, 200.0), min_size=1, max_size=7)
ALPHAS = st.sampled_from([0.05, 0.1, 0.2])


def permitted(e: list[float], chosen: tuple[int, ...], alpha: float) -> bool:
    """The definition: every set of hypotheses has an average e-value of at least its share of what is chosen."""
    places = range(len(e))
    sets = [some for size in range(1, len(e) + 1) for some in combinations(places, size)]
    return all(
        np.mean([e[i] for i in some]) * alpha * len(chosen) >= len(set(some) & set(chosen)) * (1 - 1e-9)
        for some in sets
    )


def test_the_published_example() -> None:
    assert e_bh([90, 48, 30, 22, 18], 0.05) == ()
    assert closed_e_bh([90, 48, 30, 22, 18], 0.05) == (0, 1, 2, 3, 4)


@given(E_VALUES, ALPHAS)
def test_the_closure_is_the_largest_set_of_strongest_that_the_definition_permits(e: list[float], alpha: float) -> None:
    order = tuple(np.argsort(-np.asarray(e), kind="stable").tolist())
    permitted_sizes = [size for size in range(1, len(e) + 1) if permitted(e, order[:size], alpha)]
    assert len(closed_e_bh(e, alpha)) == max(permitted_sizes, default=0)


@given(E_VALUES, ALPHAS, st.data())
def test_any_set_is_allowed_just_when_the_definition_permits_it(
    e: list[float], alpha: float, data: st.DataObject
) -> None:
    chosen = tuple(sorted(data.draw(st.sets(st.integers(0, len(e) - 1), min_size=1))))
    assert allowed(e, chosen, alpha) == permitted(e, chosen, alpha)


@given(E_VALUES, ALPHAS)
def test_the_closure_finds_whatever_e_bh_finds(e: list[float], alpha: float) -> None:
    assert set(e_bh(e, alpha)) <= set(closed_e_bh(e, alpha))


def test_e_bh_needs_as_much_as_there_are_hypotheses() -> None:
    assert e_bh([59.9, 1.0, 1.0], 0.05) == ()
    assert e_bh([60.0, 1.0, 1.0], 0.05) == (0,)
    assert e_bh([31.0, 30.0, 1.0], 0.05) == (0, 1)
    assert e_bh([], 0.05) == ()
    assert closed_e_bh([], 0.05) == ()
