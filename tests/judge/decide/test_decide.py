"""Decisions, one promise a test: what moves a rollout, what holds it, what takes it back, and in which words."""

from __future__ import annotations

import pytest

from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Verdict
from crossfade.spec.model import Canary
from crossfade.state import Move, Phase
from judge.decide.rollouts import (
    AB,
    CANARY,
    COMPLAINT,
    ERRORS,
    INTERLEAVE,
    LATENCY,
    NOON,
    PROMOTE,
    PURCHASE,
    SHADOW,
    at,
    line,
    lines,
    rollout,
)

H, S, D, U = Verdict.HARMFUL, Verdict.SAFE, Verdict.UNDECIDED, Verdict.UNMEASURED
SEEN = Progress(mirrored=1200, requests=9000, units={"v1": 5000, "v2": 300})
WHOLE = rollout()


def test_a_shadow_waits_for_its_requests_then_for_its_gate():
    few = decide(WHOLE, at(0), lines(WHOLE, 0), NOON + 60, Progress(mirrored=300))
    assert (few.move, few.rule) == (None, "wait")
    assert few.sentence == "Watching in shadow: 300 of 1,000 requests compared."
    undecided = decide(WHOLE, at(0), lines(WHOLE, 0, {"disagreement": D}), NOON + 60, SEEN)
    assert (undecided.move, undecided.rule) == (None, "wait")
    cleared = decide(WHOLE, at(0), lines(WHOLE, 0, {"errors": D, "latency": D}), NOON + 60, SEEN)
    assert (cleared.move, cleared.rule) == (Move.ADVANCE, "cleared")
    assert cleared.sentence.startswith("Advanced to canary at 1 %: 1,200 requests compared; disagreement proven safe")


def test_a_shadow_gate_proven_broken_rolls_back():
    found = decide(WHOLE, at(0), lines(WHOLE, 0, {"disagreement": H}), NOON + 60, SEEN)
    assert (found.move, found.rule) == (Move.ROLLBACK, "harm")
    assert "disagreement of v2 is at least" in found.sentence


def test_a_canary_step_needs_its_time_and_its_measurements_but_no_proof():
    early = decide(WHOLE, at(1), lines(WHOLE, 1, default=D), NOON + 599, SEEN)
    assert (early.move, early.rule, early.until) == (None, "wait", NOON + 600)
    assert early.sentence == "Watching at 1 % until 12:10:00 UTC; no harm found."
    sooner = decide(WHOLE, at(1), lines(WHOLE, 1, default=D), NOON + 300, SEEN)
    assert sooner.sentence == "Watching at 1 % until 12:10 UTC; no harm found."
    due = decide(WHOLE, at(1), lines(WHOLE, 1, {"purchase": U}, default=D), NOON + 600, SEEN)
    assert (due.move, due.rule) == (Move.ADVANCE, "cleared")
    assert due.sentence.startswith("Advanced to 5 %")


def test_harm_that_was_not_looked_for_is_not_called_absent():
    found = decide(WHOLE, at(1), lines(WHOLE, 1, {"errors": U}, default=D), NOON + 60, SEEN)
    assert found.sentence == "Watching at 1 % until 12:10 UTC; no harm found, errors not measured yet."
    blind = decide(WHOLE, at(1), lines(WHOLE, 1, default=U), NOON + 60, SEEN)
    assert blind.sentence == "Watching at 1 % until 12:10 UTC; nothing measured yet."
    assert decide(WHOLE, at(1), [], NOON + 60, Progress()).sentence == blind.sentence


def test_a_silent_metric_holds_the_canary_and_says_when_that_ends():
    found = decide(WHOLE, at(1, 1), lines(WHOLE, 1, {"complaint": U}), NOON + 700, SEEN)
    assert (found.move, found.rule, found.until) == (Move.HOLD, "unmeasured", NOON + 7200)
    assert found.sentence == (
        "Holding at 5 %: complaint has no outcome from v2 yet (unmeasured); rolls back at 14:00 UTC if still silent."
    )


def test_a_step_that_no_unit_came_to_is_held_although_older_evidence_is_fine():
    silent = Progress(units={"v1": 5000, "v2": 300}, step_units={"v1": 40})
    found = decide(WHOLE, at(1, 1), lines(WHOLE, 1), NOON + 700, silent)
    assert (found.move, found.rule) == (Move.HOLD, "unmeasured")
    assert "no unit has been exposed to v2" in found.sentence


