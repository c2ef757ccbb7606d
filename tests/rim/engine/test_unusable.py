"""Replies that nobody can use, and muted fields: what the engine counts, recomputed pair by pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.facts import Compared
from crossfade.judge.assess import assess
from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Verdict
from crossfade.judge.measure import DISAGREEMENT, bucket
from crossfade.judge.moments import PairedMoments
from crossfade.rim.engine import Engine
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Comparison, Field, From, Rollout, Shadow, Until
from crossfade.state import Move, Phase, Position
from rim.by_hand import ARMS, ROLLOUT, Naive, make
from rim.facts_made import START, compared

MUTED = replace(ROLLOUT, compare=(Comparison(path="$.a", mute="random"), Comparison(path="$.d", mute="a time")))
HERE = Position(phase=Phase.RUNNING, stage_since=START, step_since=START)


class Kept:
    def __init__(self, data: Path) -> None:
        self.lake = Lake(data)
        self.journal = Journal(data, "w0")
        self.engine = Engine(self.lake, threads=1)

    def add(self, *facts: Compared) -> None:
        self.journal.append(list(facts))
        self.lake.compact_journals()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.engine.close()
    made.journal.close()
    made.lake.close()


def is_muted(path: str) -> bool:
    return any(path == mute or path.startswith((f"{mute}.", f"{mute}[")) for mute in ("$.a", "$.d"))


def counts(flag: bool, fields: tuple[str, ...], mutes: bool, *, full: bool) -> bool:
    if not flag or not mutes or not fields:
        return flag
    return any(not is_muted(path) for path in fields) or (full and len(fields) == 8)


@pytest.mark.parametrize("rollout", [ROLLOUT, MUTED], ids=["as-recorded", "muted"])
def test_gates_count_what_a_plain_walk_over_the_pairs_counts(kept: Kept, rollout: Rollout) -> None:
    world = make(41, 0, end=60.0)
    kept.add(*(fact for fact in world.facts if isinstance(fact, Compared)))
    measured = kept.engine.measure(rollout, world.position, START + 55.0)
    mutes = rollout is MUTED
    for arm in ARMS:
        gates: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
        for pair in Naive(world, START + 55.0).pairs():
            if pair.arm != arm:
                continue
            told = zip(pair.fields, pair.kinds, strict=True)
            worst = any(kind in ("nan", "shape", "invalid") and not (mutes and is_muted(path)) for path, kind in told)
            bad = pair.reason in ("nan", "truncated") if pair.challenger_failed else worst
            d = (bad and not pair.champion_failed) - (pair.champion_failed and not pair.challenger_failed)
            gates["catastrophic"][bucket(pair.at - START)][[2, 0, 1][d]] += 1
            if not pair.champion_failed and not pair.challenger_failed and pair.noise_differs is not None:
                ours = counts(pair.differs, pair.fields, mutes, full=True)
                d = ours - counts(pair.noise_differs, pair.noise_fields, mutes, full=False)
                gates[DISAGREEMENT][bucket(pair.at - START)][[2, 0, 1][d]] += 1
        for name, cells in gates.items():
            found = measured.gates[name, arm]
            assert isinstance(found, PairedMoments)
            rows = zip(found.bucket, found.plus, found.minus, found.zero, strict=True)
            assert {int(b): [int(p), int(m), int(z)] for b, p, m, z in rows} == cells
    assert any(
        measured.gates[DISAGREEMENT, arm].plus.sum()
        for arm in ARMS  # type: ignore[union-attr]
    )


def test_a_model_that_returns_nan_for_one_segment_is_stopped_and_the_segment_is_named(kept: Kept) -> None:
    """Of 20 requests one is from there; the gate looks after every ten."""
    rollout = replace(
        ROLLOUT,
        challengers=ROLLOUT.challengers[:1],
        segments=(Field(source=From.HEADER, name="x-country"), Field(source=From.JSON, name="$.platform")),
        stages=(Shadow(until=Until(requests=100_000)), *ROLLOUT.stages[1:]),
    )
    bad = 0
    for n in range(0, 4000, 10):
        pairs = []
        for i in range(n, n + 10):
            country, platform = ("at", "de", "fr", "it")[i % 4] if i % 20 else "ch", ("web", "ios")[i // 20 % 2]
            bad += country == "ch"
            nan = {"challenger_failed": True, "reason": "nan"} if country == "ch" else {}
            pairs.append(compared(i, segments=(country, platform), **nan))
        kept.add(*pairs)
        measured = kept.engine.measure(rollout, HERE, START + 100.0)
        evidence = assess(rollout, measured)
        decision = decide(rollout, HERE, evidence, START + 100.0, Progress(mirrored=n + 10))
        if decision.move is Move.ROLLBACK:
            break
    assert decision.rule == "harm"
    assert bad <= 20
    assert "v2 gives replies that nobody can use: nan in" in decision.sentence
    assert f"all where header:x-country is ch ({bad} of {bad} there)" in decision.sentence
    (line,) = (line for line in evidence if line.metric == "catastrophic")
    assert line.verdict is Verdict.HARMFUL
    assert "x-country is ch" in line.reason


def test_a_champion_that_is_no_better_does_not_get_the_challenger_stopped(kept: Kept) -> None:
    rollout = replace(ROLLOUT, challengers=ROLLOUT.challengers[:1])
    nan = {"challenger_failed": True, "reason": "nan"}
    kept.add(*(compared(n, champion_failed=n % 3 == 0, **(nan if n % 3 != 2 else {})) for n in range(400)))
    kept.add(*(compared(n, champion_failed=True) for n in range(400, 700)))
    (line,) = (
        line
        for line in assess(rollout, kept.engine.measure(rollout, HERE, START + 100.0))
        if line.metric == "catastrophic"
    )
    assert line.verdict is not Verdict.HARMFUL


def test_a_dead_model_is_an_error_and_not_a_reply_that_nobody_can_use(kept: Kept) -> None:
    rollout = replace(ROLLOUT, challengers=ROLLOUT.challengers[:1])
    kept.add(
        *(compared(n, challenger_failed=True, reason=("timeout", "refused", "cut", "status")[n % 4]) for n in range(99))
    )
    found = kept.engine.measure(rollout, HERE, START + 100.0).gates["catastrophic", "v2"]
    assert isinstance(found, PairedMoments)
    assert (int(found.plus.sum()), found.remark) == (0, "")
