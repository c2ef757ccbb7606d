"""Who is blamed: laws over whatever was found, and three worlds that name the three causes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.drift.causes import causes
from crossfade.judge.drift.family import Family
from crossfade.judge.drift.watch import Change
from judge.drift.slices import sketched

ALPHA = 0.05

changes = st.builds(
    Change,
    side=st.sampled_from(["output", "outcome"]),
    field=st.sampled_from(["p", "q"]),
    arm=st.sampled_from(["v1", "v2"]),
    measured=st.just(True),
    log_e=st.sampled_from([0.0, 50.0]),
    psi=st.sampled_from([0.0, 0.05, 0.3, 2.0]),
    psi_chance=st.just(0.01),
    psi_noise=st.sampled_from([0.01, 1.0]),
)
inputs = st.builds(
    Change,
    side=st.just("input"),
    field=st.sampled_from(["x", "y"]),
    arm=st.just(""),
    measured=st.booleans(),
    log_e=st.sampled_from([0.0, 50.0]),
    psi=st.sampled_from([0.0, 2.0]),
    psi_chance=st.just(0.01),
    broken=st.sampled_from(["", "missing"]),
)
many = st.lists(changes | inputs, max_size=8, unique_by=lambda change: (change.side, change.field, change.arm))


def swapped(change: Change) -> Change:
    return replace(change, arm={"v1": "v2", "v2": "v1"}.get(change.arm, ""))


@given(many)
def test_another_name_for_each_arm_swaps_the_blame(told: list[Change]) -> None:
    there, back = causes(told, ALPHA), causes([swapped(change) for change in told], ALPHA)
    assert [finding.cause for finding in there] == [finding.cause for finding in back]
    assert [finding.arm for finding in there] == [{"v1": "v2", "v2": "v1"}.get(finding.arm, "") for finding in back]


@given(many)
def test_what_moves_in_every_arm_names_none(told: list[Change]) -> None:
    fallen = [replace(change, log_e=50.0, psi=2.0, measured=True) for change in told]
    both = [*fallen, *(swapped(change) for change in fallen if change.arm)]
    unique = {(change.side, change.field, change.arm): change for change in both}
    found = causes(list(unique.values()), ALPHA)
    assert not any(finding.cause == "model" or finding.arm for finding in found)


@given(many)
def test_there_is_always_one_sentence_at_least_and_silence_is_not_health(told: list[Change]) -> None:
    found = causes(told, ALPHA)
    assert found
    assert all(finding.sentence.endswith(".") for finding in found)
    if not any(change.measured for change in told):
        assert [finding.cause for finding in found] == ["unmeasured"]
        assert "not measured" in found[0].sentence


@given(many)
def test_an_arm_is_named_only_beside_one_that_stayed(told: list[Change]) -> None:
    for finding in causes(told, ALPHA):
        if finding.cause == "model":
            for change in finding.changes:
                assert any(
                    (one.side, one.field) == (change.side, change.field) and one.arm != finding.arm for one in told
                )
            assert not any(change.side == "input" and change.changed(6.0) for change in told)


World = Callable[[np.random.Generator, bool, str], dict[str, Any]]
"""Inputs `x`, and what the arm predicts of them, before and after."""


def told_of(after: World, seed: int = 1, each: int = 6) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    family = Family(every=1.0, reference=60.0)
    for second in range(150):
        facts = []
        for arm in ("v1", "v2"):
            values = after(rng, second >= 80, arm)
            facts += sketched({name: values[name] for name in ("x", "y")}, at=float(second), arm=arm, side="input")
            facts += sketched({"p": values["p"]}, at=float(second), arm=arm, side="output")
        family.take(float(second), facts)
    return causes(family.changes(), ALPHA)


def world(*, shift: float = 0.0, null: bool = False, worse: str = "", both: float = 0.0, each: int = 6) -> World:
    def draw(rng: np.random.Generator, after: bool, arm: str) -> dict[str, Any]:
        x = rng.normal(shift if after else 0.0, 1.0, size=each)
        y = [None] * each if null and after else rng.normal(size=each)
        moved = 1.5 if after and arm == worse else both if after else 0.0
        p = x * (1.0 if arm == "v1" else 1.2) + rng.normal(size=each) * 0.1 + moved
        return {"x": x, "y": y, "p": p}

    return draw


@pytest.mark.parametrize("worse", ["v1", "v2"])
def test_a_model_that_changes_is_named(worse: str) -> None:
    (finding,) = told_of(world(worse=worse))
    other = {"v1": "v2", "v2": "v1"}[worse]
    assert (finding.cause, finding.arm) == ("model", worse)
    assert finding.sentence == (
        f"{worse} changed: its predictions (p) are not as in the reference, while those of {other} and the inputs are."
    )


def test_a_world_that_changes_is_no_models_fault() -> None:
    found = told_of(world(shift=1.5))
    assert [finding.cause for finding in found] == ["world"]
    assert "inputs of everyone (x) and predictions of all arms (p)" in found[0].sentence
    assert told_of(world(both=1.5))[0].sentence.startswith("The world changed: predictions of all arms (p)")


def test_a_broken_feed_is_named_before_what_comes_of_it() -> None:
    found = told_of(world(null=True))
    assert found[0].cause == "feed"
    assert "y is missing in 100% of requests" in found[0].sentence
    assert not any(finding.arm for finding in found)


def test_as_ever_is_said_to_be_so() -> None:
    (finding,) = told_of(world())
    assert (finding.cause, finding.sentence) == ("none", "No drift found: 4 fields are as in the reference.")


def test_a_field_that_was_not_there_is_new() -> None:
    family = Family(every=1.0, reference=60.0)
    rng = np.random.default_rng(2)
    for second in range(120):
        values = {"x": rng.normal(size=5)} | ({"z": rng.normal(size=5)} if second > 90 else {})
        family.take(float(second), sketched(values, at=float(second), arm="v1", side="input"))
    found = causes(family.changes(), ALPHA)
    assert found[0].cause == "feed"
    assert "z is new" in found[0].sentence


def test_one_arm_alone_cannot_be_told_from_the_world() -> None:
    family = Family(every=1.0, reference=60.0)
    rng = np.random.default_rng(2)
    for second in range(120):
        p = rng.normal(2.0 if second > 80 else 0.0, 1.0, size=8)
        family.take(float(second), sketched({"p": p}, at=float(second), arm="v1", side="output"))
    (finding,) = causes(family.changes(), ALPHA)
    assert finding.cause == "unclear"
    assert "no other arm is measured beside it" in finding.sentence
