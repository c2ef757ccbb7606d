"""Laws of positions: moves follow the table, ends are ends, weights are the planned ones, storing loses nothing."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.spec.model import Ab, Canary, Field, From, Interleave, Promote, Shadow, stage_name
from crossfade.state import (
    RULE,
    TRANSITIONS,
    IllegalExclusion,
    IllegalMove,
    Move,
    Phase,
    Position,
    apply,
    exclude,
    include,
    last_before_promotion,
    mode,
    planned_weight,
    weight,
)
from view.sample import ROLLOUT

from .rollouts import positions, rollouts, times

moves = st.sampled_from(Move)


@st.composite
def standing(draw: st.DrawFn):
    """A rollout and any position in it."""
    rollout = draw(rollouts())
    return rollout, draw(positions(rollout))


@given(standing(), moves, times)
def test_a_move_lands_where_the_table_says_or_is_refused(case, move, at):
    rollout, before = case
    expected = TRANSITIONS.get((before.phase, move))
    # The one legal-by-phase move that the stages can forbid: there is nothing left to advance to.
    blocked = move is Move.ADVANCE and last_before_promotion(rollout, before)
    if expected is None or blocked:
        with pytest.raises(IllegalMove) as refused:
            apply(rollout, before, move, at)
        assert refused.value.phase is before.phase
        assert refused.value.move is move
        assert str(move) in str(refused.value)
    else:
        after = apply(rollout, before, move, at)
        assert after.phase is expected
        assert 0 <= after.stage < len(rollout.stages)
        stage = rollout.stages[after.stage]
        assert 0 <= after.step < (len(stage.steps) if isinstance(stage, Canary) else 1)


@given(rollouts(), st.lists(st.tuples(moves, times), max_size=40))
def test_any_sequence_of_moves_from_the_start_stays_in_the_table(rollout, script):
    position = Position()
    for move, at in script:
        try:
            following = apply(rollout, position, move, at)
        except IllegalMove:
            continue
        assert TRANSITIONS[position.phase, move] is following.phase
        assert (following.held_by is not None) == (following.phase is Phase.HELD)
        assert (following.held_since is not None) == (following.phase is Phase.HELD)
        position = following
    if position.phase in (Phase.RUNNING, Phase.HELD):
        assert not isinstance(rollout.stages[position.stage], Promote) or position.stage == 0


@pytest.mark.parametrize("end", [Phase.FINISHED, Phase.ROLLED_BACK])
@given(case=standing(), move=moves)
def test_nothing_leaves_an_end(end, case, move):
    rollout, position = case
    at_end = Position(phase=end, stage=position.stage, step=position.step)
    with pytest.raises(IllegalMove, match="allowed now: nothing"):
        apply(rollout, at_end, move, 1.0)


def test_every_phase_can_be_reached_and_every_unended_one_can_be_left():
    reached = {Phase.PENDING} | set(TRANSITIONS.values())
    assert reached == set(Phase)
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.FINISHED, Phase.ROLLED_BACK}


@given(standing())
def test_rollback_is_always_open_while_a_challenger_could_be_exposed(case):
    rollout, position = case
    if position.phase in (Phase.RUNNING, Phase.HELD, Phase.PROMOTED):
        after = apply(rollout, position, Move.ROLLBACK, 9.0)
        assert weight(rollout, after) == 0.0
        assert mode(rollout, after) == "champion"
        assert (after.stage, after.step) == (position.stage, position.step), "where it failed stays on record"


@given(rollouts(), times)
def test_advancing_walks_every_step_once_and_stops_before_promotion(rollout, at):
    walked = []
    position = apply(rollout, Position(), Move.START, at)
    while True:
        walked.append((position.stage, position.step))
        assert weight(rollout, position) == planned_weight(rollout, *walked[-1])
        if last_before_promotion(rollout, position):
            break
        position = apply(rollout, position, Move.ADVANCE, at + len(walked))
        assert position.step_since == at + len(walked)
        if walked[-1][0] == position.stage:
            assert position.stage_since < position.step_since or at == position.step_since
        else:
            assert position.stage_since == position.step_since
    planned = [
        (index, step)
        for index, stage in enumerate(rollout.stages)
        if index == 0 or not isinstance(stage, Promote)
        for step in range(len(stage.steps) if isinstance(stage, Canary) else 1)
    ]
    assert walked == planned
    promoted = apply(rollout, position, Move.PROMOTE, at)
    last = rollout.stages[-1]
    assert weight(rollout, promoted) == (1.0 - last.holdback if isinstance(last, Promote) else 1.0)
    assert weight(rollout, apply(rollout, promoted, Move.FINISH, at)) == 1.0


@given(standing())
def test_weights_are_the_planned_ones(case):
    rollout, position = case
    share = weight(rollout, position)
    assert 0.0 <= share <= 1.0
    if position.phase in (Phase.PENDING, Phase.ROLLED_BACK):
        assert share == 0.0
    elif position.phase in (Phase.RUNNING, Phase.HELD):
        stage = rollout.stages[position.stage]
        assert mode(rollout, position) == stage_name(stage)
        match stage:
            case Shadow():
                assert share == 0.0
            case Canary():
                assert share == stage.steps[position.step]
            case Interleave() | Ab():
                assert share == stage.weight
            case Promote():
                assert share == 1.0 - stage.holdback


@given(standing(), times, st.sampled_from(("rule", "ada")))
def test_holding_changes_nothing_but_who_holds_and_resuming_restarts_the_step(case, at, actor):
    rollout, position = case
    if position.phase is not Phase.RUNNING:
        return
    held = apply(rollout, position, Move.HOLD, at, actor=actor)
    assert (held.held_by, held.held_since) == (actor, at)
    assert weight(rollout, held) == weight(rollout, position)
    assert mode(rollout, held) == mode(rollout, position)
    resumed = apply(rollout, held, Move.RESUME, at + 1.0)
    assert (resumed.stage, resumed.step, resumed.stage_since) == (position.stage, position.step, position.stage_since)
    assert resumed.step_since == at + 1.0
    assert resumed.paused - position.paused == (0.0 if actor == RULE else pytest.approx(1.0))


@given(standing())
def test_the_stored_form_is_faithful(case):
    _, position = case
    assert Position.from_json(json.loads(json.dumps(position.to_json()))) == position


@given(standing(), moves, times)
def test_apply_after_storing_is_apply(case, move, at):
    rollout, position = case
    stored = Position.from_json(position.to_json())
    try:
        expected = apply(rollout, position, move, at)
    except IllegalMove as refused:
        with pytest.raises(IllegalMove, match="^" + str(refused).split(";")[0]):
            apply(rollout, stored, move, at)
    else:
        assert apply(rollout, stored, move, at) == expected


def test_foreign_data_is_refused():
    stored = Position().to_json()
    with pytest.raises(ValueError):
        Position.from_json({**stored, "phase": "paused"})
    with pytest.raises(KeyError):
        Position.from_json({})


VALUES = st.tuples(st.sampled_from(["header:x-country", "json:$.platform"]), st.sampled_from(["", "a", "b"]))


@given(rollouts(), st.lists(st.tuples(moves, times), max_size=8), st.sets(VALUES, min_size=1))
def test_an_excluded_segment_stays_so_through_every_move_until_it_is_included(rollout, script, segments):
    rollout = replace(
        rollout,
        segments=(Field(source=From.HEADER, name="x-country"), Field(source=From.JSON, name="$.platform")),
    )
    position = exclude(rollout, Position(), sorted(segments))
    for move, at in script:
        with contextlib.suppress(IllegalMove):
            position = apply(rollout, position, move, at)
    assert set(position.excluded) == segments
    assert Position.from_json(json.loads(json.dumps(position.to_json()))) == position
    for field, value in segments:
        position = include(position, field, value)
        with pytest.raises(IllegalExclusion):
            include(position, field, value)
    assert position.excluded == ()


def test_only_declared_segments_of_a_living_rollout_can_be_excluded_and_only_once():
    rollout = replace(ROLLOUT, segments=(Field(source=From.HEADER, name="x-country"),), explore=())
    kept = exclude(rollout, Position(), [("header:x-country", "DE")])
    for position, segment, why in (
        (kept, ("header:x-country", "DE"), "already"),
        (kept, ("header:x-app", "5"), "declared: header:x-country"),
        (Position(phase=Phase.ROLLED_BACK), ("header:x-country", "DE"), "rolled back"),
    ):
        with pytest.raises(IllegalExclusion, match=why):
            exclude(rollout, position, [segment])
