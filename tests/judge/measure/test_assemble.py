"""Rows to moments: nothing is lost, nothing is mixed, and shares are those of the pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.measure import assemble
from crossfade.judge.measure.arms import OPEN
from crossfade.judge.measure.assemble import Rows, pair_share

rows = st.lists(
    st.tuples(
        st.sampled_from(["v1", "v2", "v3"]),
        st.integers(OPEN, 4),
        st.integers(0, 2),
        st.sampled_from([0.05, 0.2]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=40,
    unique_by=lambda row: row[:4],
)


def columns(table: list[tuple[str, int, int, float, int, int]]) -> Rows:
    names = ("arm", "bucket", "step", "weight", "n", "k")
    return {name: np.array([row[i] for row in table], dtype=object if i == 0 else None) for i, name in enumerate(names)}


@given(rows)
def test_every_count_lands_in_its_cell(table: list[tuple[str, int, int, float, int, int]]) -> None:
    moments = assemble.rate(columns(table), "v1", "v2", 2, settled=True)
    closed = [row for row in table if row[1] != OPEN]
    for arm, n, k in (("v1", moments.n_a, moments.k_a), ("v2", moments.n_b, moments.k_b)):
        assert n.sum() == sum(row[4] for row in closed if row[0] == arm)
        assert k.sum() == sum(row[5] for row in closed if row[0] == arm)
    keys = list(zip(moments.bucket, moments.step, moments.share, strict=True))
    assert keys == sorted(set(keys))
    expected = {(b, s, float(pair_share(np.array([w]), 2)[0])) for a, b, s, w, _, _ in closed if a != "v3"}
    assert set(keys) == expected
    assert moments.immature == sum(row[4] for row in table if row[1] == OPEN and row[0] != "v3")


@given(rows)
def test_rows_may_come_in_any_order(table: list[tuple[str, int, int, float, int, int]]) -> None:
    forth = assemble.rate(columns(table), "v1", "v2", 1, settled=False)
    back = assemble.rate(columns(table[::-1]), "v1", "v2", 1, settled=False)
    for name in ("step", "bucket", "share", "n_a", "k_a", "n_b", "k_b"):
        assert np.array_equal(getattr(forth, name), getattr(back, name))


@given(rows)
def test_units_seen_in_a_step_land_in_their_cell_where_they_were_counted(
    table: list[tuple[str, int, int, float, int, int]],
) -> None:
    uncounted = assemble.rate(columns(table), "v1", "v2", 2, settled=False)
    assert uncounted.seen_a is None
    assert uncounted.seen_b is None
    told = columns(table)
    counted = assemble.rate({**told, "seen": told["n"] + told["k"]}, "v1", "v2", 2, settled=False)
    assert counted.seen_a is not None
    assert counted.seen_b is not None
    assert np.array_equal(counted.seen_a, uncounted.n_a + uncounted.k_a)
    assert np.array_equal(counted.seen_b, uncounted.n_b + uncounted.k_b)


@pytest.mark.parametrize(
    ("weight", "challengers", "expected"),
    [(0.2, 1, 0.2), (0.5, 1, 0.5), (1.0, 1, 1.0), (0.2, 2, 0.25), (0.5, 2, 1.0), (0.0, 1, 0.0)],
)
def test_the_share_of_a_pair(weight: float, challengers: int, expected: float) -> None:
    assert pair_share(np.array([weight]), challengers)[0] == pytest.approx(expected)
