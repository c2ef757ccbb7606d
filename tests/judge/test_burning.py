"""After promotion: harm from the start and harm that begins late share one alpha, and say what they found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.assess import assess
from crossfade.judge.burning import YEAR, from_the_start, stakes, watched
from crossfade.judge.decide import decide
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer import answer
from crossfade.judge.infer.restarts import tape
from crossfade.judge.measure import Measured
from crossfade.judge.measure.measured import Progress
from crossfade.judge.moments import RateMoments
from crossfade.spec.model import Promote
from crossfade.state import Move, Phase, Position
from guarantees import burns
from judge.decide.rollouts import AB, NOON, PURCHASE, rollout

DAYS = 12.0


def told(moments: RateMoments, alpha: float = 0.01) -> tuple[Evidence, Evidence]:
    """The line of the whole stage alone, and with what began late."""
    asked = burns.question(alpha)
    alone = answer(from_the_start(asked), moments)
    return alone, watched(asked, alone, moments, watch=(DAYS + 1.0) * burns.DAY, horizon=burns.DAY)


def some(erosion: np.ndarray | float, seed: int = 5) -> RateMoments:
    return burns.watch(np.random.default_rng(seed), DAYS, erosion)


LATE = np.r_[np.zeros(10 * 24), np.full(2 * 24, 0.22)]


def test_a_drop_that_begins_late_is_told_with_its_beginning_and_its_values():
    alone, line = told(some(LATE))
    assert alone.verdict is not Verdict.HARMFUL
    assert line.verdict is Verdict.HARMFUL
    assert line.confidence == pytest.approx(0.99)
    assert line.change["after"] / burns.DAY == pytest.approx(11.0, abs=0.5)
    assert line.change["values"]["v2"] < 0.9 * line.change["values"]["v1"]
    assert (line.estimate, line.lower, line.upper) == (alone.estimate, alone.lower, alone.upper)
    assert Evidence.from_json(line.to_json()) == line


def test_harm_from_the_start_needs_no_beginning():
    alone, line = told(some(0.3))
    assert alone.verdict is line.verdict is Verdict.HARMFUL
    assert math.log(line.e_value) >= math.log(alone.e_value) - math.log(2.0) - 1e-9


def test_nothing_is_found_where_nothing_is():
    alone, line = told(some(0.0))
    assert line.verdict is alone.verdict is not Verdict.HARMFUL
    assert line.change is None


def test_what_is_staked_on_beginnings_adds_up_to_the_watch_and_to_one_a_year():
    found = tape(burns.question(0.05), some(0.0))
    stake, left = stakes(found, watch=(DAYS + 1.0) * burns.DAY, horizon=burns.DAY)
    assert stake.min() >= 0.0
    assert stake.sum() + left == pytest.approx(1.0)
    stake, left = stakes(found, watch=2.0 * YEAR + burns.DAY, horizon=burns.DAY)
    assert stake.sum() + left == pytest.approx(2.0)
    assert stake.sum() == pytest.approx(DAYS / 365.0)


def test_a_promoted_challenger_is_demoted_and_the_sentence_says_since_when():
    watch = Promote(holdback=burns.HOLDBACK, watch=(DAYS + 1.0) * burns.DAY)
    spec = rollout(AB, watch, metrics=(replace(PURCHASE, window=burns.DAY),))
    here = Position(phase=Phase.PROMOTED, stage=1, stage_since=NOON, step_since=NOON)
    now = NOON + (DAYS + 1.0) * burns.DAY - 60.0
    moments = some(LATE)
    seen = Measured(
        rollout=spec.name,
        stage=1,
        step=0,
        mode="promote",
        since=NOON,
        now=now,
        metrics={("purchase", "v2"): moments},
        progress=Progress(units={"v1": int(moments.n_a.sum()), "v2": int(moments.n_b.sum())}),
    )
    found = decide(spec, here, assess(spec, seen), now)
    assert (found.move, found.rule) == (Move.ROLLBACK, "harm")
    assert found.sentence.startswith("Demoted: purchase of v2 has become worse than v1, since about ")
    assert "5 Oct" in found.sentence
    assert "needed" in found.sentence
    quiet = replace(seen, metrics={("purchase", "v2"): some(0.0)})
    assert decide(spec, here, assess(spec, quiet), now).move is None
