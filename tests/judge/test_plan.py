"""The alpha split: nothing is forgotten, nothing is spent twice, and the rows say so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.plan import MOST_SEGMENTS, SEGMENT_SHARE, alpha_plan, place_share
from crossfade.spec.model import Field, From, Metric, Promote
from judge.decide.rollouts import AB, CANARY, COMPLAINT, ERRORS, INTERLEAVE, LATENCY, PROMOTE, PURCHASE, SHADOW, rollout
from judge.questions import percent


@settings(deadline=None)
@given(
    metrics=st.sets(st.sampled_from((ERRORS, LATENCY, COMPLAINT, PURCHASE)), min_size=0),
    challengers=st.integers(1, 3),
    stages=st.sampled_from(((SHADOW, CANARY, AB, PROMOTE), (CANARY, AB), (AB,), (SHADOW, PROMOTE))),
)
def test_harm_never_spends_more_than_alpha(metrics, challengers, stages):
    asked = rollout(*stages, metrics=tuple(metrics), challengers=challengers)
    plan = alpha_plan(asked)
    assert sum(test.alpha_harm for test in plan.tests) <= asked.alpha + 1e-12
    for test in plan.tests:
        assert test.alpha_safe * challengers == pytest.approx(asked.alpha)
        assert plan.harm(test.stage, test.metric.name, test.arm) == test.alpha_harm
        assert plan.safe(test.stage, test.metric.name, test.arm) == test.alpha_safe


@settings(deadline=None)
@given(
    metrics=st.sets(st.sampled_from((ERRORS, LATENCY, COMPLAINT, PURCHASE)), min_size=0),
    challengers=st.integers(1, 3),
    stages=st.sampled_from(((SHADOW, CANARY, AB, PROMOTE), (SHADOW, INTERLEAVE), (AB,), (SHADOW, PROMOTE))),
    fields=st.integers(1, 3),
)
def test_segments_spend_their_share_and_no_more(metrics, challengers, stages, fields):
    asked = replace(
        rollout(*stages, metrics=tuple(metrics), challengers=challengers),
        segments=tuple(Field(source=From.HEADER, name=f"x-{n}") for n in range(fields)),
    )
    tests = alpha_plan(asked).tests
    whole = sum(test.alpha_harm for test in tests)
    parts = sum(test.alpha_segment(place) for test in tests for _ in range(fields) for place in range(MOST_SEGMENTS))
    assert whole + parts == pytest.approx(asked.alpha if tests else 0.0)
    assert parts == pytest.approx(SEGMENT_SHARE * asked.alpha if any(test.alpha_field for test in tests) else 0.0)
    assert all(not test.alpha_field for test in tests if test.metric.name in ("catastrophic", "preference"))
    for many in range(1, MOST_SEGMENTS + 1):
        assert place_share(many - 1) > 0.277 / many


def test_without_segments_nothing_is_spared_for_them():
    tests = alpha_plan(rollout()).tests
    assert sum(test.alpha_harm for test in tests) == pytest.approx(0.05)
    assert not any(test.alpha_field for test in tests)


def test_what_each_stage_asks():
    plan = alpha_plan(rollout())
    asked = [[test.metric.name for test in plan.stage(index)] for index in range(5)]
    assert asked == [
        ["disagreement", "catastrophic", "errors", "latency"],
        ["errors", "latency", "complaint", "purchase"],
        ["preference", "errors", "latency", "complaint"],
        ["errors", "latency", "complaint", "purchase"],
        ["errors", "latency", "complaint", "purchase"],
    ]
    assert plan.harm(0, "disagreement", "v2") == pytest.approx(0.05 / 20)
    with pytest.raises(KeyError):
        plan.harm(0, "purchase", "v2")


def test_without_a_holdback_nothing_can_be_compared_after_promotion():
    assert alpha_plan(rollout(AB, Promote(holdback=0.0))).stage(1) == ()


def test_a_goal_with_a_margin_is_one_test_with_two_limits():
    both = Metric(
        name="purchase",
        source=PURCHASE.source,
        kind=PURCHASE.kind,
        better=PURCHASE.better,
        window=60.0,
        goal=True,
        guardrail=percent(2),
    )
    (test,) = alpha_plan(rollout(AB, metrics=(both,))).tests
    assert (test.role, test.limit) == ("goal", percent(2))


def test_rows_print_the_split():
    rows = alpha_plan(rollout()).rows()
    assert len(rows) == 20
    assert rows[0]["stage"] == "shadow"
    assert rows[0]["e_harm"] == pytest.approx(400.0)
    assert rows[0]["e_safe"] == pytest.approx(20.0)
