"""What the rules decide on evidence that somebody has written down: tests of a spec, by the rules that serve it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.assess import assess
from crossfade.judge.decide import RULES, decide
from crossfade.judge.decide.wait import wait
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.measure.assemble import pair_share
from crossfade.judge.measure.measured import Absent, Measured, Progress
from crossfade.judge.moments import Floats, Ints, MeanMoments, Moments, PairedMoments, RateMoments
from crossfade.judge.seen import seen_of
from crossfade.spec.cases import GATES, Averaged, Case, Compared, Counted, Given
from crossfade.spec.model import Kind, Metric, Rollout, Shadow, Source
from crossfade.state import RULE, Phase, Position, weight

NOON = 1_735_732_800.0
"""When a test's stage began: a Wednesday, 12:00 UTC."""

RULE_NAMES = tuple(rule.__name__ for rule in (*RULES, wait))

SILENT = "the test says nothing of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A test, what was decided, and how that differs from what was expected."""

    case: Case
    decision: Decision
    evidence: Sequence[Evidence]
    wrong: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.wrong


class Impossible(ValueError):
    """What a test says of a metric cannot be said of it."""


def run(rollout: Rollout, case: Case) -> Result:
    """Decide one test. Raises Impossible."""
    now = NOON + case.in_stage
    position = Position(
        phase=Phase(case.phase),
        stage=case.stage,
        step=case.step,
        stage_since=NOON,
        step_since=now - case.after,
        held_by=RULE if case.phase == "held" else None,
        held_since=now - case.after if case.phase == "held" else None,
    )
    measured = _measured(rollout, position, case, now)
    evidence = tuple(_said(line, case) for line in assess(rollout, measured))
    decision = decide(rollout, position, evidence, now, seen_of(measured))
    return Result(case=case, decision=decision, evidence=evidence, wrong=tuple(_wrong(case, decision)))


def _wrong(case: Case, decision: Decision) -> list[str]:
    move = "none" if decision.move is None else str(decision.move)
    found = []
    if case.move is not None and move != case.move:
        found.append(f"expected the move {case.move}, found {move}")
    if case.rule is not None and decision.rule != case.rule:
        found.append(f"expected the rule {case.rule}, found {decision.rule}")
    if case.says not in decision.sentence:
        found.append(f"expected {case.says!r} in the sentence")
    return found


def _said(line: Evidence, case: Case) -> Evidence:
    """The line, or one with the verdict that the test gives."""
    given = case.given.get((line.metric, line.arm))
    if not isinstance(given, str):
        return line
    verdict = Verdict(given)
    return replace(line, verdict=verdict, reason=f"the test says {given}" if verdict is Verdict.UNMEASURED else "")


def _measured(rollout: Rollout, position: Position, case: Case, now: float) -> Measured:
    share = float(pair_share(np.array([weight(rollout, position)]), len(rollout.challengers))[0])
    metrics: dict[tuple[str, str], Moments | Absent] = {}
    gates: dict[tuple[str, str], PairedMoments | Absent] = {}
    for arm in rollout.challengers:
        for metric in rollout.metrics:
            metrics[metric.name, arm.name] = _moments(rollout, metric, arm.name, case, share)
        for gate in GATES:
            gates[gate, arm.name] = _paired(gate, case.given.get((gate, arm.name)))
    units = _units(rollout, case)
    return Measured(
        rollout=rollout.name,
        stage=case.stage,
        step=case.step,
        mode="",
        since=NOON,
        now=now,
        metrics=metrics,
        gates=gates,
        progress=Progress(
            requests=max(case.requests, sum(units.values())), mirrored=case.mirrored, units=units, step_units=units
        ),
    )


def _units(rollout: Rollout, case: Case) -> dict[str, int]:
    """Units of each arm, by the metric that tells of most; one of each where only verdicts are given."""
    units = {arm.name: 1 for arm in (rollout.champion, *rollout.challengers)}
    for (_, arm), given in case.given.items():
        if isinstance(given, Counted | Averaged):
            units[arm] = max(units[arm], given.units)
    return units


def _moments(rollout: Rollout, metric: Metric, arm: str, case: Case, share: float) -> Moments | Absent:
    theirs = case.given.get((metric.name, arm))
    ours = case.given.get((metric.name, rollout.champion.name))
    match ours, theirs:
        case _, None | str():
            return Absent(reason=SILENT)
        case _, Compared():
            return _paired(metric.name, theirs)
        case _ if isinstance(rollout.stages[case.stage], Shadow):
            raise Impossible(f"{metric.name}: in a shadow both answer the same requests; write {{worse, better, of}}")
        case None, _:
            raise Impossible(f"{metric.name}: the numbers of {rollout.champion.name} are missing; write them, too")
        case Counted(), Counted() if metric.kind is Kind.RATE:
            return _rate(metric, ours, theirs, case.step, share)
        case Averaged(), Averaged() if metric.kind in (Kind.MEAN, Kind.COUNT):
            return _mean(ours, theirs, case.step)
    takes = {Kind.RATE: "`8 of 1000`", Kind.MEAN: "{units, mean, sd}", Kind.COUNT: "{units, mean, sd}"}
    other = f" or {takes[metric.kind]} for each arm" if metric.kind in takes else ""
    raise Impossible(f"{metric.name} is a {metric.kind}: say safe, harmful, undecided or unmeasured{other}")


def _rate(metric: Metric, ours: Counted, theirs: Counted, step: int, share: float) -> RateMoments:
    settled = metric.source is Source.OUTCOME
    n_a, n_b = _one(ours.units), _one(theirs.units)
    return RateMoments(
        step=_one(step),
        bucket=_one(0),
        share=np.array([share]),
        n_a=n_a,
        k_a=_one(ours.events),
        n_b=n_b,
        k_b=_one(theirs.events),
        settled=settled,
        seen_a=None if settled else n_a,
        seen_b=None if settled else n_b,
        # Who writes down how many says that somebody told.
        reports_a=ours.units,
        reports_b=theirs.units,
    )


def _mean(ours: Averaged, theirs: Averaged, step: int) -> MeanMoments:
    def squares(one: Averaged) -> Floats:
        return np.array([(one.units - 1) * one.sd**2 + one.units * one.mean**2])

    return MeanMoments(
        step=_one(step),
        n_a=_one(ours.units),
        sum_a=np.array([ours.units * ours.mean]),
        squares_a=squares(ours),
        n_b=_one(theirs.units),
        sum_b=np.array([theirs.units * theirs.mean]),
        squares_b=squares(theirs),
        reports_a=ours.units,
        reports_b=theirs.units,
    )


def _paired(name: str, given: Given | None) -> PairedMoments | Absent:
    match given:
        case None | str():
            return Absent(reason=SILENT)
        case Counted():
            given = Compared(worse=given.events, better=0, of=given.units)
        case Averaged():
            raise Impossible(f"{name} is told of pairs: write `40 of 5000`, or {{worse, better, of}}")
    zero = given.of - given.worse - given.better
    return PairedMoments(bucket=_one(0), plus=_one(given.worse), minus=_one(given.better), zero=_one(zero))


def _one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)
