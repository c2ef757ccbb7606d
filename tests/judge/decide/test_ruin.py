"""The risk-of-ruin ramp: its arithmetic, what it learns, and that a rollout climbs by it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from crossfade.judge.decide import Progress, decide
from crossfade.judge.decide.look import Look
from crossfade.judge.decide.ramp import risk, rooms
from crossfade.judge.decide.ruin import Belief, room
from crossfade.judge.infer import infer
from crossfade.spec.model import AUTO_STEPS, Canary, Prior, Until
from crossfade.state import Move, Phase, Position
from judge.decide.rollouts import AB, ERRORS, NOON, PROMOTE, rollout
from judge.questions import pp, rates


@pytest.mark.parametrize(
    ("mean", "sd", "noise", "risk", "units"),
    [
        (0.02, 0.03, 2.0, 0.01, 574.91),
        (0.0, 0.05, 2.0, 0.05, 880.02),
        (-0.05, 0.01, 2.0, 0.01, math.inf),
    ],
)
def test_the_published_values(mean, sd, noise, risk, units):
    assert room(Belief(mean=mean, sd=sd), noise, 100.0, risk) == pytest.approx(units, abs=0.005)


beliefs = st.builds(Belief, mean=st.floats(-0.3, 0.3), sd=st.floats(0.0, 0.3))


@given(beliefs, st.floats(0.0, 2.0), st.floats(0.1, 1000.0), st.floats(0.001, 0.4))
def test_up_to_the_last_unit_the_budget_is_overspent_with_no_more_than_the_risk(belief, noise, budget, chance):
    z = float(norm.isf(chance))

    def most(units: float) -> float:
        return units * belief.mean + z * math.sqrt((units * belief.sd) ** 2 + units * noise)

    units = room(belief, noise, budget, chance)
    assert units > 0.0
    for portion in (0.01, 0.3, 0.9, 1.0):
        assert most(portion * min(units, 1e9)) <= budget * (1.0 + 1e-6) + 1e-9
    if units < 1e9:
        assert most(units * 1.001) >= budget * (1.0 - 1e-6)


@given(beliefs, st.floats(0.001, 2.0), st.floats(0.1, 1000.0))
def test_less_risk_and_a_smaller_budget_never_give_more_units(belief, noise, budget):
    assert room(belief, noise, budget, 0.01) <= room(belief, noise, budget, 0.1) * (1.0 + 1e-9)
    assert room(belief, noise, 0.5 * budget, 0.05) <= room(belief, noise, budget, 0.05) * (1.0 + 1e-9)
    assert room(belief, noise, 0.0, 0.05) == 0.0


def test_evidence_moves_a_belief_to_what_was_seen():
    first = Belief(mean=0.0, sd=0.02)
    assert first.updated(0.03, 0.02**2) == Belief(mean=pytest.approx(0.015), sd=pytest.approx(0.02 / math.sqrt(2.0)))
    assert first.updated(0.03, 0.0) == first
    assert first.worst(0.05) == pytest.approx(0.0329, abs=1e-4)


RUIN = Canary(
    steps=AUTO_STEPS,
    hold_for=60.0,
    budget=(("errors", 50.0),),
    auto=True,
    prior=Prior(mean=0.0, sd=0.02),
    until=Until(at_most=7200.0),
)
SPEC = rollout(RUIN, AB, PROMOTE, metrics=(ERRORS,))


def at(step: int, seconds: float, line=(), **seen: int) -> Look:
    here = Position(phase=Phase.RUNNING, stage=0, step=step, stage_since=NOON - 600.0, step_since=NOON - seconds)
    return Look.at(SPEC, here, line, NOON, Progress(units=seen, step_units=seen))


def evidence(n_a: int, k_a: int, n_b: int, k_b: int):
    moments = replace(rates(n_a, k_a, n_b, k_b, settled=True))
    return infer(
        ERRORS, moments, role="guardrail", limit=pp(0.5), arm="v2", baseline="v1", stage="canary", step=0,
        alpha_harm=0.01, alpha_safe=0.05,
    )  # fmt: skip


def test_before_anything_is_seen_the_prior_sizes_the_ramp():
    (found,) = rooms(at(0, 15.0, v1=100, v2=0))
    assert found.believed == pytest.approx(room(Belief(mean=0.0, sd=0.02), 0.25, 50.0, risk(SPEC, RUIN)))
    assert found.fits(found.believed - 1.0)
    assert not found.fits(found.believed + 1.0)


def test_good_evidence_gives_more_units_and_bad_evidence_fewer():
    (prior,) = rooms(at(0, 15.0, v1=100, v2=0))
    (good,) = rooms(at(0, 15.0, [evidence(40_000, 400, 2000, 20)], v1=40_000, v2=2000))
    (bad,) = rooms(at(0, 15.0, [evidence(40_000, 400, 300, 15)], v1=40_000, v2=300))
    assert good.believed > 2.0 * prior.believed
    assert bad.believed < prior.believed
    assert good.incredible is None
    (broken,) = rooms(at(0, 15.0, [evidence(40_000, 400, 100, 40)], v1=40_000, v2=100))
    assert broken.incredible == pytest.approx(Belief(mean=0.0, sd=0.02).worst(risk(SPEC, RUIN)))


def test_a_step_is_taken_by_the_prior_and_not_beyond_it():
    here = Position(phase=Phase.RUNNING, stage=0, step=0, stage_since=NOON - 16.0, step_since=NOON - 16.0)
    few = Progress(units={"v1": 1600, "v2": 1}, step_units={"v1": 1600, "v2": 1})
    found = decide(SPEC, here, [], NOON, few)
    assert (found.move, found.rule) == (Move.ADVANCE, "cleared")
    assert "by its prior" in found.sentence
    late = replace(here, step=9)
    many = Progress(units={"v1": 160_000, "v2": 200}, step_units={"v1": 160_000, "v2": 200})
    waiting = decide(SPEC, late, [evidence(160_000, 1600, 200, 4)], NOON, many)
    assert waiting.move is None
    assert "not raised to 20 %, as by prior and evidence" in waiting.sentence
