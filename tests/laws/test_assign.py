"""Laws of assignment: one hash, stable for ever, and a growing weight never moves a unit back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crossfade.live.assign import assign, bucket
from crossfade.live.routes import Route, champion_only
from crossfade.spec.model import Arm, Field, From, Protocol

units = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=64)
salts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def route(weight: float, challengers: int = 1, salt: str = "ranker-v2") -> Route:
    """A route that gives each of so many challengers that share."""
    return Route(
        rollout="ranker-v2",
        revision="r",
        prefix="/m",
        protocol=Protocol.JSON,
        unit=Field(source=From.HEADER, name="x-user-id"),
        segments=(),
        salt=salt,
        champion=Arm(name="champion", url="http://127.0.0.1:1"),
        challengers=tuple(Arm(name=f"c{n}", url="http://127.0.0.1:2") for n in range(challengers)),
        mode="canary",
        stage=0,
        step=0,
        weight=weight,
    )


@given(salts, units)
def test_a_bucket_is_on_the_unit_interval_and_never_changes(salt, unit):
    assert 0.0 <= bucket(salt, unit) < 1.0
    assert bucket(salt, unit) == bucket(salt, unit)


@given(units, st.integers(1, 5), st.floats(0.0, 1.0), st.floats(0.0, 1.0), salts)
def test_growing_a_weight_never_moves_a_unit_back(unit, challengers, one, other, salt):
    low, high = sorted((one / challengers, other / challengers))
    before, after = (assign(route(weight, challengers, salt), unit) for weight in (low, high))
    assert before.bucket == after.bucket
    if before.arm != "champion":
        assert after.arm == before.arm


@given(units, st.integers(1, 5))
def test_nothing_is_nobody_and_everything_is_everybody(unit, challengers):
    assert assign(route(0.0, challengers), unit).arm == "champion"
    assert assign(champion_only(route(0.2, challengers)), unit).arm == "champion"
    assert assign(route(1.0), unit).arm == "c0"


@given(units, st.floats(0.0, 1.0))
def test_one_challenger_owns_the_lower_end(unit, weight):
    assigned = assign(route(weight), unit)
    assert (assigned.arm == "c0") == (assigned.bucket < weight)
    assert not assigned.missing


@given(units, st.floats(0.0, 1.0), st.sampled_from(("shadow", "canary", "interleave", "ab", "promote")))
def test_the_stage_has_no_say(unit, weight, mode):
    assert assign(replace(route(weight), mode=mode, stage=3, step=2), unit) == assign(route(weight), unit)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_missing_unit_is_the_champions_and_marked(weight):
    assigned = assign(route(weight), "")
    assert assigned.arm == "champion"
    assert assigned.missing


@given(salts, salts)
def test_salts_are_independent(one, other):
    assume(one != other)
    both = Counter((bucket(one, f"u{n}") < 0.5, bucket(other, f"u{n}") < 0.5) for n in range(400))
    # Each quarter expects 100 of 400 with standard deviation 8.7; six of those away would be dependence.
    assert all(48 < count < 152 for count in both.values()), both
    assert len(both) == 4


@pytest.mark.parametrize(("weight", "challengers"), [(0.01, 1), (0.2, 1), (0.5, 1), (0.1, 3), (0.25, 4)])
def test_shares_come_out_as_asked(weight, challengers):
    count = 40_000
    seen = Counter(assign(route(weight, challengers), f"user-{n}").arm for n in range(count))
    for n in range(challengers):
        expected, sd = count * weight, (count * weight * (1 - weight)) ** 0.5
        assert abs(seen[f"c{n}"] - expected) < 4.5 * sd
    assert sum(seen.values()) == count
