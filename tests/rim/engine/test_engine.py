"""The engine against a recomputation in plain Python: the same facts, the same moments, whatever the order."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Exposed, Fact, Outcome
from crossfade.judge.measure import DISAGREEMENT, PREFERENCE, Absent, Measured, bucket, latency_bin
from crossfade.judge.moments import BINS, MeanMoments, Moments, PairedMoments, QuantileMoments, RateMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import (
    Shadow,
)
from crossfade.state import Phase, Position
from rim.by_hand import ARMS, ROLLOUT, SETTLE, WINDOW, Naive, make, share
from rim.facts_made import START, exposed, outcome


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


def rates_of(moments: Moments | Absent) -> dict[tuple[int, int, float], list[int]]:
    assert isinstance(moments, RateMoments)
    order = list(zip(moments.bucket, moments.step, strict=True))
    assert order == sorted(order)
    columns = [moments.n_a, moments.k_a, moments.seen_a, moments.n_b, moments.k_b, moments.seen_b]
    counted = [column for column in columns if column is not None]
    assert len(counted) == (4 if moments.settled else 6)
    rows = zip(moments.bucket, moments.step, moments.share, *counted, strict=True)
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
            assert moments.low + len(counts) <= BINS
            assert {moments.low + int(b): int(counts[b]) for b in np.flatnonzero(counts)} == expected


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
    for fact in naive.arrived.values():
        if fact.arm in ("v1", arm):
            side = cells[(bucket(fact.at - START), fact.step, share(fact.weight))][fact.arm == arm]
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
    came: dict[str, set[str]] = defaultdict(set)
    for fact in naive.scope:
        if fact.step == measured.step:
            came[fact.arm].add(fact.unit)
    assert progress.step_units == {arm: len(found) for arm, found in came.items()}
    assert progress.fallbacks["v2"] == sum(f.failed for f in everything if f.arm == "v2")
    decisions = {f.decision_id for f in naive.facts if isinstance(f, Exposed)}
    unique = {r.outcome_id: r for r in naive.reports}.values()
    assert progress.orphans is not None
    assert progress.orphans + (progress.early or 0) >= sum(
        bool(r.decision_id) and r.decision_id not in decisions for r in unique
    )


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


def test_without_corrections_a_vote_never_changes_once_cast(kept: Kept) -> None:
    world = make(13, 2, end=60.0)
    kept.add(world.facts, [report for report in world.outcomes if not report.corrects])
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
        assert measured.progress.failed_pairs[arm] == sum(pair.arm == arm and pair.challenger_failed for pair in pairs)
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