def test_no_evidence_at_all_holds():
    found = decide(WHOLE, at(1), [], NOON + 700, SEEN)
    assert (found.move, found.rule) == (Move.HOLD, "unmeasured")


def test_a_rules_hold_ends_by_itself_and_a_persons_does_not():
    held = at(1, phase=Phase.HELD)
    assert decide(WHOLE, held, lines(WHOLE, 1), NOON + 700, SEEN).move is Move.RESUME
    still = decide(WHOLE, held, lines(WHOLE, 1, {"errors": U}), NOON + 700, SEEN)
    assert (still.move, still.rule, still.until) == (None, "unmeasured", NOON + 7200)
    by_ada = at(1, phase=Phase.HELD, held_by="ada")
    for now in (NOON + 700, NOON + 1e7):
        found = decide(WHOLE, by_ada, lines(WHOLE, 1), now, SEEN)
        assert (found.move, found.rule) == (None, "wait")
        assert "by ada" in found.sentence


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.HELD, Phase.PROMOTED])
@pytest.mark.parametrize("held_by", ["rule", "ada"])
def test_harm_takes_the_challenger_away_from_anywhere(phase, held_by):
    stage = 4 if phase is Phase.PROMOTED else 1
    position = at(stage, phase=phase, held_by=held_by if phase is Phase.HELD else None)
    found = decide(WHOLE, position, lines(WHOLE, stage, {"errors": H}), NOON + 1e9, SEEN)
    assert (found.move, found.rule) == (Move.ROLLBACK, "harm")


def test_the_sentence_of_harm_carries_its_arithmetic():
    harmful = line(
        ERRORS, "v2", H, stage="canary", role="guardrail", alpha=1 / 160, lower=0.008, estimate=0.013, e_value=412.0
    )
    found = decide(WHOLE, at(1), [harmful], NOON + 5, SEEN)
    assert found.sentence == (
        "Rolled back: errors of v2 is at least 0.8 pp above v1 (limit 0.5 pp), e-value 412 ≥ 160 needed."
    )


def test_the_worst_of_several_harms_is_named_whatever_the_order():
    both = [
        line(ERRORS, "v2", H, stage="canary", role="guardrail", alpha=0.01, e_value=150.0),
        line(LATENCY, "v2", H, stage="canary", role="guardrail", alpha=0.01, e_value=9000.0, lower=31.0, limit=9.0),
    ]
    one, other = (decide(WHOLE, at(1), order, NOON + 5, SEEN) for order in (both, both[::-1]))
    assert one == other
    assert one.sentence.startswith("Rolled back: latency of v2 is at least 31 ms above v1 (limit 9 ms)")
    assert "1 more harmful" in one.sentence


def test_overdue_gives_the_champion_its_place_and_says_it_is_not_harm():
    found = decide(WHOLE, at(3), lines(WHOLE, 3, {"purchase": D}), NOON + 14 * 86400, SEEN)
    assert (found.move, found.rule) == (Move.ROLLBACK, "overdue")
    assert "No harm was proven; v1 keeps its place" in found.sentence
    assert "purchase of v2" in found.sentence


def test_an_ab_test_needs_its_goal_superior_and_every_guardrail_safe():
    assert decide(WHOLE, at(3), lines(WHOLE, 3), NOON + 60, SEEN).move is Move.PROMOTE
    for metric in ("purchase", "errors", "latency", "complaint"):
        found = decide(WHOLE, at(3), lines(WHOLE, 3, {metric: D}), NOON + 60, SEEN)
        assert (found.move, found.rule) == (None, "wait")
        assert f"{metric} of v2 is" in found.sentence


def test_an_ab_test_calls_a_missing_goal_silent_only_after_its_window():
    waiting = decide(WHOLE, at(3), lines(WHOLE, 3, {"purchase": U}), NOON + 300, SEEN)
    assert (waiting.move, waiting.rule) == (None, "wait")
    silent = decide(WHOLE, at(3), lines(WHOLE, 3, {"purchase": U}), NOON + 700, SEEN)
    assert (silent.move, silent.rule) == (Move.HOLD, "unmeasured")


def test_interleaving_moves_on_by_preference_and_guardrails():
    assert decide(WHOLE, at(2), lines(WHOLE, 2), NOON + 60, SEEN).move is Move.ADVANCE
    assert decide(WHOLE, at(2), lines(WHOLE, 2, {"preference": D}), NOON + 60, SEEN).move is None
    last = rollout(INTERLEAVE, PROMOTE)
    assert decide(last, at(0), lines(last, 0), NOON + 60, SEEN).move is Move.PROMOTE


