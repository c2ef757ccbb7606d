"""A preference for a challenger whose guardrail goes wrong says so, wherever the line is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.decide import decide
from crossfade.judge.decide.look import Progress
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer import PREFERENCE, infer
from crossfade.judge.liked import cautioned
from crossfade.judge.moments import PairedMoments
from crossfade.state import Move, Phase, Position
from judge.decide.rollouts import INTERLEAVE, rollout


def preference(wins: int, losses: int) -> Evidence:
    one = np.array
    return infer(
        PREFERENCE,
        PairedMoments(bucket=one([0]), plus=one([losses]), minus=one([wins]), zero=one([3])),
        role="goal",
        limit=None,
        arm="v2",
        baseline="v1",
        stage="interleave",
        step=None,
        alpha_harm=0.05,
        alpha_safe=0.05,
    )


ERRORS = Evidence(
    metric="errors",
    kind="rate",
    arm="v2",
    baseline="v1",
    stage="interleave",
    step=None,
    units={"v1": 900, "v2": 900},
    estimate=0.012,
    confidence=0.95,
    limit=0.005,
    e_value=900.0,
    verdict=Verdict.HARMFUL,
)


def test_a_preferred_challenger_that_loses_a_guardrail_is_told_so() -> None:
    found, other = cautioned([preference(300, 100), ERRORS])
    assert found.verdict is Verdict.SAFE
    assert found.reason == (
        "v2's ranking is preferred, but errors is proven +1.2 pp against v1 (limit +0.5 pp): "
        "what people pick is not what becomes of them"
    )
    assert other == ERRORS
    undecided = replace(ERRORS, verdict=Verdict.UNDECIDED)
    assert "but errors is +1.2 pp" in cautioned([preference(300, 100), undecided])[0].reason
    assert "seems to be preferred" in cautioned([preference(52, 48), ERRORS])[0].reason


@pytest.mark.parametrize(
    "guardrail",
    [
        replace(ERRORS, verdict=Verdict.SAFE, estimate=0.001),
        replace(ERRORS, verdict=Verdict.UNMEASURED, estimate=None),
        replace(ERRORS, arm="v3"),
        replace(ERRORS, verdict=Verdict.UNDECIDED, better="higher", limit=-0.01, estimate=-0.004),
    ],
)
def test_nothing_is_said_where_nothing_goes_wrong(guardrail: Evidence) -> None:
    assert cautioned([preference(300, 100), guardrail])[0].reason == ""
    assert cautioned([preference(100, 300), ERRORS])[0].reason == ""


def test_the_rollback_says_that_its_ranking_was_preferred() -> None:
    at = Position(phase=Phase.RUNNING, stage=0, step=0, stage_since=0.0, step_since=0.0)
    progress = Progress(units={"v1": 900, "v2": 900})
    lines = cautioned([preference(300, 100), ERRORS])
    decision = decide(rollout(INTERLEAVE), at, lines, 60.0, progress)
    assert decision.move is Move.ROLLBACK
    assert decision.sentence.endswith("Its ranking was preferred all the same.")
    without = decide(rollout(INTERLEAVE), at, [preference(100, 100), ERRORS], 60.0, progress)
    assert "preferred" not in without.sentence
