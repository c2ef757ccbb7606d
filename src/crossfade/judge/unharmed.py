"""What a plan says of a bad metric that is expected of nobody: how many units prove it, or that none ever do."""

from __future__ import annotations

import math

import numpy as np

from crossfade.judge.assumed import Assumed
from crossfade.judge.infer.contrast import MINIMUM_UNITS
from crossfade.judge.infer.nothing import alone_of, below_log_e, unproven
from crossfade.judge.infer.question import Question
from crossfade.judge.plan import PlannedTest
from crossfade.spec.model import Kind


def expected_of_nobody(test: PlannedTest, assumed: Assumed) -> bool:
    """Whether it is assumed to be 0 for every unit of both arms."""
    return test.metric.kind in (Kind.MEAN, Kind.COUNT) and assumed.values == (0.0, 0.0)


def never_decided(test: PlannedTest, baseline: str) -> str:
    """Why no number of such units proves anything; empty where some do."""
    question = _question(test, baseline)
    return "" if alone_of(question, 0.0, 0.0, 1, 1) is not None else unproven(question)


def decided(test: PlannedTest, units: float) -> bool:
    """Whether so many of the challenger's units with nothing prove it."""
    cap, limit = test.metric.cap, test.limit
    if cap is None or limit is None or units < MINIMUM_UNITS:
        return False
    log_e = below_log_e(np.array([units]), np.zeros(1), np.array([cap]), np.array([limit.value]))
    return float(log_e[0]) >= -math.log(0.5 * test.alpha_safe)


def _question(test: PlannedTest, baseline: str) -> Question:
    return Question(
        metric=test.metric,
        role=test.role,
        limit=test.limit,
        arm=test.arm,
        baseline=baseline,
        stage=test.stage_name,
        step=None,
        alpha_harm=test.alpha_harm,
        alpha_safe=test.alpha_safe,
        window=test.metric.window,
    )
