"""Forecasts agree with their own formulas turned round, and with rehearsals of the same rollout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.assumed import Assumed, World, at_margin
from crossfade.judge.forecast import forecast, missing
from crossfade.sim.rehearsal import rehearsals
from crossfade.state import Phase
from judge.decide.rollouts import AB, CANARY, ERRORS, LATENCY, PROMOTE, PURCHASE, SHADOW, rollout

BASE = World(
    rate=60.0,
    metrics={
        "errors": Assumed(value=0.005),
        "latency": Assumed(value=200.0, spread=0.5),
        "purchase": Assumed(value=0.1, change=0.02),
    },
)
WHOLE = rollout(
    SHADOW,
    replace(CANARY, hold_for=60.0, budget=()),
    AB,
    PROMOTE,
    metrics=(ERRORS, LATENCY, replace(PURCHASE, window=30.0)),
)


def test_every_stage_but_promotion_is_forecast_in_order():
    found = forecast(WHOLE, BASE)
    assert [stage.stage for stage in found] == ["shadow", "canary", "ab"]
    assert found[1].expected == pytest.approx(max(180.0, 30.0))
    assert found[1].exposed == pytest.approx(60.0 * 60.0 * (0.01 + 0.05 + 0.2))
    assert [stage.false_promotion for stage in found] == [0.0, 0.0, WHOLE.alpha]
    assert sum(stage.false_rollback for stage in found) <= WHOLE.alpha + 1e-12


def test_a_stage_takes_as_long_as_rehearsals_take():
    stage = forecast(WHOLE, BASE)[2]
    times = [
        run.stages[-1].seconds
        for run in rehearsals(WHOLE, BASE, runs=5, seed=2, growth=0.3)
        if run.phase is Phase.PROMOTED
    ]
    assert len(times) >= 4
    assert 0.4 * stage.expected <= np.median(times) <= 1.3 * stage.sure


def test_twice_the_traffic_halves_what_waits_for_units():
    once, twice = (forecast(WHOLE, replace(BASE, rate=rate))[2] for rate in (60.0, 120.0))
    window = 30.0
    assert twice.expected - window == pytest.approx((once.expected - window) / 2.0, rel=1e-6)
    assert twice.exposed == pytest.approx(once.exposed + 60.0 * window * 0.5, rel=1e-3)


def test_no_better_a_challenger_is_not_decided():
    stage = forecast(WHOLE, BASE.changed({}))[2]
    assert (stage.expected, stage.sure) == (None, None)
    assert "would be given up" in stage.notes[0]


def test_what_is_detectable_shrinks_with_traffic_and_lies_beyond_the_margin():
    little, much = (
        {effect.metric: effect for effect in forecast(WHOLE, replace(BASE, rate=rate))[1].effects}
        for rate in (60.0, 6000.0)
    )
    assert 0.005 < much["errors"].detectable < little["errors"].detectable
    assert little["latency"].detectable > 0.2 * 200.0


def test_a_budget_caps_the_worst_and_is_told_when_it_is_too_small():
    tight = rollout(replace(CANARY, hold_for=60.0, budget=(("errors", 3.0),)), AB, PROMOTE, metrics=(ERRORS, PURCHASE))
    stage = forecast(tight, BASE)[0]
    (errors,) = [effect for effect in stage.effects if effect.metric == "errors"]
    assert errors.worst_harm == pytest.approx(3.0)
    assert "too small for this traffic" in stage.notes[0]


def test_at_a_margin_and_what_is_missing():
    assert at_margin(WHOLE, BASE, ERRORS) == pytest.approx(0.005)
    assert at_margin(WHOLE, BASE, LATENCY) == pytest.approx(40.0)
    assert at_margin(WHOLE, BASE, PURCHASE) == 0.0
    assert missing(WHOLE, {"errors": 0.005}) == ["latency", "purchase"]
