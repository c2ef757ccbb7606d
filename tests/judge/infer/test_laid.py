"""Many lines at once say what each says alone, and their intervals end where the test begins to reject."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.infer import answer, answers, labels
from crossfade.judge.infer.laid import EventLines, TrialLines
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import RateMoments
from guarantees.worlds import Plan, returning, settled
from judge.questions import ERRORS, PURCHASE, REVENUE, means, percent, pp

NULLS = [(1.0, 0.0), (1.0, 0.004), (1.0, -0.01), (1.3, 0.0), (0.7, 0.0)]


def some(seed: int, known: bool) -> RateMoments:
    rng = np.random.default_rng(seed)
    shares = [(0.01, 0.05, 0.3), (0.5,), (0.2, 0.2)][seed % 3]
    plan = Plan(shares=shares, buckets=int(rng.integers(1, 12)), arrivals=int(rng.integers(1, 60)))
    if known:
        return settled(rng, plan, 0.2, 0.25)
    return returning(rng, plan, 0.1, 0.15, visits=1.0, spread=0.1, counted=seed % 2 == 0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_each_line_has_the_e_value_it_has_alone(known, sign):
    lines = [some(seed, known) for seed in range(12)] + [RateMoments(settled=known)]
    laid = TrialLines(lines) if known else EventLines(lines)
    for slope, offset in NULLS:
        fine = np.arange(len(lines)) % 3 == 1
        at = np.full(len(lines), slope), np.full(len(lines), offset), np.full(len(lines), float(sign)), fine
        together = laid.log_e(np.arange(len(lines)), *at)
        for one, small, found in zip(lines, fine, together, strict=True):
            weights = labels.FINE if small else labels.WEIGHTS
            null = np.array([slope]), np.array([offset])
            alone = (
                labels.trials_log_e(labels.trials(one), *null, sign, weights)
                if known
                else labels.events_log_e(labels.events(one), *null, sign, weights)
            )
            assert found == pytest.approx(float(alone[0]), rel=1e-9, abs=1e-9)


def test_lines_may_come_in_any_order_and_several_times():
    lines = [some(seed, True) for seed in range(5)]
    laid = TrialLines(lines)
    one = np.ones(5), np.zeros(5), np.ones(5), np.zeros(5, dtype=bool)
    assert laid.log_e(np.array([3, 0, 3, 4, 1]), *one) == pytest.approx(
        laid.log_e(np.arange(5), *one)[[3, 0, 3, 4, 1]], rel=1e-12
    )


def question(metric, limit, alpha=0.01) -> Question:
    return Question(
        metric=metric,
        role="guardrail",
        limit=limit,
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=alpha,
        alpha_safe=0.05,
    )


def test_a_mixed_look_says_of_every_line_what_it_says_alone():
    rng = np.random.default_rng(3)
    asked = [(question(PURCHASE, percent(5)), some(seed, True)) for seed in range(8)]
    asked += [(question(ERRORS, pp(0.5)), some(seed, False)) for seed in range(8)]
    asked += [(question(REVENUE, percent(2)), means((rng.normal(10, 3, n), rng.normal(11, 3, n)))) for n in (50, 900)]
    order = rng.permutation(len(asked))
    asked = [asked[place] for place in order]
    for (put, moments), line in zip(asked, answers(asked), strict=True):
        alone = answer(put, moments)
        assert (line.verdict, line.reason, line.units, line.events) == (
            alone.verdict,
            alone.reason,
            alone.units,
            alone.events,
        )
        for name in ("estimate", "lower", "upper", "limit", "e_value", "e_value_safe"):
            one, other = getattr(line, name), getattr(alone, name)
            assert one == other or one == pytest.approx(other, rel=1e-9), name


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(200, 40_000),
    share=st.sampled_from((0.02, 0.5)),
    rate=st.floats(0.002, 0.9),
    factor=st.floats(0.5, 1.1),
    known=st.booleans(),
    relative=st.booleans(),
)
def test_an_interval_ends_where_the_test_begins_to_reject(n, share, rate, factor, known, relative):
    n_b = max(round(n * share), 20)
    n_a = n - n_b
    one = [np.array([count]) for count in (n_a, round(n_a * rate), n_b, round(n_b * rate * factor))]
    moments = RateMoments(
        step=np.array([0]),
        bucket=np.array([0]),
        share=np.array([n_b / n]),
        n_a=one[0],
        k_a=one[1],
        n_b=one[2],
        k_b=one[3],
        settled=known,
    )
    found = answer(question(PURCHASE, percent(1e-9) if relative else pp(1e-9)), moments)
    laid = TrialLines([moments]) if known else EventLines([moments])
    if found.estimate is None or not found.values or not found.values["v1"]:
        return
    for end, sign, alpha in ((found.lower, 1.0, 0.05), (found.upper, -1.0, 0.01)):
        # At the limit itself the test has the last word, and beyond these no null is tried.
        if end is None or abs(end) > 0.8 or abs(end) < 1e-6:
            continue
        near = 0.1 * math.sqrt(max(rate * (1.0 - rate), 0.01) / n_b)
        for away, rejected in ((sign * near, False), (-sign * near, True)):
            at = end + away
            slope, offset = (1.0 + at / found.values["v1"], 0.0) if relative else (1.0, at)
            if slope <= 0.0:
                continue
            log_e = laid.log_e(
                np.array([0]), np.array([slope]), np.array([offset]), np.array([sign]), np.array([False])
            )[0]
            assert (log_e >= -math.log(alpha)) == rejected
