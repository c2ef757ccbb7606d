"""From one look at the facts to the evidence of the present stage: each planned test, answered or refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crossfade.judge.burning import from_the_start, watched
from crossfade.judge.decide import say
from crossfade.judge.differing import of_differing
from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answers
from crossfade.judge.infer.mismatch import infer_sample_ratio, strongest
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, unmeasured_line
from crossfade.judge.liked import cautioned
from crossfade.judge.measure.assignment import bucket_begins
from crossfade.judge.measure.measured import Absent, Measured
from crossfade.judge.moments import Moments, RateMoments
from crossfade.judge.plan import PlannedTest, alpha_plan, mismatch_alpha
from crossfade.spec.model import Canary, Promote, Rollout, Source, stage_name
from crossfade.spec.routers import cautions

CORRECTED = "the values are those known at this look, and corrections came without regard to what was decided"

OF_UNITS = "a unit belongs to the segment that its first request of the stage named, whatever it named later"
OF_REQUESTS = "a mirrored request belongs to the segment that it named itself"


Asked = tuple[PlannedTest, Question, Moments | Absent]


def assess(rollout: Rollout, measured: Measured) -> tuple[Evidence, ...]:
    """One line of evidence for every test that the alpha plan has for the measured stage, and then for each segment."""
    return assess_all([(rollout, measured)])[0]


def assess_all(looks: Sequence[tuple[Rollout, Measured]]) -> list[tuple[Evidence, ...]]:
    """The lines of many looks, in their order; together they take a part of the time that each alone takes."""
    asked = [_asked(rollout, measured) for rollout, measured in looks]
    answered = iter(
        answers(
            [
                (question, moments)
                for tests in asked
                for _, question, moments in (*tests[0], *tests[1])
                if not isinstance(moments, Absent)
            ]
        )
    )
    found = []
    for (rollout, measured), (whole, parts) in zip(looks, asked, strict=True):
        lines = _watched(rollout, measured, whole, [_line(rollout, measured, one, answered) for one in whole])
        segments = [_line(rollout, measured, one, answered) for one in parts]
        every = (*cautioned(lines), *_assignment(rollout, measured), *segments)
        found.append(tuple(_carried(rollout, line) for line in every))
    return found


def _carried(rollout: Rollout, line: Evidence) -> Evidence:
    """The line with word of what a router in the gateway's place does not promise."""
    if rollout.router is None:
        return line
    return replace(line, assumptions=(*line.assumptions, *cautions(rollout.router, rollout.unit)))


def _asked(rollout: Rollout, measured: Measured) -> tuple[list[Asked], list[Asked]]:
    """The questions of one look: of all units, and of segments."""
    tests = alpha_plan(rollout).stage(measured.stage)
    whole: list[Asked] = [(test, _question(rollout, measured, test), _found(measured, test)) for test in tests]
    return whole, [one for test in tests for one in _segments(rollout, measured, test)]


def _line(rollout: Rollout, measured: Measured, asked: Asked, answered: Iterator[Evidence]) -> Evidence:
    """The next answer, or why there is none."""
    test, question, moments = asked
    if isinstance(moments, Absent):
        seen = measured.progress.units if question.segment is None else {}
        units = {arm: seen.get(arm, 0) for arm in (question.baseline, question.arm)}
        line = unmeasured_line(question, moments.reason, Numbers(units=units))
    else:
        line = next(answered)
    return of_differing(rollout, measured, question, _placed(_corrected(line, test, measured)))


def _placed(line: Evidence) -> Evidence:
    """A line on a segment with word of who belongs to it."""
    if line.segment is None:
        return line
    return replace(line, assumptions=(*line.assumptions, OF_REQUESTS if line.stage == "shadow" else OF_UNITS))


def _watched(rollout: Rollout, measured: Measured, whole: Sequence[Asked], lines: Sequence[Evidence]) -> list[Evidence]:
    """After promotion, the lines with what began late; else as they are."""
    stage = rollout.stages[measured.stage]
    found = []
    for (test, question, moments), line in zip(whole, lines, strict=True):
        sliced = measured.slices.get((test.metric.name, test.arm))
        timed = moments if sliced is None or isinstance(sliced, Absent) else sliced
        if isinstance(stage, Promote):
            asked, seen = replace(question, alpha_harm=test.alpha_harm), None if isinstance(timed, Absent) else timed
            line = watched(asked, line, seen, watch=stage.watch, horizon=test.metric.horizon)
        found.append(line)
    return found


def _segments(rollout: Rollout, measured: Measured, test: PlannedTest) -> list[Asked]:
    """A test once for each segment that is told apart, each with its own part of the alpha."""
    if not test.alpha_field:
        return []
    whole = _question(rollout, measured, test)
    found = measured.segments.gates if test.role == "gate" else measured.segments.metrics
    return [
        (test, replace(whole, segment=segment.name, alpha_harm=test.alpha_segment(segment.place)), moments)
        for segment in measured.segments.segments
        if (moments := found.get((test.metric.name, test.arm, segment.name))) is not None
    ]


def _corrected(line: Evidence, test: PlannedTest, measured: Measured) -> Evidence:
    """The line with word of corrected outcomes, which looks before this one may have seen with other values."""
    seen = measured.progress.received
    if seen is None or not seen.corrected or test.metric.source is not Source.OUTCOME:
        return line
    corrected = "1 outcome has" if seen.corrected == 1 else f"{seen.corrected} outcomes have"
    return replace(line, assumptions=(*line.assumptions, f"{corrected} been corrected: {CORRECTED}"))


def _assignment(rollout: Rollout, measured: Measured) -> list[Evidence]:
    """Whether units were assigned as planned, for each challenger of a stage that compares groups of units."""
    lines = []
    stage = rollout.stages[measured.stage]
    for arm, moments in measured.assignment.items():
        if not isinstance(moments, RateMoments):
            continue
        alpha = mismatch_alpha(rollout)
        found = strongest(moments, alpha)
        since = "" if found.bucket is None else _by(measured, bucket_begins(found.bucket + 1))
        lines.append(
            infer_sample_ratio(
                moments,
                arm=arm,
                baseline=rollout.champion.name,
                stage=stage_name(stage),
                step=measured.step if isinstance(stage, Canary) else None,
                alpha=alpha,
                since=since,
                found=found,
            )
        )
    return lines


def _by(measured: Measured, elapsed: float) -> str:
    return f"by {say.clock(min(measured.since + elapsed, measured.now), measured.now)}"


def _question(rollout: Rollout, measured: Measured, test: PlannedTest) -> Question:
    question = Question(
        metric=test.metric,
        role=test.role,
        limit=test.limit,
        arm=test.arm,
        baseline=rollout.champion.name,
        stage=test.stage_name,
        step=measured.step if isinstance(rollout.stages[measured.stage], Canary) else None,
        alpha_harm=test.alpha_harm,
        alpha_safe=test.alpha_safe,
        window=test.metric.window,
    )
    return from_the_start(question) if isinstance(rollout.stages[measured.stage], Promote) else question


def _found(measured: Measured, test: PlannedTest) -> Moments | Absent:
    key = (test.metric.name, test.arm)
    # A gate and a guardrail may share a name; the plan's role says which of the two is meant.
    asked_first, asked_then = (
        (measured.gates, measured.metrics) if test.role == "gate" else (measured.metrics, measured.gates)
    )
    found = asked_first.get(key, asked_then.get(key))
    return found if found is not None else Absent(reason=f"{test.metric.name} was not asked in this stage")
