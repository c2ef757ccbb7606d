"""One field: what is called broken, changed, unmeasured; and cells that every request falls into once."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.drift.cells import laid_out
from crossfade.judge.drift.watch import Watch
from judge.drift.slices import counts, watched

RNG = np.random.default_rng(7)
LIMIT = log(20.0)

values = st.lists(st.none() | st.floats(-1e6, 1e6) | st.sampled_from(["a", "b", "c", "d"]) | st.just([1]), max_size=60)


@given(values, values)
def test_every_request_falls_into_one_cell(laid: list[Any], told: list[Any]) -> None:
    cells = laid_out(counts(laid))
    assert cells.of(counts(told)).sum() == len(told)
    assert len(cells.of(counts(told))) == cells.count
    assert list(cells.ends) == sorted(set(cells.ends))


def test_groups_of_numbers_are_about_equally_full() -> None:
    laid = counts(RNG.normal(size=4000))
    cells = laid_out(laid)
    found = cells.of(laid)[: cells.groups]
    assert cells.groups == 8
    assert found.min() > 400
    assert found.max() < 620


def normal(_: float) -> Any:
    return RNG.normal(size=8)


def names(_: float) -> Any:
    return list(RNG.choice(["a", "b"], size=8))


@pytest.mark.parametrize(
    ("then", "now", "broken"),
    [
        (normal, lambda _: [None] * 8, "missing"),
        (normal, lambda _: [None, *RNG.normal(size=3)], "missing"),
        (normal, lambda _: [1.5] * 8, "constant"),
        (names, lambda _: ["a"] * 8, "constant"),
        (names, lambda _: ["a", "b", "zz"], "unseen"),
        (normal, lambda _: ["1.5"] * 8, "unseen"),
        (normal, lambda _: [[1.0]] * 8, "nested"),
    ],
)
def test_a_broken_field_is_seen_and_named_by_plain_counts(then: Any, now: Any, broken: str) -> None:
    change = watched(then, now, for_=30).change()
    assert change.broken == broken
    assert change.changed(LIMIT)
    assert change.since == 60.0


def test_a_shift_is_a_change_and_nothing_broken() -> None:
    change = watched(normal, lambda _: RNG.normal(0.8, 1.0, size=8)).change()
    assert (change.broken, change.changed(LIMIT)) == ("", True)
    assert change.psi is not None
    assert change.ks is not None
    assert change.wasserstein == pytest.approx(0.8, abs=0.3)


def test_a_change_in_time_is_dated() -> None:
    def now(at: float) -> Any:
        return RNG.normal(1.5 if at >= 90.0 else 0.0, 1.0, size=20)

    change = watched(normal, now, for_=60).change()
    assert change.since == pytest.approx(90.0, abs=4.0)


def test_a_change_too_small_to_matter_is_none_however_sure() -> None:
    big = RNG.normal(size=400_000)
    change = watched(lambda _: RNG.choice(big, 1500), lambda _: RNG.choice(big, 1500) + 0.12).change()
    assert change.log_e > LIMIT
    assert not change.changed(LIMIT)


def test_names_that_are_always_new_are_not_broken() -> None:
    change = watched(*[lambda _: [f"id{n}" for n in RNG.integers(0, 10**6, size=8)]] * 2).change()
    assert not change.changed(LIMIT)
    assert change.broken == ""


@pytest.mark.parametrize(
    ("reference", "for_", "size", "says"),
    [(60, -10, 8, "not complete"), (60, 20, 0, "not complete"), (60, 4, 1, "too few requests since")],
)
def test_what_cannot_be_told_is_unmeasured_with_its_reason(reference: int, for_: int, size: int, says: str) -> None:
    watch = Watch("input", "x", "", first=0.0, every=1.0, reference=float(reference))
    for second in range(reference + for_):
        if size:
            watch.take(float(second), counts(RNG.normal(size=size)))
    watch.close()
    change = watch.change()
    assert not change.measured
    assert says in change.reason
    assert not change.changed(-1.0)


def test_a_poor_reference_is_said_to_be_one() -> None:
    watch = watched(lambda at: RNG.normal(size=1 if at < 20 else 0), normal)
    assert "the reference has 20 requests, too few" in watch.change().reason


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_bets_stay_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    draw = [lambda _: rng.normal(size=rng.integers(0, 5)), lambda _: [None] * int(rng.integers(0, 5))]
    change = watched(draw[int(rng.integers(2))], draw[int(rng.integers(2))]).change()
    assert np.isfinite(change.log_e)
