"""The record that terminal, page and JSON share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.spec.copies import Counterfactual
from crossfade.state import Move, Phase, Position
from crossfade.view import Harm, Harmed, Progress, harm_so_far, refreshed, status, view

from .sample import DECISION, INPUTS, MOVES, NOW, ROLLOUT, evidence, ledger_of

STABLE = {
    "name",
    "revision",
    "phase",
    "stage",
    "step",
    "exposure",
    "sentence",
    "evidence",
    "decisions",
    "arms",
    "harm",
}


def record(**changed: object) -> dict:
    position, entries = ledger_of()
    given = {"position": position, "evidence": evidence(), "decision": DECISION, "entries": entries, "now": NOW}
    return view(ROLLOUT, **(given | INPUTS | changed))


def test_the_published_keys_are_there_and_everything_is_json() -> None:
    envelope = status([record()])
    assert set(envelope["rollouts"][0]) >= STABLE
    assert envelope["schema"] == "crossfade.status/1"
    assert json.loads(json.dumps(envelope, allow_nan=False)) == envelope


def test_the_goal_comes_before_the_guardrails_and_evidence_survives_the_trip() -> None:
    lines = [Evidence.from_json(line) for line in record()["evidence"]]
    assert lines[0].role == "goal"
    assert sorted(lines, key=lambda line: line.metric) == sorted(evidence(), key=lambda line: line.metric)


def test_planned_exposure_is_what_the_position_asks_for() -> None:
    assert record()["exposure"] == {"planned": 0.05, "actual": 0.0483, "units": {"v1": 8120, "v2": 412}}
    rolled_back, entries = ledger_of((*MOVES, (Move.ROLLBACK, 1690.0, "harm", "Rolled back.")))
    assert record(position=rolled_back, entries=entries)["exposure"]["planned"] == 0.0


def test_nothing_seen_is_absent_and_not_zero() -> None:
    empty = view(ROLLOUT, Position(), [], None, [], now=NOW)
    assert empty["exposure"]["actual"] is None
    assert empty["stage"] is None
    assert empty["arms"]["v2"]["requests"] is None
    assert empty["harm"]["units"] is None
    assert empty["counts"]["dropped"] is None
    assert "Not started" in empty["sentence"]


def test_the_strip_tells_passed_present_and_coming_steps() -> None:
    states = [(point["label"], point["state"]) for point in record()["stages"]]
    assert states == [
        ("shadow", "done"),
        ("canary 1 %", "done"),
        ("canary 5 %", "here"),
        ("canary 20 %", "ahead"),
        ("ab 50 %", "ahead"),
        ("promote", "ahead"),
    ]


def test_a_promotion_by_hand_does_not_claim_the_steps_it_skipped() -> None:
    position, entries = ledger_of((MOVES[0], (Move.PROMOTE, 5.0, "manual", "Promoted by ana: we know it")))
    states = {point["label"]: point["state"] for point in record(position=position, entries=entries)["stages"]}
    assert states["shadow"] == "done"
    assert states["canary 5 %"] == "skipped"
    assert states["promote"] == "here"


@pytest.mark.parametrize(
    ("move", "rule", "tone"),
    [
        (Move.ROLLBACK, "harm", "red"),
        (Move.ROLLBACK, "overdue", "grey"),
        (Move.HOLD, "unmeasured", "amber"),
        (Move.HOLD, "manual", "grey"),
        (Move.PROMOTE, "cleared", "accent"),
    ],
)
def test_red_is_for_harm_that_was_proven_and_amber_for_what_could_not_be_measured(
    move: Move, rule: str, tone: str
) -> None:
    position, entries = ledger_of((*MOVES, (move, 1690.0, rule, "Said.")))
    assert record(position=position, entries=entries, decision=None)["tone"] == tone


def test_only_a_finished_rollout_is_green() -> None:
    end = ((Move.PROMOTE, 1690.0, "cleared", "Promoted."), (Move.FINISH, 1699.0, "cleared", "Finished."))
    position, entries = ledger_of((*MOVES, *end))
    assert position.phase is Phase.FINISHED
    assert record(position=position, entries=entries)["tone"] == "green"


def test_a_hold_by_a_person_is_told_in_that_persons_words() -> None:
    position, entries = ledger_of((*MOVES, (Move.HOLD, 1690.0, "manual", "Held by ana: the feed is broken")))
    held = record(position=position, entries=entries)
    assert held["sentence"] == "Held by ana: the feed is broken"
    assert held["held"] == {"by": "ana", "since": NOW - 10.0}
    assert held["next"]["what"].startswith("waits for somebody")


def test_excess_harm_is_summed_over_strata_and_the_sum_can_be_followed() -> None:
    purchase, errors = record()["harm"]["metrics"]
    expected = (82 - 84 * 7870 / 8300) + (392 - 400 * 7489 / 7900)
    assert purchase["excess"] == pytest.approx(expected)
    assert purchase["spent"] == pytest.approx(expected / 50)
    assert purchase["arithmetic"][0] == (
        "canary 1 %: 82 of 84 without it; at the champion's rate (7,870 of 8,300) 79.6; excess +2.4"
    )
    assert errors["excess"] == pytest.approx(6 - 412 * 97 / 8120)
    assert errors["budget"] is None


def test_harm_without_a_champion_beside_it_is_absent() -> None:
    alone = Harmed(metric="errors", where="canary 5 %", units=9, events=4, baseline_units=0, baseline_events=0)
    [metric] = record(harm=Harm(units=9, strata=(alone,)))["harm"]["metrics"]
    assert metric["excess"] is None
    assert "no champion units" in metric["arithmetic"][0]


def test_the_account_of_harm_takes_earlier_stages_from_the_ledger_and_leaves_shadow_out() -> None:
    _, entries = ledger_of()
    errors = next(line for line in evidence() if line.metric == "errors")
    hidden = replace(errors, stage="shadow").to_json()
    earlier = replace(errors, stage="interleave", events={"v1": 5, "v2": 7}).to_json()
    kept = [replace(entries[0], evidence=(hidden, earlier)), *entries[1:]]
    told = harm_so_far(ROLLOUT, {"v2": 500}, kept, [errors])
    assert told.units == 500
    assert [(stratum.where, stratum.events) for stratum in told.strata] == [("interleave", 7), ("canary", 6)]


def test_progress_says_how_far_a_stage_is() -> None:
    assert record()["progress"]["text"] == "held 3 min 20 s of 10 min at this step"
    position, entries = ledger_of(MOVES[:1])
    shadow = record(position=position, entries=entries, progress=Progress(mirrored=1240))
    assert shadow["progress"]["text"] == "1,240 of 5,000 mirrored requests compared"


def test_requests_that_the_other_arm_answered_too_are_counted_beside_the_time() -> None:
    copying = replace(ROLLOUT.stages[1], counterfactual=Counterfactual(share=0.1))
    rollout = replace(ROLLOUT, stages=(ROLLOUT.stages[0], copying, *ROLLOUT.stages[2:]))
    position, entries = ledger_of(rollout=rollout)
    told = view(rollout, position, (), None, entries, now=NOW, progress=Progress(mirrored=1234, dropped=56))
    assert told["progress"]["text"] == (
        "held 3 min 20 s of 10 min at this step; 1,234 requests compared with the other arm's answer, 56 copies lost"
    )


def test_votes_are_told_with_their_ties() -> None:
    assert record()["votes"] is None
    votes = record(progress=Progress(wins=130, ties=40, losses=90))["votes"]
    assert votes["text"] == "130 units preferred v2 · 40 tied · 90 preferred v1"


def test_evidence_on_its_way_is_measured_on_the_log_scale() -> None:
    errors = next(line for line in record()["lines"] if line["metric"] == "errors")
    assert errors["toward"]["safe"] == pytest.approx(0.503, abs=0.001)
    harmful = next(line for line in record()["lines"] if line["metric"] == "purchase")
    assert harmful["toward"] == {"harm": 1.0, "safe": 0.0}


def test_a_saved_record_is_given_as_it_was_while_nothing_moved() -> None:
    position, entries = ledger_of()
    saved = record()
    assert refreshed(saved, ROLLOUT, position, entries, now=NOW + 60.0) == saved


def test_a_move_by_hand_shows_at_once_with_what_was_measured_before_it() -> None:
    position, entries = ledger_of((*MOVES, (Move.ROLLBACK, 1690.0, "manual", "Rolled back by ana: enough")))
    now = refreshed(record(), ROLLOUT, position, entries, now=NOW + 60.0)
    assert (now["phase"], now["sentence"]) == ("rolled_back", "Rolled back by ana: enough")
    assert now["exposure"]["planned"] == 0.0
    assert now["evidence"] == record()["evidence"]
    assert now["at"] == NOW


def test_evidence_of_a_former_stage_is_not_shown_under_the_next() -> None:
    position, entries = ledger_of((*MOVES, (Move.PROMOTE, 1690.0, "manual", "Promoted by ana: go")))
    now = refreshed(record(), ROLLOUT, position, entries, now=NOW)
    assert now["stage"] == "promote"
    assert now["evidence"] == []


def test_a_decision_speaks_for_a_rollout_that_goes_on() -> None:
    spoken = Decision(move=None, rule="wait", sentence="Waiting for one more minute.")
    assert record(decision=spoken)["sentence"] == "Waiting for one more minute."


def test_what_comes_next_tells_a_step_forward_from_giving_up() -> None:
    position, _ = ledger_of()
    assert record()["next"]["what"] == "next is canary 20 % at 00:35:00 UTC"
    given_up = position.stage_since + ROLLOUT.stages[1].until.at_most
    late = Decision(move=None, rule="wait", sentence="Waiting.", until=given_up)
    assert record(decision=late)["next"] == {
        "until": given_up,
        "what": "next is canary 20 %; rolled back at 2026-01-15 00:15:00 UTC if still undecided",
    }
    done = Decision(move=Move.ADVANCE, rule="cleared", sentence="Going on.", until=given_up)
    assert record(decision=done)["next"] == {"until": None, "what": "next is canary 20 %"}
