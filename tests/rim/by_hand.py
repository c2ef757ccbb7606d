"""A random world of facts, and every moment recomputed from it unit by unit in plain Python."""

from __future__ import annotations

import math
import random
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crossfade.facts import Compared, Dropped, Exposed, Fact, Outcome, Shown
from crossfade.judge.measure import bucket
from crossfade.spec.model import (
    Ab,
    Arm,
    Better,
    Canary,
    Field,
    From,
    Interleave,
    Kind,
    Metric,
    Promote,
    Protocol,
    Ranking,
    Rollout,
    Shadow,
    Source,
)
from crossfade.state import Phase, Position, planned_weight

from .facts_made import START, compared, exposed, outcome, shown

WINDOW = 20.0
SETTLE = 4.0

ROLLOUT = Rollout(
    name="r1",
    route="/r",
    protocol=Protocol.JSON,
    unit=Field(source=From.HEADER, name="x-user"),
    champion=Arm(name="v1", url="http://127.0.0.1:1"),
    challengers=(Arm(name="v2", url="http://127.0.0.1:2"), Arm(name="v3", url="http://127.0.0.1:3")),
    metrics=(
        Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER),
        Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, q=0.9, better=Better.LOWER),
        Metric(name="speed", source=Source.RESPONSE, kind=Kind.MEAN, better=Better.LOWER),
        Metric(name="crashes", source=Source.RESPONSE, kind=Kind.COUNT, better=Better.LOWER),
        Metric(name="purchase", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=WINDOW),
        Metric(
            name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=WINDOW, outcome="money"
        ),
        Metric(name="visits", source=Source.OUTCOME, kind=Kind.COUNT, better=Better.HIGHER, window=5.0),
        Metric(name="click", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=SETTLE),
    ),
    stages=(
        Shadow(noise=0.3),
        Canary(steps=(0.05, 0.2, 0.4)),
        Interleave(weight=0.45),
        Ab(weight=0.5),
        Promote(holdback=0.1),
    ),
    ranking=Ranking(items="$.items"),
    segments=(Field(source=From.HEADER, name="x-country"), Field(source=From.JSON, name="$.platform")),
    revision="abc",
)
ARMS = ("v2", "v3")


@dataclass
class World:
    """Random facts of one stage, and what is expected of them."""

    stage: int
    steps: Sequence[float]
    """When each step began, in seconds of the stage."""
    end: float
    facts: list[Fact] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def mode(self) -> str:
        return ("shadow", "canary", "interleave", "ab", "promote")[self.stage]

    @property
    def position(self) -> Position:
        phase = Phase.PROMOTED if self.mode == "promote" else Phase.RUNNING
        return Position(
            phase=phase,
            stage=self.stage,
            step=len(self.steps) - 1,
            stage_since=START,
            step_since=START + self.steps[-1],
        )


