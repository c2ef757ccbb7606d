"""A stage whose units do not come as planned is held, never promoted, with the arm, the counts and the time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.assess import assess
from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.mismatch import SAMPLE_RATIO, strongest
from crossfade.judge.measure import bucket
from crossfade.judge.measure.assignment import assignment, bucket_begins
from crossfade.judge.measure.measured import Measured
from crossfade.judge.moments import RateMoments
from crossfade.judge.plan import mismatch_alpha
from crossfade.state import Move, Phase
from crossfade.view.explain import explain
from crossfade.view.record import line_in_words
from judge.decide.rollouts import AB, CANARY, NOON, PROMOTE, SHADOW, at, lines, rollout

WHOLE = rollout(SHADOW, CANARY, AB, PROMOTE)
SEEN = Progress(mirrored=1200, requests=9000, units={"v1": 5000, "v2": 300})


def came(n_a: int, n_b: int, share: float, buckets: int = 40, step: int = 0) -> RateMoments:
    """The same number of units in each bucket."""
    one, none = np.ones(buckets, dtype=np.int64), np.zeros(buckets, dtype=np.int64)
    return RateMoments(
        step=step * one, bucket=np.arange(buckets), share=share * one, n_a=n_a * one, k_a=none, n_b=n_b * one, k_b=none
    )


def checked(moments: RateMoments, stage: int = 1) -> Evidence:
    measured = Measured(
        rollout="ranker", stage=stage, step=0, mode="canary", since=NOON, now=NOON + 400, assignment={"v2": moments}
    )
    (line,) = [line for line in assess(WHOLE, measured) if line.metric == SAMPLE_RATIO]
    return line


def test_units_as_planned_are_said_to_show_no_mismatch_and_stop_nothing():
    line = checked(came(950, 50, 0.05))
    assert line.verdict is Verdict.UNDECIDED
    assert line.estimate == pytest.approx(0.0)
    assert line.reason == "no mismatch found among 40,000 units"
    found = decide(WHOLE, at(1), [*lines(WHOLE, 1), line], NOON + 700, SEEN)
    assert (found.move, found.rule) == (Move.ADVANCE, "cleared")


def test_no_unit_yet_is_no_mismatch():
    line = checked(came(0, 0, 0.05))
    assert line.verdict is Verdict.UNMEASURED
    assert line.reason == "no unit has been exposed"
    found = decide(WHOLE, at(1), [*lines(WHOLE, 1), line], NOON + 10, SEEN)
    assert found.move is None


@pytest.mark.parametrize("stage", [1, 2])
def test_lost_units_hold_at_once_and_stop_every_move_forward(stage):
    line = checked(came(970, 30, 0.05), stage)
    assert line.verdict is Verdict.UNMEASURED
    assert line.e_value >= 1.0 / mismatch_alpha(WHOLE)
    assert "v2 has 1,200 where 2,000 were due" in line.reason
    assert line.reason.endswith("proven by 12:00 UTC")
    evidence = [*lines(WHOLE, stage), line]
    for later in (10, 700):
        found = decide(WHOLE, at(stage), evidence, NOON + later, SEEN)
        assert (found.move, found.rule) == (Move.HOLD, "unmeasured")
        assert "the units do not fit the plan: v2 has 1,200" in found.sentence
        assert found.sentence.endswith("if still so.")
    held = decide(WHOLE, at(stage, phase=Phase.HELD), evidence, NOON + 700, SEEN)
    assert (held.move, held.rule) == (None, "unmeasured")


def test_harm_still_outranks_a_mismatch():
    line = checked(came(970, 30, 0.05))
    evidence = [*lines(WHOLE, 1, {"errors": Verdict.HARMFUL}), line]
    assert decide(WHOLE, at(1), evidence, NOON + 10, SEEN).move is Move.ROLLBACK


def test_a_mismatch_once_proven_stays_proven():
    lost, made_up = came(970, 30, 0.05), came(930, 70, 0.05)
    both = replace(
        lost,
        **{
            name: np.r_[getattr(lost, name), getattr(made_up, name)]
            for name in ("step", "share", "n_a", "k_a", "n_b", "k_b")
        },
        bucket=np.arange(80),
    )
    assert both.n_b.sum() == 0.05 * (both.n_a.sum() + both.n_b.sum())
    assert strongest(both, 0.01).bucket == strongest(lost, 0.01).bucket
    assert checked(both).verdict is Verdict.UNMEASURED


def test_a_ramp_is_checked_step_by_step():
    """Too few at 1 % and as many too many at 5 % do not make up for one another."""
    first, second = came(10_000, 20, 0.01), came(9_000, 560, 0.05, step=1)
    ramp = replace(
        first,
        **{
            name: np.r_[getattr(first, name), getattr(second, name)]
            for name in ("step", "share", "n_a", "k_a", "n_b", "k_b")
        },
        bucket=np.arange(80),
    )
    assert checked(ramp).verdict is Verdict.UNMEASURED


def test_the_page_and_explain_say_so():
    line = checked(came(970, 30, 0.05))
    assert "do not fit the plan" in line_in_words(WHOLE, line)["reason"]
    told = explain(WHOLE, line)
    assert any("units do not fit the plan" in text and "reached" in text for text in told)


def test_only_stages_that_compare_groups_are_checked():
    assert assignment(WHOLE, "canary")
    assert assignment(WHOLE, "ab")
    assert assignment(WHOLE, "shadow") is None
    assert assignment(WHOLE, "interleave") is None


@pytest.mark.parametrize("elapsed", [0, 7, 599, 600, 660, 86_399, 86_400, 90_000, 500_000])
def test_a_slice_of_time_begins_where_it_begins(elapsed):
    begins = bucket_begins(bucket(elapsed))
    assert begins <= elapsed
    assert bucket(begins) == bucket(elapsed)
    assert bucket_begins(bucket(elapsed) + 1) > elapsed
