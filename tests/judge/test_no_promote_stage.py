"""Promotion has to be asked for; and of several challengers nobody promotes just one."""

from __future__ import annotations

import pytest

from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.spec.parse import parse
from crossfade.state import IllegalMove, Move, Phase, Position, apply

SPEC = """
name: look-only
route: /m
protocol: json
unit: request
champion:   {name: v1, url: http://127.0.0.1:1}
CHALLENGERS
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
stages:
  - canary: {steps: [5%], hold_for: 1m, until: {at_most: 1d}}
"""
ONE = "challenger: {name: v2, url: http://127.0.0.1:2}"
TWO = "challengers: [{name: v2, url: http://127.0.0.1:2}, {name: v3, url: http://127.0.0.1:3}]"


def test_a_cleared_rollout_without_a_promote_stage_waits_for_a_person_and_not_for_ever() -> None:
    rollout = parse(SPEC.replace("CHALLENGERS", ONE))
    position = Position(phase=Phase.RUNNING, stage_since=0.0, step_since=0.0)
    proven = Evidence(
        metric="errors",
        kind="rate",
        arm="v2",
        baseline="v1",
        stage="canary",
        step=0,
        units={"v1": 1900, "v2": 100},
        confidence=0.95,
        verdict=Verdict.SAFE,
    )
    seen = Progress(units={"v1": 1900, "v2": 100})
    decision = decide(rollout, position, [proven], 120.0, seen)
    assert (decision.move, decision.rule) == (None, "cleared")
    assert "a person decides" in decision.sentence
    assert decision.until == 86400.0
    assert decide(rollout, position, [proven], 86400.0, seen).move is Move.ROLLBACK


def test_one_of_several_challengers_is_not_promoted() -> None:
    rollout = parse(SPEC.replace("CHALLENGERS", TWO))
    position = Position(phase=Phase.RUNNING)
    with pytest.raises(IllegalMove, match="roll back, then run a rollout with the winner"):
        apply(rollout, position, Move.PROMOTE, 1.0, actor="ana")
