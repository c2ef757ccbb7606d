"""Whole weeks are advised where a comparison has days in it, and nowhere else."""

from __future__ import annotations

import pytest

from crossfade.judge.decide import Progress, decide, weeks
from crossfade.judge.decide.weeks import DAY
from crossfade.judge.evidence import Verdict
from crossfade.state import Move
from judge.decide.rollouts import AB, NOON, PROMOTE, at, lines, rollout


@pytest.mark.parametrize(
    ("days", "ragged", "whole"),
    [(0.2, False, 7), (3.0, True, 7), (6.7, False, 7), (7.3, False, 7), (10.0, True, 14), (14.0, False, 14)],
)
def test_a_week_and_what_is_near_it_is_whole(days, ragged, whole):
    assert weeks.ragged(days * DAY) is ragged
    assert weeks.whole(days * DAY) / DAY == whole


@pytest.mark.parametrize(("days", "told"), [(3.0, True), (7.0, False), (0.1, False)])
def test_a_promotion_in_the_middle_of_a_week_says_so_and_is_not_kept_waiting(days, told):
    spec = rollout(AB, PROMOTE)
    proven = lines(spec, 0, dict.fromkeys((m.name for m in spec.metrics), Verdict.SAFE))
    found = decide(spec, at(0), proven, NOON + days * DAY, Progress(units={"v1": 900, "v2": 900}))
    assert found.move is Move.PROMOTE
    assert ("not whole weeks" in found.sentence) is told
