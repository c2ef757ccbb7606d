"""Budgets: what is not measured is not raised on, and money is counted as well as units."""

from __future__ import annotations

import pytest

from crossfade.judge.decide import Progress, decide
from crossfade.judge.decide.budget import excess
from crossfade.judge.evidence import Verdict
from crossfade.spec.model import Better, Canary, Kind, Metric, Source, Until
from crossfade.state import Move
from judge.decide.rollouts import ERRORS, NOON, PROMOTE, PURCHASE, at, line, lines, rollout

SEEN = Progress(units={"v1": 5000, "v2": 300})
REVENUE = Metric(name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=600.0, goal=True)


def canary(name: str, most: float) -> Canary:
    return Canary(steps=(0.01, 0.05), hold_for=60.0, budget=((name, most),), until=Until(at_most=7200.0))


def test_a_budgeted_goal_that_nobody_measured_holds_the_canary():
    asked = rollout(canary("purchase", 50.0), PROMOTE, metrics=(ERRORS, PURCHASE))
    silent = lines(asked, 0, {"purchase": Verdict.UNMEASURED}, default=Verdict.UNDECIDED)
    found = decide(asked, at(0), silent, NOON + 60, SEEN)
    assert (found.move, found.rule) == (Move.HOLD, "unmeasured")
    seen = lines(asked, 0, default=Verdict.UNDECIDED)
    assert decide(asked, at(0), seen, NOON + 60, SEEN).move is Move.ADVANCE


@pytest.mark.parametrize(("lower", "upper", "move"), [(-0.9, -0.1, Move.ROLLBACK), (-0.9, 0.1, None)])
def test_a_budget_of_money_is_counted_from_means(lower, upper, move):
    asked = rollout(canary("revenue", 100.0), PROMOTE, metrics=(ERRORS, REVENUE))
    told = line(
        REVENUE,
        "v2",
        Verdict.UNDECIDED,
        stage="canary",
        role="goal",
        alpha=0.01,
        estimate=-0.5,
        lower=lower,
        upper=upper,
        values={"v1": 10.0, "v2": 9.5},
    )
    assert excess(told) == pytest.approx(150.0)
    others = [found for found in lines(asked, 0, default=Verdict.UNDECIDED) if found.metric != "revenue"]
    decided = decide(asked, at(0), [told, *others], NOON + 60, SEEN)
    assert decided.move is move
    assert move is None or "has cost about 150, budget 100" in decided.sentence
