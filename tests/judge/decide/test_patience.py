"""Time left at the present rate, and the word when what is left of a stage's time cannot decide it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Verdict
from crossfade.spec.model import Until
from judge.decide.rollouts import AB, ERRORS, NOON, PROMOTE, PURCHASE, at, line, lines, rollout

HOUR = 3600.0
SEEN = Progress(units={"v1": 5000, "v2": 5000})
ERRORS_AND_GOAL = (ERRORS, replace(PURCHASE, window=0.0))


def said(estimate: float, lower: float, *, hours: float = 1.0, at_most: float = 14 * 24 * HOUR) -> str:
    asked = rollout(replace(AB, until=Until(decided=True, at_most=at_most)), PROMOTE, metrics=ERRORS_AND_GOAL)
    told = line(
        PURCHASE,
        "v2",
        Verdict.UNDECIDED,
        stage="ab",
        role="goal",
        alpha=0.01,
        estimate=estimate,
        lower=lower,
        upper=0.1,
        limit=0.0,
    )
    others = [found for found in lines(asked, 0) if found.metric != "purchase"]
    return decide(asked, at(0), [told, *others], NOON + hours * HOUR, SEEN).sentence


@pytest.mark.parametrize(
    ("lower", "words"),
    [(-0.01, "about 3 h more at the present rate"), (-0.0001, "about a minute more"), (-0.04, "about 24 h more")],
)
def test_an_interval_half_as_wide_needs_four_times_as_long(lower, words):
    """At +1 pp ± 2 pp after an hour, ± 1 pp takes four hours in all."""
    assert words in said(0.01, lower)


def test_what_lies_beyond_its_limit_is_not_proven_by_waiting():
    assert "as it stands, purchase would not be proven at all" in said(-0.001, -0.02)


def test_futility_is_said_when_the_time_that_is_left_will_not_do():
    assert "purchase would take about 24 h more at the present rate, longer than is left" in said(
        0.01, -0.04, at_most=10 * HOUR
    )