def make(seed: int, stage: int, *, steps: Sequence[float] = (0.0,), end: float = 80.0, requests: int = 1500) -> World:
    """Requests of returning units, some without one, with late, repeated, early, foreign and orphan outcomes."""
    rng = random.Random(seed)
    world = World(stage=stage, steps=steps, end=end)
    where = {f"u{n}": rng.random() for n in range(400)}
    for n in range(requests):
        elapsed = rng.uniform(-1.0, end)
        step = max(i for i, since in enumerate(steps) if elapsed >= since or i == 0)
        weight = planned_weight(ROLLOUT, stage, step)
        unit = rng.choice([*where, ""]) if n % 20 == 0 else rng.choice([*where])
        arm = "v1"
        if unit:
            half, within = divmod(where[unit], 0.5)
            arm = ARMS[int(half)] if within < weight else "v1"
        failed = rng.random() < (0.2 if arm == "v2" else 0.1)
        common: dict[str, Any] = {"at": START + elapsed, "unit": unit, "stage": stage}
        world.facts.append(
            exposed(
                n,
                **common,
                arm=arm,
                served_by="v1" if failed else arm,
                mode=world.mode if rng.random() > 0.02 else "champion",
                step=step,
                weight=weight,
                failed=failed,
                latency_ms=rng.lognormvariate(2.0, 1.0) if rng.random() > 0.01 else rng.choice([0.0, 0.01, 1e9]),
                segments=_said(unit, n),
            )
        )
        if world.mode == "shadow":
            bad, worse = rng.random() < 0.05, rng.random() < 0.15
            world.facts.append(
                compared(
                    n,
                    **common,
                    arm=rng.choice(ARMS),
                    champion_failed=bad,
                    challenger_failed=worse,
                    differs=not bad and not worse and rng.random() < 0.2,
                    noise_differs=rng.choice([None, None, True, False, False]),
                    champion_ms=rng.lognormvariate(2.0, 0.5),
                    challenger_ms=rng.lognormvariate(2.2, 0.5),
                    reason=rng.choice(["nan", "timeout", "truncated"]) if worse else "",
                    segments=(rng.choice(["de", "fr", ""]), rng.choice(["ios", "web"]))[: rng.choice([2, 2, 2, 1, 0])],
                    **_fields(rng, bad or worse),
                    champion_numbers=(rng.uniform(0.0, 3.0),) if rng.random() < 0.8 else (),
                    challenger_numbers=(rng.uniform(0.0, 3.0),) if rng.random() < 0.8 else (),
                )
            )
        if world.mode == "interleave" and arm != "v1":
            items = tuple(rng.sample("abcdefgh", 5))
            world.facts.append(
                shown(
                    n,
                    **common,
                    items=items,
                    owners=tuple(rng.choice(["v1", arm, ""]) for _ in items),
                    excluded=rng.choice(["", "", "", "", "late"]),
                    credits=tuple(rng.choice([-1_000_000, 0, 250_000]) for _ in items) if rng.random() < 0.2 else (),
                    arm=rng.choice([arm, ""]),
                )
            )
        _outcomes(world, rng, n, unit, START + elapsed)
    for n, mode in ((90_000, "ab"), (90_001, "canary")):  # another rollout, another stage
        world.facts.append(exposed(n, rollout="r2", mode=world.mode, stage=stage))
        world.facts.append(exposed(n + 10, mode=mode, stage=stage + 1, at=START - 500.0))
    world.facts.append(Dropped(rollout="r1", at=START + 1.0, worker="w0", reason="queue", count=3))
    world.facts.append(Dropped(rollout="r1", at=START + 2.0, worker="w1", reason="queue", count=4))
    world.facts.append(Dropped(rollout="r1", at=START - 99.0, worker="w1", reason="queue", count=5))
    return world


def _fields(rng: random.Random, failed: bool) -> dict[str, tuple[str, ...]]:
    """What differs, sometimes in more fields than are recorded."""
    if failed:
        return {}
    ours, noisy = (rng.choice([0, 0, 0, 1, 2, 8]) for _ in range(2))
    names = ["$.a", "$.a.b", "$.a[*].c", "$.ab", "$.d", "$.e", "$.f", "$.g", "$.h"]
    return {
        "fields": tuple(rng.sample(names, ours)),
        "kinds": tuple(rng.choices(["value", "nan", "shape", "missing", "invalid"], [9, 1, 1, 5, 1], k=ours)),
        "noise_fields": tuple(rng.sample(names, noisy)),
    }


