"""Laws of decisions: harm outranks all, silence raises nothing, order does not matter, nothing waits past its time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.decide import Progress, decide
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.plan import alpha_plan
from crossfade.judge.segments import harmed
from crossfade.spec.model import (
    Better,
    Canary,
    Field,
    From,
    Kind,
    Margin,
    Metric,
    OnSegmentHarm,
    Promote,
    Rollout,
    Shadow,
    Source,
)
from crossfade.state import RULE, Move, Phase, Position, apply, exclude, include, weight

from .rollouts import positions, rollouts

METRICS = (
    Metric(
        name="errors",
        source=Source.RESPONSE,
        kind=Kind.RATE,
        better=Better.LOWER,
        guardrail=Margin(value=0.005, relative=False),
    ),
    Metric(
        name="latency",
        source=Source.RESPONSE,
        kind=Kind.QUANTILE,
        q=0.99,
        better=Better.LOWER,
        guardrail=Margin(value=0.2, relative=True),
    ),
    Metric(name="purchase", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=60.0, goal=True),
)
LIVE = (Phase.RUNNING, Phase.HELD, Phase.PROMOTED)

FIELD = Field(source=From.HEADER, name="x-country")

VERDICTS = (Verdict.SAFE, Verdict.SAFE, Verdict.UNDECIDED, Verdict.UNMEASURED, Verdict.HARMFUL)

counts = st.integers(0, 10_000)


@st.composite
def asked(draw: st.DrawFn) -> Rollout:
    """Any rollout with the three metrics; promotion, where it has one, is not its only stage."""
    found = draw(rollouts(challengers=draw(st.integers(1, 2))).filter(lambda r: not isinstance(r.stages[0], Promote)))

    def equip(stage):
        if isinstance(stage, Canary):
            budget = draw(st.sampled_from(((), (("errors", 5.0),))))
            return replace(stage, hold_for=draw(st.floats(0, 1e5)), budget=budget)
        if isinstance(stage, Shadow):
            return replace(stage, gates=draw(st.sampled_from(((), (("disagreement", 0.05),)))))
        return stage

    declared = draw(st.booleans())
    return replace(
        found,
        metrics=METRICS,
        stages=tuple(equip(stage) for stage in found.stages),
        segments=(FIELD,) if declared else (),
        on_segment_harm=draw(st.sampled_from(OnSegmentHarm)),
    )


@st.composite
def standing(draw: st.DrawFn, rollout: Rollout) -> Position:
    """A position that `apply` can lead to: promoted is in the last stage, running is never in `promote`."""
    found = draw(positions(rollout))
    last = len(rollout.stages) - 1
    if found.phase in (Phase.PROMOTED, Phase.FINISHED):
        return replace(found, stage=last, step=0)
    if isinstance(rollout.stages[found.stage], Promote):
        found = replace(found, stage=0, step=0)
    return replace(found, step_since=max(found.step_since, found.stage_since))


@st.composite
def evidence(draw: st.DrawFn, rollout: Rollout, position: Position) -> list[Evidence]:
    """Any verdict, or no line at all, for each planned test; and now and then a line nobody asked for."""
    found = []
    for test in alpha_plan(rollout).stage(position.stage):
        if draw(st.integers(0, 3)) == 0:
            continue
        verdict = draw(st.sampled_from(VERDICTS))
        n, k = draw(counts), draw(counts)
        found.append(
            Evidence(
                metric=test.metric.name,
                kind=str(test.metric.kind),
                arm=test.arm,
                baseline="v1",
                stage=test.stage_name,
                step=None,
                units={"v1": 5000, test.arm: n},
                estimate=draw(st.none() | st.floats(-1, 1)),
                lower=draw(st.none() | st.floats(-1, 0)),
                upper=draw(st.none() | st.floats(0, 1)),
                confidence=1.0 - test.alpha_harm,
                e_value=draw(st.none() | st.floats(0, 1e9)),
                limit=0.005,
                better=str(test.metric.better),
                role=test.role,
                verdict=verdict,
                events={"v1": 10, test.arm: k},
                values=draw(st.none() | st.just({"v1": 0.002, test.arm: 0.01})),
            )
        )
    return found + draw(in_segments(found) if rollout.segments else st.just([]))


def in_segments(whole: list[Evidence]) -> st.SearchStrategy[list[Evidence]]:
    """Some of the lines again, of some of the units."""
    if not whole:
        return st.just([])
    one = st.builds(
        lambda line, value, verdict: replace(line, segment=f"{FIELD}={value}", verdict=verdict),
        st.sampled_from(whole),
        st.sampled_from(["de", "fr", "absent"]),
        st.sampled_from(VERDICTS),
    )
    return st.lists(one, max_size=4, unique_by=lambda line: (line.metric, line.arm, line.segment))


@st.composite
def cases(draw: st.DrawFn):
    """Everything that one decision sees."""
    rollout = draw(asked())
    position = draw(standing(rollout))
    arms = [arm.name for arm in rollout.challengers]
    units = {arm: draw(counts) for arm in arms}
    progress = Progress(
        mirrored=draw(counts),
        requests=draw(counts),
        units=units,
        step_units=draw(st.none() | st.fixed_dictionaries(dict.fromkeys(arms, counts))),
    )
    now = position.stage_since + draw(st.floats(0, 3e6))
    return rollout, position, draw(evidence(rollout, position)), max(now, position.step_since), progress


def after(rollout: Rollout, position: Position, decision: Decision, now: float) -> Position:
    move = decision.move
    if decision.excluded:
        return exclude(rollout, position, decision.excluded)
    return position if move is None else apply(rollout, position, move, now, held_for=decision.held_for)


def whole(found: list[Evidence]) -> list[Evidence]:
    return [line for line in found if line.segment is None]


@settings(deadline=None)
@given(cases())
def test_every_decision_is_a_legal_move_with_words(case):
    rollout, position, found, now, progress = case
    decision = decide(rollout, position, found, now, progress)
    after(rollout, position, decision, now)
    assert decision.rule in {"harm", "overdue", "segment", "cleared", "unmeasured", "wait"}
    assert decision.sentence.endswith(".")
    if decision.move is None and decision.until is not None:
        assert decision.until >= now


@settings(deadline=None)
@given(cases(), st.data())
def test_harm_outranks_everything(case, data):
    rollout, position, found, now, progress = case
    if position.phase not in LIVE or not found:
        return
    index = data.draw(st.integers(0, len(whole(found)) - 1))
    found[index] = replace(found[index], verdict=Verdict.HARMFUL)
    decision = decide(rollout, position, found, now, progress)
    assert (decision.move, decision.rule) == (Move.ROLLBACK, "harm")


@settings(deadline=None)
@given(cases())
def test_without_proven_harm_no_rule_calls_it_harm(case):
    rollout, position, found, now, progress = case
    found = [line for line in found if line.verdict is not Verdict.HARMFUL]
    frugal = replace(
        rollout, stages=tuple(replace(s, budget=()) if isinstance(s, Canary) else s for s in rollout.stages)
    )
    assert decide(frugal, position, found, now, progress).rule != "harm"


@settings(deadline=None)
@given(cases(), st.data())
def test_silence_never_raises_exposure(case, data):
    rollout, position, found, now, progress = case
    guardrails = [test.metric.name for test in alpha_plan(rollout).stage(position.stage) if test.role != "goal"]
    if not guardrails:
        return
    silent = data.draw(st.sampled_from(sorted(set(guardrails))))
    arm = data.draw(st.sampled_from([arm.name for arm in rollout.challengers]))
    chosen = [line for line in found if (line.metric, line.arm) == (silent, arm)]
    rest = [line for line in found if line not in chosen]
    if data.draw(st.booleans()):
        rest += [replace(line, verdict=Verdict.UNMEASURED) for line in chosen]
    decision = decide(rollout, position, rest, now, progress)
    assert decision.move not in (Move.ADVANCE, Move.PROMOTE)
    held = after(rollout, position, decision, now)
    assert weight(rollout, held) <= weight(rollout, position) or decision.move is Move.FINISH


@settings(deadline=None)
@given(cases())
def test_without_a_single_unit_nothing_is_raised(case):
    rollout, position, found, now, _ = case
    decision = decide(rollout, position, found, now, Progress())
    assert decision.move not in (Move.ADVANCE, Move.PROMOTE)


@settings(deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(case, random):
    rollout, position, found, now, progress = case
    shuffled = list(found)
    random.shuffle(shuffled)
    assert decide(rollout, position, shuffled, now, progress) == decide(rollout, position, found, now, progress)


@settings(deadline=None)
@given(cases())
def test_nothing_waits_past_its_time(case):
    rollout, position, found, _, progress = case
    by_rule = position.phase is Phase.RUNNING or (position.phase is Phase.HELD and position.held_by == RULE)
    stage = rollout.stages[position.stage]
    if by_rule and not isinstance(stage, Promote):
        late = max(position.stage_since + stage.until.at_most, position.step_since)
        assert decide(rollout, position, found, late, progress).move is Move.ROLLBACK
    if position.phase is Phase.PROMOTED:
        watch = stage.watch if isinstance(stage, Promote) else 0.0
        assert decide(rollout, position, found, position.stage_since + watch, progress).move in (
            Move.FINISH,
            Move.ROLLBACK,
        )


@settings(deadline=None)
@given(cases())
def test_a_persons_hold_is_ended_by_harm_alone(case):
    rollout, position, found, now, progress = case
    stage = 0 if isinstance(rollout.stages[position.stage], Promote) else position.stage
    held = replace(position, phase=Phase.HELD, stage=stage, held_by="ada", held_since=now)
    decision = decide(rollout, held, found, now, progress)
    assert decision.move is None or decision.rule == "harm"


@settings(deadline=None)
@given(cases(), st.data())
def test_a_rollout_left_to_its_rules_comes_to_an_end(case, data):
    rollout, _, _, now, progress = case
    position = Position(phase=Phase.RUNNING, stage_since=now, step_since=now)
    for _ in range(60):
        decision = decide(rollout, position, data.draw(evidence(rollout, position)), now, progress)
        if decision.move is not None:
            position = after(rollout, position, decision, now)
        if position.phase in (Phase.ROLLED_BACK, Phase.FINISHED):
            return
        if decision.move is None:
            assert decision.until is not None
            now = max(decision.until, now)
    raise AssertionError(f"still {position} after 60 decisions")


@settings(deadline=None)
@given(cases())
def test_segments_never_make_the_way_forward_easier(case):
    rollout, position, found, now, progress = case
    alone = decide(rollout, position, whole(found), now, progress)
    decision = decide(rollout, position, found, now, progress)
    if decision.move in (Move.ADVANCE, Move.PROMOTE, Move.RESUME, Move.FINISH):
        assert alone.move is decision.move
    if decision != alone:
        assert decision.rule == "segment"


@settings(deadline=None)
@given(cases())
def test_a_harmed_segment_holds_what_runs_and_a_person_goes_on_all_the_same(case):
    rollout, position, found, now, progress = case
    position = replace(position, gone_on=(), held_for=())
    decision = decide(rollout, position, found, now, progress)
    reports = rollout.on_segment_harm is OnSegmentHarm.REPORT or isinstance(rollout.stages[position.stage], Promote)
    if not harmed(rollout, found) or reports or position.phase is not Phase.RUNNING:
        assert decision.move is not Move.HOLD or decision.rule != "segment"
        return
    assert decision.rule in ("harm", "overdue", "segment")
    if decision.rule != "segment":
        return
    if rollout.on_segment_harm is OnSegmentHarm.EXCLUDE:
        assert decision.move is None
        position = replace(position, excluded=decision.excluded)
        assert decision.excluded
        assert decide(rollout, position, found, now, progress).rule != "segment"
        for field, value in decision.excluded:
            position = include(position, field, value)
        assert decide(rollout, position, found, now, progress).rule != "segment"
        return
    assert decision.move is Move.HOLD
    held = after(rollout, position, decision, now)
    assert decide(rollout, held, found, now, progress).move in (None, Move.ROLLBACK)
    resumed = apply(rollout, held, Move.RESUME, now, actor="ada")
    assert decide(rollout, resumed, found, now, progress).rule != "segment"
    assert Position.from_json(resumed.to_json()) == resumed
