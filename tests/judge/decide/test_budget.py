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


def money(lower: float, estimate: float, upper: float):
    told = line(
        REVENUE,
        "v2",
        Verdict.UNDECIDED,
        stage="canary",
        role="goal",
        alpha=0.01,
        estimate=estimate,
        lower=lower,
        upper=upper,
        values={"v1": 10.0, "v2": 10.0 + estimate},
    )
    asked = rollout(canary("revenue", 100.0), PROMOTE, metrics=(ERRORS, REVENUE))
    others = [found for found in lines(asked, 0, default=Verdict.UNDECIDED) if found.metric != "revenue"]
    return told, decide(asked, at(0), [told, *others], NOON + 60, SEEN)


def test_a_budget_of_money_is_counted_from_means():
    told, found = money(-0.9, -0.5, -0.1)
    assert excess(told) == pytest.approx(150.0)
    assert (found.move, found.rule) == (Move.ROLLBACK, "harm")
    assert "has cost about 150, budget 100" in found.sentence


def test_a_budget_that_may_have_been_spent_ends_the_canary_without_a_word_of_harm():
    _, found = money(-0.9, -0.2, 0.1)
    assert (found.move, found.rule) == (Move.ROLLBACK, "overdue")
    assert "revenue of v2 may have cost 270 by now (300 units), and its budget is 100" in found.sentence
    assert "No harm was proven" in found.sentence


def test_a_step_that_may_cost_more_than_is_left_is_not_taken():
    _, found = money(-0.3, -0.1, 0.1)
    assert (found.move, found.rule) == (None, "wait")
    assert "not raised, as at 5 % revenue of v2 could cost up to 170 by its end, budget 100" in found.sentence
    _, found = money(-0.1, 0.0, 0.1)
    assert (found.move, found.rule) == (Move.ADVANCE, "cleared")


AUTO = Canary(
    steps=(0.001, 0.01, 0.1, 0.5), hold_for=60.0, budget=(("errors", 50.0),), auto=True, until=Until(at_most=7200.0)
)


def climbing(seconds: float, units: dict[str, int], verdict: Verdict, *, step: int = 0, **changes):
    asked = rollout(AUTO, PROMOTE, metrics=(ERRORS, PURCHASE))
    evidence = lines(asked, 0, default=verdict, units={"v1": 1, **units}, **changes)
    return decide(asked, at(0, step), evidence, NOON + seconds, Progress(units=units, step_units=units))


def test_automatic_steps_are_climbed_while_even_the_worst_fits_under_the_budget():
    """8,000 units in 15 s make 80 at 1 % in the next, which 50 cannot cover; 4,000 make 40, which it can."""
    few, many = {"v1": 4000}, {"v1": 8000}
    assert climbing(15, few, Verdict.UNMEASURED).move is Move.ADVANCE
    assert climbing(15, many, Verdict.UNMEASURED).move is None
    assert climbing(5, few, Verdict.UNMEASURED).move is None, "each step lasts a quarter of its time"


def test_automatic_steps_are_not_climbed_in_silence():
    assert climbing(15, {}, Verdict.UNMEASURED).move is None
    assert climbing(61, {}, Verdict.UNMEASURED).move is Move.HOLD


def test_automatic_steps_follow_the_upper_bound_on_harm_per_unit():
    """6,000 units make 600 at 10 %; with 200 before, at most 0.05 each cost 40, at most 0.1 cost 80."""
    units = {"v1": 5800, "v2": 200}
    fits = climbing(15, units, Verdict.UNDECIDED, step=1, estimate=0.0, lower=-0.05, upper=0.05)
    assert (fits.move, fits.rule) == (Move.ADVANCE, "cleared")
    over = climbing(15, units, Verdict.UNDECIDED, step=1, estimate=0.0, lower=-0.1, upper=0.1)
    assert (over.move, over.rule) == (None, "wait")
    spent = climbing(15, units, Verdict.UNDECIDED, step=1, estimate=0.0, lower=-0.3, upper=0.3)
    assert (spent.move, spent.rule) == (Move.ROLLBACK, "overdue")