def _outcomes(world: World, rng: random.Random, n: int, unit: str, at: float) -> None:
    for name, item in (("purchase", ""), ("money", ""), ("visits", ""), ("click", "x")):
        for repeat in range(rng.choice([0, 0, 0, 1, 1, 2])):
            happened = at + rng.uniform(-3.0, 10.0)
            named = rng.random() < 0.3
            decision = "" if named else rng.choice([f"d{n}"] * 9 + ["nobody"])
            report = outcome(
                f"{name}-{n}-{repeat}",
                rollout=rng.choice(["r1", "r1", "r2"]) if named else "",
                unit=unit if named else "",
                decision_id=decision,
                name=name,
                value=rng.choice([0.0, 1.0, 2.5]),
                item=rng.choice("abcdefgh") if item else "",
                at=happened,
                received_at=max(happened, at) + rng.expovariate(0.2),
            )
            world.outcomes.append(report)
            if rng.random() < 0.2:
                world.outcomes.append(report)
            _corrections(world, rng, report)


def _corrections(world: World, rng: random.Random, report: Outcome) -> None:
    """Now and then other values for it, which may be corrected in their turn, and may come before it."""
    told = [report]
    while rng.random() < 0.2:
        world.outcomes.append(
            msgspec.structs.replace(
                report,
                outcome_id=f"{report.outcome_id}-not-{len(told)}",
                corrects=rng.choice(told).outcome_id,
                value=rng.choice([0.0, 1.0, 4.0]),
                item="?",
                at=report.at + 1000.0,
                received_at=report.received_at + rng.uniform(-5.0, 20.0),
            )
        )
        told.append(world.outcomes[-1])
    if rng.random() < 0.02:
        world.outcomes.append(msgspec.structs.replace(report, outcome_id=f"{report.outcome_id}-lost", corrects="lost"))


def _said(unit: str, n: int) -> tuple[str, ...]:
    """A country that the unit keeps, or none; and a platform that may be another at each request."""
    country = ("de", "de", "fr", "it", "")[zlib.crc32(unit.encode()) % 5]
    return (country, ("ios", "web", "web")[n % 3])[: 2 - (n % 7 == 0)]


def share(weight: float) -> float:
    return weight / (weight + max(1.0 - len(ARMS) * weight, 0.0))


