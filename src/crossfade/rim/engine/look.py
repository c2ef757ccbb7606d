"""One look: its questions asked of a source of rows, and the answers put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from crossfade.judge.measure import (
    Absent,
    Measured,
    Progress,
    Question,
    Reach,
    answer,
    ask,
    counts,
    gates,
    sliced,
    triggers,
)
from crossfade.judge.measure.arms import OPEN
from crossfade.judge.measure.assemble import PREFERENCE, Rows
from crossfade.judge.measure.assignment import assignment
from crossfade.judge.measure.measured import Received, Triggers, Windowed
from crossfade.judge.measure.segments import Key, Segmented, by_segment, heard, heard_in_shadow, moments_of
from crossfade.judge.measure.tables import Expr
from crossfade.judge.moments import MeanMoments, PairedMoments, RateMoments, RatioMoments
from crossfade.rim.theirs import scorer
from crossfade.spec.model import Kind, Promote, Rollout, Shadow, Source, stage_name
from crossfade.state import Phase, Position, as_muted

SHADOW = stage_name(Shadow())


class Answers(Protocol):
    """Where rows come from: everything asked anew, or kept up as facts come in."""

    def ask(self, question: Question) -> Rows:
        """The rows of a question."""

    def segments(self, fields: int) -> Rows:
        """Units of the stage by segment, over so many fields: rows of `spread.heard`."""

    def count(self, name: str, build: Callable[[], Expr]) -> Rows:
        """The rows of a query of `measure.counts`."""

    def events(self, name: str, champion: str) -> Rows:
        """Over the whole rollout, units per arm with an outcome of that name."""

    def orphans(self, now: float) -> tuple[int, int]:
        """Outcomes without a decision, and those that are merely early."""

    def received(self, names: tuple[str, ...]) -> Received:
        """What became of outcomes of the names that the rollout asks for."""


def questions(rollout: Rollout, position: Position) -> dict[str, Question | Absent]:
    """What each metric asks in the present stage."""
    mode = look_mode(rollout, position)
    return {metric.name: ask(rollout, mode, metric, scorer) for metric in rollout.metrics}


def take(source: Answers, rollout: Rollout, position: Position, now: float, versions: Mapping[str, int]) -> Measured:
    """Ask everything that a look at the present stage wants to know."""
    rollout = as_muted(rollout, position)
    mode = look_mode(rollout, position)
    challengers = [arm.name for arm in rollout.challengers]

    def told(name: str, question: Question | Absent) -> dict[tuple[str, str], Any]:
        if isinstance(question, Absent):
            return {(name, arm): question for arm in challengers}
        rows = source.ask(question)
        return {(name, arm): answer(question, rows, arm) for arm in challengers}

    metrics: dict[tuple[str, str], Any] = {}
    windows: dict[str, Windowed] = {}
    for name, question in questions(rollout, position).items():
        metrics |= told(name, question)
        if isinstance(question, Question) and question.judged is not None:
            windows[name] = _windowed(
                source.ask(question), {arm.name for arm in (rollout.champion, *rollout.challengers)}
            )
    by_time = {metric.name: sliced(rollout, mode, metric) for metric in rollout.metrics}
    slices: dict[tuple[str, str], Any] = {}
    for name, of in by_time.items():
        slices |= told(name, of) if of is not None else {}
    found: dict[tuple[str, str], Any] = {}
    for name, asked in gates(rollout, position.stage, mode).items():
        found |= told(name, asked)
    assigned = assignment(rollout, mode)
    rows = None if assigned is None else source.ask(assigned)
    return Measured(
        rollout=rollout.name,
        stage=position.stage,
        step=position.step,
        mode=mode,
        since=position.stage_since,
        now=now,
        facts=dict(versions),
        metrics=metrics,
        gates=found,
        slices=slices,
        assignment={arm: answer(assigned, rows, arm) for arm in challengers} if assigned and rows else {},
        progress=replace(_progress(source, rollout, position.step, now, metrics, found), windows=windows),
        reach=_reach(source, rollout),
        segments=_segments(source, rollout, position, mode),
        triggers=_triggers(source, rollout, mode),
    )


def _triggers(source: Answers, rollout: Rollout, mode: str) -> Triggers:
    """What the look finds of units that came to differ."""
    question = triggers.entry(rollout, mode)
    if question is None:
        return Triggers()
    rows = source.ask(question)
    known = {arm.name for arm in (rollout.champion, *rollout.challengers)}
    found = triggers.told(source.count("tallied", triggers.tallied))
    return Triggers(
        arms={arm: told for arm, told in found.items() if arm in known},
        assignment={arm.name: answer(question, rows, arm.name) for arm in rollout.challengers},
    )


def _segments(source: Answers, rollout: Rollout, position: Position, mode: str) -> Segmented:
    """What the look finds of each segment that the spec declares."""
    fields, challengers = [str(field) for field in rollout.segments], [arm.name for arm in rollout.challengers]
    if not fields:
        return Segmented()
    many = len(fields)
    rows = source.ask(heard_in_shadow(many)) if mode == SHADOW else source.segments(many)
    segments, others = heard(rows, fields)
    told: list[dict[Key, Any]] = []
    for asked in (questions(rollout, position), gates(rollout, position.stage, mode)):
        found: dict[Key, Any] = {}
        for name, question in asked.items():
            each = by_segment(question, many) if isinstance(question, Question) and segments else None
            if each is not None:
                found |= moments_of(each, source.ask(each), fields, segments, name, challengers)
        told.append(found)
    return Segmented(segments=segments, others=others, metrics=told[0], gates=told[1])


def not_started(rollout: Rollout, position: Position, now: float, versions: Mapping[str, int]) -> Measured:
    """The look at a rollout that has not started."""
    absent = Absent(reason="the rollout has not started")
    return Measured(
        rollout=rollout.name,
        stage=position.stage,
        step=position.step,
        mode=look_mode(rollout, position),
        since=position.stage_since,
        now=now,
        facts=dict(versions),
        metrics={(metric.name, arm.name): absent for metric in rollout.metrics for arm in rollout.challengers},
    )


def _progress(
    source: Answers,
    rollout: Rollout,
    step: int,
    now: float,
    metrics: Mapping[tuple[str, str], Any],
    found: Mapping[tuple[str, str], Any],
) -> Progress:
    challengers = [arm.name for arm in rollout.challengers]
    named = partial(_by_arm, rollout)
    requests = source.count("requests", counts.requests)
    mirrored = source.count("mirrored", counts.mirrored)
    pairs = dict.fromkeys(challengers, 0) | named(mirrored, "pairs")
    orphans, early = source.orphans(now)
    lists = _by(source.count("lists", counts.lists), "excluded", "lists")
    steps = source.count("step-units", counts.step_units)
    present = steps["step"] == step
    vote = found.get((PREFERENCE, challengers[0]))
    wins, losses, ties = (
        (int(vote.minus.sum()), int(vote.plus.sum()), int(vote.zero.sum()))
        if isinstance(vote, PairedMoments)
        else (0, 0, 0)
    )
    return Progress(
        requests=int(requests["requests"].sum()),
        mirrored=min(pairs[arm] for arm in challengers),
        pairs=pairs,
        failed_pairs=named(mirrored, "failed"),
        units=named(source.count("exposed-units", counts.exposed_units), "units"),
        step_units=named({name: column[present] for name, column in steps.items()}, "units"),
        missing=int(requests["missing"].sum()),
        fallbacks=named(requests, "fallbacks"),
        failures=named(requests, "failed"),
        unserved=int(requests["unserved"].sum()),
        dropped=_by(source.count("drops", counts.drops), "reason", "copies"),
        lists=lists.pop("", 0),
        excluded=lists,
        wins=wins,
        losses=losses,
        ties=ties,
        immature={
            name: moments.immature
            for (name, arm), moments in metrics.items()
            if arm == challengers[0] and isinstance(moments, RateMoments | MeanMoments | RatioMoments)
        },
        received=source.received(rollout.outcome_names),
        orphans=orphans,
        early=early,
        faults=int(source.count("faults", counts.faults)["faults"][0]),
        lease_held=bool(held.all()) if len(held := source.count("leases", counts.leases)["held"]) else None,
    )


def _windowed(rows: Rows, arms: Collection[str]) -> Windowed:
    """From the rows of an outcome metric."""
    mine = np.isin(rows["arm"].astype("U"), sorted(arms))
    open_ = (rows["bucket"] == OPEN if "bucket" in rows else ~rows["closed"].astype(bool)) & mine
    n = rows["n"]
    return Windowed(open=int(n[open_].sum()), settled=int(n[mine & ~open_].sum()), late=int(rows["late"][mine].sum()))


def _reach(source: Answers, rollout: Rollout) -> Reach:
    named = partial(_by_arm, rollout)
    reach = source.count("reach", counts.reach)
    failed_units = named(reach, "failed_units")
    events: dict[tuple[str, str], int] = {}
    champion = rollout.champion.name
    for metric in rollout.metrics:
        if metric.kind is not Kind.RATE:
            continue
        counted = failed_units
        if metric.source is Source.OUTCOME:
            counted = named(source.events(metric.outcome or metric.name, champion), "units")
        events |= {
            (metric.name, arm.name): counted.get(arm.name, 0) for arm in (rollout.champion, *rollout.challengers)
        }
    return Reach(
        units=named(reach, "units"),
        requests=named(reach, "requests"),
        failed_units=failed_units,
        failures=named(reach, "failures"),
        events=events,
    )


def look_mode(rollout: Rollout, position: Position) -> str:
    """The mode whose facts a look is about; a rollout that was rolled back is looked at as it was."""
    if position.phase in (Phase.PROMOTED, Phase.FINISHED):
        return stage_name(Promote())
    return stage_name(rollout.stages[position.stage])


def _by(rows: Rows, key: str, value: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in zip(rows[key], rows[value], strict=True)}


def _by_arm(rollout: Rollout, rows: Rows, value: str) -> dict[str, int]:
    """Of the spec's arms alone: an earlier revision may have had others."""
    arms = {arm.name for arm in (rollout.champion, *rollout.challengers)}
    return {name: count for name, count in _by(rows, "arm", value).items() if name in arms}
