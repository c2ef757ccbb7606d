"""The engine against a recomputation in plain Python: the same facts, the same moments, whatever the order."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Compared, Dropped, Exposed, Fact, Outcome, Shown
from crossfade.judge.measure import DISAGREEMENT, PREFERENCE, Absent, Measured, bucket, latency_bin
from crossfade.judge.moments import BINS, MeanMoments, Moments, PairedMoments, QuantileMoments, RateMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
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


@dataclass
class Kept:
    """Facts on disk and an engine over them."""

    lake: Lake
    engine: Engine
    data: Path

    def add(self, facts: Sequence[Fact], outcomes: Sequence[Outcome], parts: int = 3) -> None:
        inbox = OutcomeInbox(self.data)
        for part in range(parts):
            Journal(self.data, f"w{part % 2}").append(facts[part::parts])
            inbox.accept(outcomes[part::parts])
            self.lake.compact_journals()
        inbox.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    lake = Lake(tmp_path)
    engine = Engine(lake, threads=1)
    yield Kept(lake, engine, tmp_path)
    engine.close()
    lake.close()


# -- the recomputation ---------------------------------------------------------------------------


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
        for fact in self.scope:
            self.entered.setdefault(fact.unit, fact)
        unique = {report.outcome_id: report for report in world.outcomes}
        self.reports = [report for report in unique.values() if report.received_at <= now]
        self.by_id = {fact.decision_id: fact for fact in self.scope}
        self.facts = world.facts
        self.stage = world.stage

    def pairs(self) -> list[Compared]:
        found = [f for f in self.facts if isinstance(f, Compared) and f.stage == self.stage and f.at <= self.now]
        return sorted(found, key=lambda f: (f.at, f.decision_id))

    def rate(self, arm: str) -> dict[tuple[int, int, float], list[int]]:
        cells: dict[tuple[int, int, float], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        fallen: set[str] = set()
        for fact in self.entered.values():
            self._count(cells, fact, arm, 0)
        for fact in self.scope:
            if fact.failed and fact.unit not in fallen:
                fallen.add(fact.unit)
                self._count(cells, fact, arm, 1)
        return cells

    def _count(self, cells: dict[Any, list[int]], fact: Exposed, arm: str, which: int) -> None:
        if fact.arm in ("v1", arm):
            key = (bucket(fact.at - START), fact.step, fact.weight)
            cells[key][which + (2 if fact.arm == arm else 0)] += 1

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
            other = next((name for name in ARMS if name in fact.owners), "")
            if owners and other and fact.unit not in votes:
                votes[fact.unit] = (fact.at - START + settle, sum(1 if o == "v1" else -1 for o in owners), other)
        cells: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for at, credit, other in votes.values():
            if at <= self.now - START and other == arm:
                cells[bucket(at)][0 if credit > 0 else 1 if credit < 0 else 2] += 1
        return cells


def rates_of(moments: Moments | Absent) -> dict[tuple[int, int, float], list[int]]:
    assert isinstance(moments, RateMoments)
    order = list(zip(moments.bucket, moments.step, strict=True))
    assert order == sorted(order)
    rows = zip(
        moments.bucket,
        moments.step,
        moments.share,
        moments.n_a,
        moments.k_a,
        moments.n_b,
        moments.k_b,
        strict=True,
    )
    return {(int(b), int(s), float(w)): [int(x) for x in cells] for b, s, w, *cells in rows}


def with_share(cells: dict[tuple[int, int, float], list[int]]) -> dict[tuple[int, int, float], list[int]]:
    return {(b, s, float(share(w))): counts for (b, s, w), counts in cells.items()}


def same_means(moments: Moments | Absent, steps: dict[int, list[list[float]]]) -> None:
    assert isinstance(moments, MeanMoments)
    assert list(moments.step) == sorted(steps)
    for row, step in enumerate(moments.step):
        a, b = steps[int(step)]
        assert (moments.n_a[row], moments.n_b[row]) == (len(a), len(b))
        for found, values in (
            (moments.sum_a[row], a),
            (moments.sum_b[row], b),
            (moments.squares_a[row], [x * x for x in a]),
            (moments.squares_b[row], [x * x for x in b]),
        ):
            assert found == pytest.approx(math.fsum(values), rel=1e-12, abs=1e-12)


def same_pairs(moments: PairedMoments | Moments | Absent, cells: dict[int, list[int]]) -> None:
    assert isinstance(moments, PairedMoments)
    assert list(moments.bucket) == sorted(cells)
    rows = zip(moments.bucket, moments.plus, moments.minus, moments.zero, strict=True)
    assert {int(b): [int(p), int(m), int(z)] for b, p, m, z in rows} == cells


def same_histogram(moments: Moments | Absent, cells: dict[tuple[int, int, float], list[dict[int, int]]]) -> None:
    assert isinstance(moments, QuantileMoments)
    keys = list(zip(moments.bucket, moments.step, moments.share, strict=True))
    assert keys == sorted(cells)
    for row, key in enumerate(keys):
        for counts, expected in zip((moments.counts_a[row], moments.counts_b[row]), cells[key], strict=True):
            assert counts.shape == (BINS,)
            assert {int(b): int(counts[b]) for b in np.flatnonzero(counts)} == expected


CASES = [
    pytest.param(1, 1, (0.0, 30.0, 50.0), 80.0, id="canary"),
    pytest.param(2, 1, (0.0, 700.0), 3000.0, id="long-canary"),
    pytest.param(3, 3, (0.0,), 80.0, id="ab"),
    pytest.param(4, 4, (0.0,), 60.0, id="promoted"),
    pytest.param(5, 2, (0.0,), 60.0, id="interleave"),
]


@pytest.mark.parametrize(("seed", "stage", "steps", "end"), CASES)
def test_groups_of_units_are_measured_as_by_hand(
    kept: Kept, seed: int, stage: int, steps: tuple[float, ...], end: float
) -> None:
    world = make(seed, stage, steps=steps, end=end)
    now = START + end * 0.9
    kept.add(world.facts, world.outcomes)
    measured = kept.engine.measure(ROLLOUT, world.position, now)
    naive = Naive(world, now)
    for arm in ARMS:
        _compare_rates(measured, naive, arm)
        _compare_means(measured, naive, arm)
        _compare_latency(measured, naive, arm)
    _compare_counts(measured, naive)


def _compare_rates(measured: Measured, naive: Naive, arm: str) -> None:
    assert rates_of(measured.metrics["errors", arm]) == with_share(naive.rate(arm))
    purchase = measured.metrics["purchase", arm]
    assert rates_of(purchase) == with_share(naive.outcome_rate("purchase", WINDOW, arm))
    assert isinstance(purchase, RateMoments)
    assert purchase.settled
    open_ = [u for u, closed in naive.closed(WINDOW).items() if not closed and naive.entered[u].arm in ("v1", arm)]
    assert purchase.immature == len(open_)


def _compare_means(measured: Measured, naive: Naive, arm: str) -> None:
    home = naive.home()
    speed = {u: math.fsum(f.latency_ms for f in facts) / len(facts) for u, facts in home.items()}
    same_means(measured.metrics["speed", arm], naive.means(speed, arm))
    crashes = {u: float(sum(f.failed for f in facts)) for u, facts in home.items()}
    same_means(measured.metrics["crashes", arm], naive.means(crashes, arm))
    money, visits = naive.values("money", WINDOW), naive.values("visits", 5.0)
    revenue = {u: math.fsum(money[u]) for u, closed in naive.closed(WINDOW).items() if closed}
    same_means(measured.metrics["revenue", arm], naive.means(revenue, arm))
    counted = {u: float(sum(v != 0 for v in visits[u])) for u, closed in naive.closed(5.0).items() if closed}
    same_means(measured.metrics["visits", arm], naive.means(counted, arm))


def _compare_latency(measured: Measured, naive: Naive, arm: str) -> None:
    cells: dict[tuple[int, int, float], list[dict[int, int]]] = defaultdict(lambda: [{}, {}])
    seen: set[tuple[str, int]] = set()
    for fact in naive.scope:
        where = bucket(fact.at - START)
        if (fact.unit, where) in seen:
            continue
        seen.add((fact.unit, where))
        if fact.arm in ("v1", arm):
            side = cells[(where, fact.step, share(fact.weight))][fact.arm == arm]
            bin_ = latency_bin(fact.latency_ms)
            side[bin_] = side.get(bin_, 0) + 1
    same_histogram(measured.metrics["latency", arm], cells)


def _compare_counts(measured: Measured, naive: Naive) -> None:
    everything = [
        f
        for f in naive.facts
        if isinstance(f, Exposed) and f.rollout == "r1" and f.stage == naive.stage and f.at <= naive.now
    ]
    everything = [f for f in everything if f.at >= START - 5.0]
    progress = measured.progress
    assert progress.requests == len(everything)
    assert progress.missing == sum(not f.unit for f in everything)
    assert progress.dropped == {"queue": 7}
    units: dict[str, set[str]] = defaultdict(set)
    for fact in naive.scope:
        units[fact.arm].add(fact.unit)
    assert progress.units == {arm: len(found) for arm, found in units.items()}
    assert progress.fallbacks["v2"] == sum(f.failed for f in everything if f.arm == "v2")
    decisions = {f.decision_id for f in naive.facts if isinstance(f, Exposed)}
    unique = {r.outcome_id: r for r in naive.reports}.values()
    assert progress.orphans is not None
    assert progress.orphans >= sum(bool(r.decision_id) and r.decision_id not in decisions for r in unique)


@pytest.mark.parametrize("seed", [11, 12])
def test_interleaving_gives_each_unit_one_vote(kept: Kept, seed: int) -> None:
    world = make(seed, 2, end=60.0, requests=3000)
    kept.add(world.facts, world.outcomes)
    now = START + 50.0
    measured = kept.engine.measure(ROLLOUT, world.position, now)
    naive = Naive(world, now)
    total = 0
    for arm in ARMS:
        cells = naive.votes(SETTLE, arm)
        same_pairs(measured.gates[PREFERENCE, arm], cells)
        total += sum(map(sum, cells.values()))
    assert total > 20
    votes = naive.votes(SETTLE, "v2")
    wins = sum(cell[1] for cell in votes.values())
    assert (measured.progress.wins, measured.progress.losses, measured.progress.ties) == (
        wins,
        sum(cell[0] for cell in votes.values()),
        sum(cell[2] for cell in votes.values()),
    )


def test_a_vote_never_changes_once_cast(kept: Kept) -> None:
    world = make(13, 2, end=60.0)
    kept.add(world.facts, world.outcomes)
    last: dict[int, list[int]] = {}
    for now in range(5, 70, 5):
        found = kept.engine.measure(ROLLOUT, world.position, START + now).gates[PREFERENCE, "v2"]
        if isinstance(found, Absent):
            continue
        rows = zip(found.bucket, found.plus, found.minus, found.zero, strict=True)
        cells = {int(b): [int(p), int(m), int(z)] for b, p, m, z in rows}
        # What was in a closed slice of time stays there; only new slices come.
        assert {b: c for b, c in cells.items() if b < now - 5} == {b: c for b, c in last.items() if b < now - 5}
        last = cells
    assert last


def test_shadow_pairs_are_signed_differences(kept: Kept) -> None:
    world = make(21, 0, end=60.0)
    kept.add(world.facts, world.outcomes)
    now = START + 55.0
    measured = kept.engine.measure(ROLLOUT, world.position, now)
    pairs = Naive(world, now).pairs()
    for arm in ARMS:
        noise: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        failed: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        cells: dict[tuple[int, int, float], list[dict[int, int]]] = defaultdict(lambda: [{}, {}])
        seen: set[tuple[str, int]] = set()
        for pair in pairs:
            if pair.arm != arm:
                continue
            where = bucket(pair.at - START)
            if not pair.champion_failed and not pair.challenger_failed and pair.noise_differs is not None:
                d = pair.differs - pair.noise_differs
                noise[where][0 if d > 0 else 1 if d < 0 else 2] += 1
            d = pair.challenger_failed - pair.champion_failed
            failed[where][0 if d > 0 else 1 if d < 0 else 2] += 1
            who = pair.unit or pair.decision_id
            if (who, where) not in seen:
                seen.add((who, where))
                for side, ms in enumerate((pair.champion_ms, pair.challenger_ms)):
                    histogram = cells[(where, 0, 0.5)][side]
                    histogram[latency_bin(ms)] = histogram.get(latency_bin(ms), 0) + 1
        same_pairs(measured.gates[DISAGREEMENT, arm], noise)
        same_pairs(measured.metrics["errors", arm], failed)
        same_histogram(measured.metrics["latency", arm], cells)
        assert measured.progress.pairs[arm] == sum(pair.arm == arm for pair in pairs)
        assert isinstance(measured.metrics["purchase", arm], Absent)
    assert measured.progress.mirrored == min(measured.progress.pairs.values())


def test_without_noise_every_pair_counts(kept: Kept) -> None:
    quiet = replace(ROLLOUT, stages=(Shadow(), *ROLLOUT.stages[1:]))
    world = make(22, 0, end=60.0)
    kept.add(world.facts, [])
    found = kept.engine.measure(quiet, world.position, START + 60.0).gates[DISAGREEMENT, "v2"]
    assert isinstance(found, PairedMoments)
    both = [p for p in Naive(world, START + 60.0).pairs() if p.arm == "v2" and not p.champion_failed]
    both = [p for p in both if not p.challenger_failed]
    assert int(found.plus.sum()) == sum(p.differs for p in both)
    assert int(found.plus.sum() + found.zero.sum()) == len(both)
    assert int(found.minus.sum()) == 0


def plainly(measured: Measured) -> Any:
    """Everything measured but the versions of the tables, comparable."""

    def told(value: Any) -> Any:
        if isinstance(value, RateMoments | MeanMoments | QuantileMoments | PairedMoments):
            names = type(value).__dataclass_fields__
            return {name: np.asarray(getattr(value, name)).tolist() for name in names}
        return value

    everything = {**measured.metrics, **measured.gates}
    rounded = {key: _rounded(told(value)) for key, value in everything.items()}
    return rounded, measured.reach, replace(measured.progress, orphans=None)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


@pytest.mark.parametrize("stage", [1, 2])
def test_order_repeats_and_looks_in_between_change_nothing(tmp_path: Path, stage: int) -> None:
    """Facts in any order, outcomes told twice, a look after every drain, files rewritten: the same answer."""
    world = make(31, stage, steps=(0.0, 30.0, 50.0) if stage == 1 else (0.0,))
    answers = []
    for run in range(3):
        rng = random.Random(run)
        facts, outcomes = list(world.facts), list(world.outcomes)
        if run:
            rng.shuffle(facts)
            outcomes += rng.sample(outcomes, len(outcomes) // 2)
            rng.shuffle(outcomes)
        lake = Lake(tmp_path / str(run))
        engine = Engine(lake, threads=1)
        kept = Kept(lake, engine, tmp_path / str(run))
        parts = 1 if run == 0 else 4
        for part in range(parts):
            kept.add(facts[part::parts], outcomes[part::parts], parts=2)
            if run == 1:
                engine.measure(ROLLOUT, world.position, START + 30.0)
            if run == 2:
                lake.optimize(small_files=2)
        measured = engine.measure(ROLLOUT, world.position, START + 75.0)
        answers.append(plainly(measured))
        if run == 1:
            again = engine.measure(ROLLOUT, world.position, START + 75.0, facts=measured.facts)
            assert plainly(again) == plainly(measured)
        engine.close()
        lake.close()
    assert answers[0] == answers[1] == answers[2]


def test_a_look_can_be_repeated_at_its_versions(kept: Kept) -> None:
    world = make(41, 3)
    kept.add(world.facts[:700], world.outcomes[:300])
    now = START + 60.0
    then = kept.engine.measure(ROLLOUT, world.position, now)
    kept.add(world.facts[700:], world.outcomes[300:])
    kept.lake.optimize(small_files=2)
    assert plainly(kept.engine.measure(ROLLOUT, world.position, now)) != plainly(then)
    assert plainly(kept.engine.measure(ROLLOUT, world.position, now, facts=then.facts)) == plainly(then)


def test_reach_counts_who_was_touched_in_any_stage(kept: Kept) -> None:
    facts = [
        exposed(1, unit="a", arm="v2", served_by="v1", mode="canary", stage=1, failed=True),
        exposed(2, unit="a", arm="v2", mode="ab", stage=3),
        exposed(3, unit="b", arm="v1", mode="canary", stage=1),
        exposed(4, unit="b", arm="v2", mode="ab", stage=3),
        exposed(5, unit="c", arm="v2", mode="ab", stage=3),
        exposed(6, unit="", arm="v1", mode="ab", stage=3),
        exposed(7, unit="d", arm="v1", mode="champion", stage=3),
    ]
    outcomes = [
        outcome("1", decision_id="d3"),  # b, when it was still on v1
        outcome("2", decision_id="d5"),  # c on v2
        outcome("3", decision_id="d5"),
        outcome("4", decision_id="d2", value=0.0),
        outcome("5", rollout="r1", unit="b", at=START + 1.0),  # b on v2 by then
    ]
    kept.add(facts, outcomes)
    position = Position(phase=Phase.RUNNING, stage=3, stage_since=START, step_since=START)
    reach = kept.engine.measure(ROLLOUT, position, START + 10.0).reach
    assert reach.units == {"v1": 1, "v2": 3}
    assert reach.failed_units == {"v1": 0, "v2": 1}
    assert (reach.events["purchase", "v1"], reach.events["purchase", "v2"]) == (1, 2)
    assert (reach.events["errors", "v2"], reach.events["errors", "v3"]) == (1, 0)


def test_silence_has_reasons(kept: Kept) -> None:
    pending = kept.engine.measure(ROLLOUT, Position(), START)
    assert {m.reason for m in pending.metrics.values() if isinstance(m, Absent)} == {"the rollout has not started"}
    position = Position(phase=Phase.RUNNING, stage=3, stage_since=START, step_since=START)
    empty = kept.engine.measure(ROLLOUT, position, START)
    assert all(isinstance(moments, Absent) and moments.reason for moments in empty.metrics.values())
    kept.add([exposed(1, stage=3)], [])
    early = kept.engine.measure(ROLLOUT, position, START + 1.0).metrics["purchase", "v2"]
    assert isinstance(early, RateMoments)
    assert (early.immature, early.n_a.sum()) == (1, 0)
    later = kept.engine.measure(ROLLOUT, position, START + 100.0).metrics["purchase", "v2"]
    assert isinstance(later, Absent)
    assert "no outcome named purchase" in later.reason