class Naive:
    """Every moment again, unit by unit."""

    def __init__(self, world: World, now: float) -> None:
        self.now = now
        self.scope = sorted(
            (
                f
                for f in world.facts
                if isinstance(f, Exposed)
                and (f.rollout, f.stage, f.mode) == ("r1", world.stage, world.mode)
                and f.unit
                and START - 5.0 <= f.at <= now
            ),
            key=lambda f: (f.at, f.decision_id),
        )
        self.entered: dict[str, Exposed] = {}
        self.arrived: dict[tuple[str, int], Exposed] = {}
        for fact in self.scope:
            self.entered.setdefault(fact.unit, fact)
            self.arrived.setdefault((fact.unit, fact.step), fact)
        unique = {report.outcome_id: report for report in world.outcomes}
        known = [report for report in unique.values() if report.received_at <= now]
        self.corrected: dict[str, list[Outcome]] = defaultdict(list)
        for report in known:
            if report.corrects:
                self.corrected[report.corrects].append(report)
        self.reports = [
            msgspec.structs.replace(report, value=self._right(report).value) for report in known if not report.corrects
        ]
        self.by_id = {fact.decision_id: fact for fact in self.scope}
        self.facts = world.facts
        self.stage = world.stage

    def _right(self, report: Outcome) -> Outcome:
        """The last of those that correct it, or that correct them, and are not corrected themselves."""
        ends: list[Outcome] = []
        ahead = [report]
        while ahead:
            one = ahead.pop()
            further = self.corrected.get(one.outcome_id, [])
            ahead += further
            ends += [] if further else [one]
        return max(ends, key=lambda one: (one.received_at, one.outcome_id))

    def pairs(self) -> list[Compared]:
        found = [f for f in self.facts if isinstance(f, Compared) and f.stage == self.stage and f.at <= self.now]
        return sorted(found, key=lambda f: (f.at, f.decision_id))

    def rate(self, arm: str) -> dict[tuple[int, int, float], list[int]]:
        """Per arm of the pair: units, units with a failure, units seen in the step."""
        cells: dict[tuple[int, int, float], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
        fallen: set[str] = set()
        for fact in self.entered.values():
            self._count(cells, fact, arm, 0)
        for fact in self.arrived.values():
            self._count(cells, fact, arm, 2)
        for fact in self.scope:
            if fact.failed and fact.unit not in fallen:
                fallen.add(fact.unit)
                self._count(cells, fact, arm, 1)
        return cells

    def _count(self, cells: dict[Any, list[int]], fact: Exposed, arm: str, which: int) -> None:
        if fact.arm in ("v1", arm):
            key = (bucket(fact.at - START), fact.step, fact.weight)
            cells[key][which + (3 if fact.arm == arm else 0)] += 1

    def values(self, name: str, window: float) -> dict[str, list[float]]:
        found: dict[str, list[float]] = defaultdict(list)
        for report in self.reports:
            if report.name != name:
                continue
            if report.decision_id:
                fact = self.by_id.get(report.decision_id)
                unit, happened = (fact.unit, math.inf) if fact else ("", 0.0)
            else:
                unit, happened = (report.unit, report.at) if report.rollout == "r1" else ("", 0.0)
            first = self.entered.get(unit)
            if first is None or happened < first.at or report.received_at - START > first.at - START + window:
                continue
            found[unit].append(report.value)
        return found

    def closed(self, window: float) -> dict[str, bool]:
        return {u: f.at - START + window <= self.now - START for u, f in self.entered.items()}

    def outcome_rate(self, name: str, window: float, arm: str) -> dict[tuple[int, int, float], list[int]]:
        cells: dict[tuple[int, int, float], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        values = self.values(name, window)
        for unit, closed in self.closed(window).items():
            fact = self.entered[unit]
            if closed and fact.arm in ("v1", arm):
                cell = cells[(bucket(fact.at - START + window), fact.step, fact.weight)]
                side = 2 if fact.arm == arm else 0
                cell[side] += 1
                cell[side + 1] += any(value != 0 for value in values[unit])
        return cells

    def means(self, value_of: dict[str, float], arm: str) -> dict[int, list[list[float]]]:
        steps: dict[int, list[list[float]]] = defaultdict(lambda: [[], []])
        for unit, value in value_of.items():
            fact = self.entered[unit]
            if fact.arm in ("v1", arm):
                steps[fact.step][fact.arm == arm].append(value)
        return steps

    def home(self) -> dict[str, list[Exposed]]:
        found: dict[str, list[Exposed]] = defaultdict(list)
        for fact in self.scope:
            first = self.entered[fact.unit]
            if (fact.arm, fact.step) == (first.arm, first.step):
                found[fact.unit].append(fact)
        return found

    def votes(self, settle: float, arm: str) -> dict[int, list[int]]:
        lists = [
            f
            for f in self.facts
            if isinstance(f, Shown) and f.stage == self.stage and not f.excluded and f.unit and f.at <= self.now
        ]
        clicks: dict[str, list[Outcome]] = defaultdict(list)
        for report in self.reports:
            if report.name == "click" and report.value != 0:
                clicks[report.decision_id].append(report)
        votes: dict[str, tuple[float, int, str]] = {}
        for fact in sorted(lists, key=lambda f: (f.at, f.decision_id)):
            clicked = {r.item for r in clicks[fact.decision_id] if r.received_at - START <= fact.at - START + settle}
            owners = [owner for item, owner in zip(fact.items, fact.owners, strict=True) if item in clicked and owner]
            other = fact.arm or next((name for name in ARMS if name in fact.owners), "")
            if owners and other and not fact.credits and fact.unit not in votes:
                votes[fact.unit] = (fact.at - START + settle, sum(1 if o == "v1" else -1 for o in owners), other)
        cells: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for at, credit, other in votes.values():
            if at <= self.now - START and other == arm:
                cells[bucket(at)][0 if credit > 0 else 1 if credit < 0 else 2] += 1
        return cells