def test_a_canary_before_promotion_needs_proof():
    straight = rollout(Canary(steps=(0.1,), hold_for=60.0), PROMOTE)
    assert decide(straight, at(0), lines(straight, 0), NOON + 60, SEEN).move is Move.PROMOTE
    for metric in ("errors", "purchase"):
        assert decide(straight, at(0), lines(straight, 0, {metric: D}), NOON + 60, SEEN).move is None


def test_a_shadow_alone_cannot_promote_what_only_users_can_tell():
    straight = rollout(SHADOW, PROMOTE)
    found = decide(straight, at(0), lines(straight, 0), NOON + 60, SEEN)
    assert (found.move, found.rule) == (Move.HOLD, "unmeasured")
    assert "purchase cannot be measured for v2 in this stage" in found.sentence
    silent = rollout(SHADOW, PROMOTE, metrics=(ERRORS, LATENCY))
    assert decide(silent, at(0), lines(silent, 0), NOON + 60, SEEN).move is Move.PROMOTE


def test_a_promotion_is_watched_and_then_finished():
    watched = at(4, phase=Phase.PROMOTED)
    early = decide(WHOLE, watched, lines(WHOLE, 4), NOON + 3599, SEEN)
    assert (early.move, early.until) == (None, NOON + 3600)
    assert decide(WHOLE, watched, lines(WHOLE, 4), NOON + 3600, SEEN).move is Move.FINISH


def test_every_challenger_must_clear():
    two = rollout(CANARY, AB, PROMOTE, challengers=2)
    seen = Progress(units={"v1": 5000, "v2": 300, "v3": 300})
    evidence = lines(two, 0)
    assert decide(two, at(0), evidence, NOON + 700, seen).move is Move.ADVANCE
    without = [found for found in evidence if (found.metric, found.arm) != ("errors", "v3")]
    assert decide(two, at(0), without, NOON + 700, seen).move is Move.HOLD
    assert decide(two, at(0), evidence, NOON + 700, SEEN).move is Move.HOLD


def budgeted(estimate: float, lower: float, upper: float):
    return [
        *(found for found in lines(WHOLE, 1) if found.metric != "complaint"),
        line(
            COMPLAINT,
            "v2",
            D,
            stage="canary",
            role="guardrail",
            alpha=0.01,
            estimate=estimate,
            lower=lower,
            upper=upper,
            units={"v1": 50_000, "v2": 10_000},
            events={"v1": 500, "v2": round(10_000 * (0.01 + estimate))},
            values={"v1": 0.01, "v2": 0.01 + estimate},
            limit=0.01,
        ),
    ]


def test_a_budget_ends_the_canary_when_spent_and_when_it_may_have_been():
    spent = decide(WHOLE, at(1), budgeted(0.006, 0.001, 0.011), NOON + 5, SEEN)
    assert (spent.move, spent.rule) == (Move.ROLLBACK, "harm")
    assert "has cost about 60 units, budget 50" in spent.sentence
    perhaps = decide(WHOLE, at(1), budgeted(0.004, -0.001, 0.006), NOON + 700, SEEN)
    assert (perhaps.move, perhaps.rule) == (Move.ROLLBACK, "overdue")
    assert "complaint of v2 may have cost 55.9 by now (10,000 units), and its budget is 50" in perhaps.sentence
    assert decide(WHOLE, at(1), budgeted(0.001, -0.001, 0.004), NOON + 700, SEEN).move is Move.ADVANCE


def test_ends_stay_ends_and_the_pending_wait():
    for phase in (Phase.PENDING, Phase.ROLLED_BACK, Phase.FINISHED):
        found = decide(WHOLE, at(phase=phase), lines(WHOLE, 0, default=H), NOON + 1e9, SEEN)
        assert (found.move, found.rule, found.until) == (None, "wait", None)


def test_goals_and_gates_speak_their_own_units():
    harmed = line(
        PURCHASE, "v2", H, stage="ab", role="goal", alpha=0.01, lower=-0.02, upper=-0.004, estimate=-0.012, limit=0.0
    )
    sentence = decide(WHOLE, at(3), [harmed], NOON + 5, SEEN).sentence
    assert sentence == "Rolled back: purchase of v2 is at least 0.4 pp below v1, e-value 500 ≥ 100 needed."
