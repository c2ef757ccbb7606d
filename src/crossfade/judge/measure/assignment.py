"""Who was assigned where: each unit of a stage at its first exposure, counted by the weight that was in force."""

from __future__ import annotations

from crossfade.judge.measure import arms, assemble
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.questions import Question
from crossfade.judge.moments import Moments
from crossfade.judge.slices import MEDIUM, SHORT
from crossfade.spec.model import Rollout

CHECKED = ("canary", "ab")
"""Modes whose stages compare groups of units, and so need the groups to be as planned."""


def assignment(rollout: Rollout, mode: str) -> Question | None:
    """The question how many units each arm got; None where a stage does not compare groups.

    It asks the same query as the rate of failures does, so that it costs nothing beside one.
    """
    if mode not in CHECKED:
        return None
    champion, many = rollout.champion.name, len(rollout.challengers)

    def shape(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=False)

    return Question(
        key=("response-rate",),
        build=arms.response_rate,
        shape=shape,
        silent="no unit has been exposed in this stage yet",
        by_unit=True,
    )


def bucket_begins(bucket: int) -> float:
    """When a slice of time begins, in seconds of the stage; the inverse of `tables.bucket`."""
    minutes = (MEDIUM - SHORT) // 60
    if bucket < SHORT:
        return float(bucket)
    if bucket < SHORT + minutes:
        return SHORT + 60.0 * (bucket - SHORT)
    return MEDIUM + 3600.0 * (bucket - SHORT - minutes)
