"""What is asked by slice of time after promotion: only what a later moment may begin anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import answer
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.restarts import late, tape
from crossfade.judge.measure.questions import sliced
from crossfade.judge.moments import RateMoments
from judge.decide.rollouts import AB, ERRORS, PROMOTE, rollout
from judge.questions import percent, pp

DAYS, UNITS, SHARE = 20, 40_000, 0.9


@pytest.mark.parametrize("margin", [None, percent(20), pp(0.5), pp(0.0)])
def test_late_bets_on_failures_are_on_first_requests_whatever_the_margin(margin):
    errors = replace(ERRORS, guardrail=margin)
    asked = sliced(rollout(AB, PROMOTE, metrics=(errors,)), "promote", errors)
    assert asked is not None
    assert asked.key == ("response-greeted",)


def regulars(seed: int, champion: float, challenger: float) -> tuple[RateMoments, RateMoments]:
    """One in twenty units fails on most days, the others hardly ever: first failures, and first requests, by the day.

    All come every day, and for the first time on some day.
    """
    rng = np.random.default_rng(seed)
    begun = rng.integers(0, DAYS, UNITS)
    begun[rng.random(UNITS) < 0.9] = 0
    is_b, often = rng.random(UNITS) < SHARE, rng.random(UNITS) < 0.05
    risk = np.where(often, np.where(is_b, challenger, champion), 0.0)
    failed = (rng.random((DAYS, UNITS)) < risk) & (begun <= np.arange(DAYS)[:, None])
    earlier = np.cumsum(failed, axis=0) - failed > 0
    came = begun == np.arange(DAYS)[:, None]

    def moments(events: np.ndarray, settled: bool) -> RateMoments:
        counts = [(rows & side).sum(axis=1) for side in (~is_b, is_b) for rows in (came, events)]
        named = dict(zip(("n_a", "k_a", "n_b", "k_b"), counts, strict=True))
        days = np.arange(DAYS)
        return RateMoments(step=0 * days, bucket=days, share=np.full(DAYS, SHARE), settled=settled, **named)

    return moments(failed & ~earlier, False), moments(failed & came, True)


def test_a_better_challenger_has_more_first_failures_later_on_so_that_no_late_bet_is_made_on_them():
    first, requests = regulars(3, champion=0.3, challenger=0.15)
    late_a, late_b = (counts[5:].sum() / units.sum() for counts, units in
                      ((first.k_a, first.n_a), (first.k_b, first.n_b)))  # fmt: skip
    # It fails each unit half as often. Those that fail often have failed the champion by then.
    assert late_b > 1.3 * late_a
    asked = Question(
        metric=ERRORS, role="guardrail", limit=None, arm="v2", baseline="v1", stage="promote", step=None,
        alpha_harm=0.05, alpha_safe=0.05,
    )  # fmt: skip
    assert answer(asked, first).verdict is not Verdict.HARMFUL
    assert tape(asked, first) is None
    found = tape(asked, requests)
    assert found is not None
    assert late(found, np.full(DAYS, 1.0 / DAYS), 0.0).log_e < 1.0
