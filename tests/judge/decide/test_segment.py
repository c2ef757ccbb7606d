"""Harm in a declared segment: held with words that say where, resumed by a person alone, and never easier promoted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.plan import alpha_plan
from crossfade.judge.segments import harmed
from crossfade.spec.model import Field, From, OnSegmentHarm
from crossfade.state import RULE, Move, Phase, apply, exclude, include
from judge.decide.rollouts import AB, CANARY, ERRORS, LATENCY, NOON, PROMOTE, at, line, lines, rollout

COUNTRY, PLATFORM = Field(source=From.HEADER, name="x-country"), Field(source=From.JSON, name="$.platform")
ASKED = replace(
    rollout(replace(CANARY, budget=()), AB, PROMOTE, metrics=(ERRORS, LATENCY)), segments=(COUNTRY, PLATFORM)
)
SEEN = Progress(units={"v2": 400}, step_units={"v2": 400})


def in_segment(metric=ERRORS, segment="header:x-country=DE", verdict=Verdict.HARMFUL, place=0, stage=0) -> Evidence:
    test = alpha_plan(ASKED).test(stage, metric.name, "v2")
    alpha = test.alpha_segment(place)
    found = line(metric, "v2", verdict, stage=test.stage_name, role=test.role, alpha=alpha)
    return replace(found, segment=segment, units={"v1": 900, "v2": 45})


def test_a_harmed_segment_holds_and_is_named():
    found = [*lines(ASKED, 0), in_segment()]
    decision = decide(ASKED, at(0), found, NOON + 30.0, SEEN)
    assert (decision.move, decision.rule) == (Move.HOLD, "segment")
    assert decision.held_for == (("errors", "v2", "header:x-country=DE"),)
    assert decision.sentence == (
        "Holding at 1 %: errors of v2 is at least 1.6 pp above v1 (limit 0.5 pp), e-value 21,586 ≥ 4,317 needed, "
        "where header:x-country=DE (45 units of v2, 900 of v1). Resume with a reason to go on all the same, or roll "
        "back, or it is rolled back at 14:00 UTC."
    )


def test_harm_of_the_whole_outranks_it():
    found = [*lines(ASKED, 0, {"latency": Verdict.HARMFUL}), in_segment()]
    assert decide(ASKED, at(0), found, NOON + 30.0, SEEN).move is Move.ROLLBACK


def test_it_stays_held_until_a_person_resumes_and_is_not_held_for_the_same_again():
    found = [*lines(ASKED, 0), in_segment()]
    decision = decide(ASKED, at(0), found, NOON + 30.0, SEEN)
    held = apply(ASKED, at(0), Move.HOLD, NOON + 30.0, held_for=decision.held_for)
    assert held.held_by == RULE
    for seen in (found, lines(ASKED, 0)):
        still = decide(ASKED, held, seen, NOON + 900.0, SEEN)
        assert (still.move, still.rule) == (None, "segment")
    assert "by now the evidence is weaker" in still.sentence
    resumed = apply(ASKED, held, Move.RESUME, NOON + 900.0, actor="ada")
    assert resumed.gone_on == decision.held_for
    assert decide(ASKED, resumed, found, NOON + 901.0, SEEN).move is None
    assert decide(ASKED, resumed, found, NOON + 901.0 + 600.0, SEEN).move is Move.ADVANCE
    other = [*found, in_segment(LATENCY, "json:$.platform=ios")]
    assert decide(ASKED, resumed, other, NOON + 901.0, SEEN).held_for == (("latency", "v2", "json:$.platform=ios"),)


def test_nobody_comes():
    held = apply(ASKED, at(0), Move.HOLD, NOON, held_for=(("errors", "v2", "header:x-country=DE"),))
    late = decide(ASKED, held, [*lines(ASKED, 0), in_segment()], NOON + 7200.0, SEEN)
    assert (late.move, late.rule) == (Move.ROLLBACK, "overdue")


def test_a_spec_that_only_reports_is_not_held_and_lets_go():
    reports = replace(ASKED, on_segment_harm=OnSegmentHarm.REPORT)
    found = [*lines(ASKED, 0), in_segment()]
    assert decide(reports, at(0), found, NOON + 30.0, SEEN).move is None
    held = apply(ASKED, at(0), Move.HOLD, NOON, held_for=(("errors", "v2", "header:x-country=DE"),))
    decision = decide(reports, held, found, NOON + 30.0, SEEN)
    assert (decision.move, decision.rule) == (Move.RESUME, "segment")
    assert apply(reports, held, Move.RESUME, NOON + 30.0).gone_on == ()


def test_a_spec_that_excludes_keeps_it_on_the_champion_and_goes_on_with_the_others():
    excludes = replace(ASKED, on_segment_harm=OnSegmentHarm.EXCLUDE)
    found = [*lines(ASKED, 0), in_segment(), in_segment(LATENCY)]
    decision = decide(excludes, at(0), found, NOON + 30.0, SEEN)
    assert (decision.move, decision.rule, decision.held_for) == (None, "segment", ())
    assert decision.excluded == (("header:x-country", "DE"),)
    assert decision.sentence.startswith("Kept on v1 from now on: header:x-country=DE (45 units of v2, 900 of v1)")
    kept = exclude(excludes, at(0), decision.excluded)
    assert decide(excludes, kept, found, NOON + 30.0, SEEN).excluded == ()
    assert decide(excludes, kept, found, NOON + 600.0, SEEN).move is Move.ADVANCE
    other = [*found, in_segment(segment="json:$.platform=ios")]
    assert decide(excludes, kept, other, NOON + 31.0, SEEN).excluded == (("json:$.platform", "ios"),)
    let_go = include(kept, "header:x-country", "DE")
    assert decide(excludes, let_go, found, NOON + 31.0, SEEN).excluded == ()
    whole = [*lines(ASKED, 0, {"latency": Verdict.HARMFUL}), in_segment()]
    assert decide(excludes, at(0), whole, NOON + 30.0, SEEN).move is Move.ROLLBACK


@pytest.mark.parametrize("verdict", [Verdict.SAFE, Verdict.UNDECIDED, Verdict.UNMEASURED])
def test_nothing_else_that_a_segment_says_matters(verdict):
    for whole in ({}, {"errors": Verdict.UNDECIDED}, {"errors": Verdict.UNMEASURED}):
        for now in (NOON + 30.0, NOON + 1000.0):
            alone = decide(ASKED, at(1), lines(ASKED, 1, whole), now, SEEN)
            beside = [*lines(ASKED, 1, whole), in_segment(verdict=verdict, stage=1)]
            assert decide(ASKED, at(1), beside, now, SEEN) == alone


def test_after_promotion_it_is_only_shown():
    promoted = at(2, phase=Phase.PROMOTED)
    assert decide(ASKED, promoted, [*lines(ASKED, 2), in_segment(stage=2)], NOON + 30.0, SEEN).move is None


def test_fields_and_values_are_read_back_from_their_names():
    named = {
        "header:x-country=DE": ("header:x-country", "DE"),
        "header:x-country=absent": ("header:x-country", ""),
        'header:x-country="absent"': ("header:x-country", "absent"),
        "json:$.platform=a=b": ("json:$.platform", "a=b"),
    }
    found = harmed(ASKED, [in_segment(segment=name) for name in named])
    assert {(one.field, one.value) for one in found} == set(named.values())
    assert {one.metric for one in found} == {"errors"}
