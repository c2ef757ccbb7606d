"""First failures where units do not come in the planned share: too many units are not taken for too many failures.

Bet on at the planned share alone, 5 % that were planned and 10 % that came called a challenger that fails as often
harmful in 97 to 100 % of runs.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.rates import STRAYED
from crossfade.judge.moments import RateMoments
from crossfade.spec.model import Better, Kind, Metric, Source

from .worlds import holds

ALPHA = 0.05
FAST, FULL = 60, 400
ERRORS = Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)
QUESTION = Question(
    metric=ERRORS,
    role="guardrail",
    limit=None,
    arm="v2",
    baseline="v1",
    stage="canary",
    step=0,
    alpha_harm=ALPHA,
    alpha_safe=ALPHA,
)


def lines(
    planned: float, came: float, fails: tuple[float, float], runs: int, *, looks: int = 30
) -> list[list[Evidence]]:
    """The line of each run at each look, up to 30,000 units."""
    rng = np.random.default_rng(17)
    totals, before, found = np.zeros((4, runs), dtype=np.int64), 0, []
    for units in np.unique(np.geomspace(200, 30_000, looks).astype(int)):
        n_b = rng.binomial(units - before, came, runs)
        n_a = units - before - n_b
        totals += np.stack([n_a, rng.binomial(n_a, fails[0]), n_b, rng.binomial(n_b, fails[1])])
        before = units
        asked = []
        for run in range(runs):
            n_a, k_a, n_b, k_b = (totals[row, run : run + 1].copy() for row in range(4))
            one = np.zeros(1, dtype=np.int64)
            seen = {"n_a": n_a, "k_a": k_a, "n_b": n_b, "k_b": k_b, "seen_a": n_a, "seen_b": n_b}
            asked.append((QUESTION, RateMoments(step=one, bucket=one, share=np.array([planned]), **seen)))
        found.append(answers(asked))
    return found


def harmed(planned: float, came: float, fails: tuple[float, float], runs: int) -> int:
    """Runs that were ever called harmful."""
    looks = lines(planned, came, fails, runs)
    return sum(any(look[run].verdict is Verdict.HARMFUL for look in looks) for run in range(runs))


WORLDS = [(0.05, 0.06, 0.2), (0.05, 0.1, 0.01), (0.05, 0.1, 0.2), (0.5, 0.52, 0.2), (0.5, 0.6, 0.2)]


@pytest.mark.parametrize("world", [WORLDS[2]])
def test_too_many_units_are_no_harm(world):
    planned, came, rate = world
    assert holds(harmed(planned, came, (rate, rate), FAST), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("world", WORLDS)
def test_too_many_units_are_never_harm(world):
    planned, came, rate = world
    assert holds(harmed(planned, came, (rate, rate), FULL), FULL, ALPHA)


def test_harm_is_found_all_the_same_and_the_line_says_what_it_was_bet_on():
    looks = lines(0.05, 0.1, (0.01, 0.08), 10)
    assert all(any(look[run].verdict is Verdict.HARMFUL for look in looks) for run in range(10))
    assert all(STRAYED in line.assumptions for line in looks[-1])
    assert not any(STRAYED in line.assumptions for line in lines(0.05, 0.05, (0.01, 0.01), 1, looks=1)[-1])
