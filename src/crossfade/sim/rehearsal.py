"""A rollout rehearsed: the real assess and decide, look after look, on synthetic traffic, from start to end."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.assess import assess_all
from crossfade.judge.assumed import World
from crossfade.judge.decide import Progress, decide
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.judge.measure.measured import Measured
from crossfade.sim.synthetic import Stage
from crossfade.spec.model import HASTE, Canary, Rollout, stage_name
from crossfade.state import ENDED, Move, Phase, Position, apply, weight

BEGAN = 1_800_000_000.0
"""When every rehearsal begins, seconds since the epoch; nothing depends on it."""

FIRST_LOOK = 1.0
"""Seconds between the first looks of a step, as the controller's tick is."""

AT_ONCE = 50
"""Rehearsals side by side, for their evidence to be found together."""

GROWTH = 0.15
"""Later looks are this share of the step's age apart: each sees about as much more as the one before it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One stage of one rehearsal."""

    stage: int
    name: str
    seconds: float
    exposed: int
    """Units that challengers got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one rehearsal went."""

    phase: Phase
    """Where it ended: promoted (or finished), rolled back, or still running where a person would have to decide."""
    rule: str
    sentence: str
    seconds: float
    stages: tuple[Passed, ...]
    harm: Mapping[str, float]
    """Per metric the units exposed to challengers times what each is worse off by; negative where they gain."""
    canary_harm: Mapping[str, float]
    """The same of canary stages alone, which budgets are about."""
    canary_excess: Mapping[str, float]
    """Per rate what the canaries really cost: events beyond those that the champion's true rate would have brought."""
    reached: float | None
    """Seconds until a challenger had half of the units; None where it never had."""


def rehearse(rollout: Rollout, world: World, rng: np.random.Generator, growth: float = GROWTH) -> Run:
    """One rollout from its start until nothing would move it any more; it is promoted at the latest."""
    return _together(rollout, [_looks(rollout, world, rng, growth)])[0]


Looks = Generator[Measured, tuple[Evidence, ...], Run]


def _together(rollout: Rollout, going: Sequence[Looks]) -> list[Run]:
    """Several rehearsals side by side: what all of them look at is assessed at once."""
    looks, done = {place: next(one) for place, one in enumerate(going)}, {}
    while looks:
        found = assess_all([(rollout, measured) for measured in looks.values()])
        for place, evidence in zip(list(looks), found, strict=True):
            try:
                looks[place] = going[place].send(evidence)
            except StopIteration as end:
                done[place] = end.value
                del looks[place]
    return [done[place] for place in range(len(going))]


def _looks(rollout: Rollout, world: World, rng: np.random.Generator, growth: float) -> Looks:
    """One rehearsal: asks for the evidence of each look, and returns how it went."""
    # Nobody knows how long people take: they are taken to approve at once.
    rollout = replace(rollout, stages=tuple(replace(stage, approve=None) for stage in rollout.stages))
    position = apply(rollout, Position(), Move.START, BEGAN)
    now, traffic = BEGAN, None
    decision: Decision | None = None
    passed: list[Passed] = []
    exposed_before, reached = 0, None
    canary_units = 0
    excess: dict[str, float] = {}
    while True:
        if traffic is None:
            traffic, entered = Stage(rollout, position, world, rng), now
        if reached is None and weight(rollout, position) >= 0.5 - 1e-9:
            reached = now - BEGAN
        now = _next_look(rollout, position, now, growth)
        traffic.pass_time(position, now)
        measured = traffic.measured(position, now)
        evidence = yield measured
        decision = decide(rollout, position, evidence, now, _seen(measured))
        stuck = decision.move is None and _for_a_person(decision, position)
        if decision.move is None and not stuck:
            continue
        before = position
        if decision.move is not None:
            position = apply(rollout, position, decision.move, now, held_for=decision.held_for)
        if position.phase in ENDED or position.phase is Phase.PROMOTED or stuck or position.stage != before.stage:
            units = measured.progress.units
            exposed = sum(units.get(arm.name, 0) for arm in rollout.challengers)
            exposed_before += exposed
            if isinstance(rollout.stages[before.stage], Canary):
                canary_units += exposed
                excess = {name: excess.get(name, 0.0) + much for name, much in traffic.excess().items()}
            passed.append(
                Passed(
                    stage=before.stage,
                    name=stage_name(rollout.stages[before.stage]),
                    seconds=now - entered,
                    exposed=exposed,
                )
            )
            traffic = None
            if position.phase in ENDED or position.phase is Phase.PROMOTED or stuck:
                break
    return Run(
        phase=position.phase,
        rule=decision.rule,
        sentence=decision.sentence,
        seconds=now - BEGAN,
        stages=tuple(passed),
        harm=_harm(rollout, world, exposed_before),
        canary_harm=_harm(rollout, world, canary_units),
        canary_excess=excess,
        reached=reached,
    )


def rehearsals(rollout: Rollout, world: World, *, runs: int, seed: int, growth: float = GROWTH) -> Iterator[Run]:
    """Many, each with a generator of its own: the first runs are the same however many there are."""
    yield from rehearsals_of(rollout, [world] * runs, seed=seed, growth=growth)


def rehearsals_of(rollout: Rollout, worlds: Sequence[World], *, seed: int, growth: float = GROWTH) -> Iterator[Run]:
    """The same, each in a world of its own."""
    seeds = np.random.SeedSequence(seed).spawn(len(worlds))
    for begin in range(0, len(worlds), AT_ONCE):
        part = zip(worlds[begin : begin + AT_ONCE], seeds[begin : begin + AT_ONCE], strict=True)
        yield from _together(rollout, [_looks(rollout, one, np.random.default_rng(own), growth) for one, own in part])


def _next_look(rollout: Rollout, position: Position, now: float, growth: float) -> float:
    """When the controller looks next, as far as it can matter: never past the end of a step or stage."""
    stage = rollout.stages[position.stage]
    wanted = now + max(FIRST_LOOK, growth * (now - position.step_since))
    ends = [position.stage_since + stage.until.at_most] if hasattr(stage, "until") else []
    if isinstance(stage, Canary):
        ends.append(position.step_since + (HASTE if stage.auto else 1.0) * stage.hold_for)
    return min([wanted, *(end for end in ends if end > now + 1e-6)])


def _for_a_person(decision: Decision, position: Position) -> bool:
    return decision.rule == "cleared" and position.phase is Phase.RUNNING


def _seen(measured: Measured) -> Progress:
    seen = measured.progress
    return Progress(mirrored=seen.mirrored, requests=seen.requests, units=seen.units, step_units=seen.step_units)


def _harm(rollout: Rollout, world: World, units: int) -> dict[str, float]:
    worse = {m.name: world.metrics[m.name].change * (1 if m.better == "lower" else -1) for m in rollout.metrics}
    return {name: units * change for name, change in worse.items()}


def share(runs: Sequence[Run], phase: Phase) -> float:
    """How many of the runs ended so."""
    return sum(run.phase is phase for run in runs) / len(runs)
