"""Costs of mirrored replies through the engine: facts in, a guardrail that stops a dear challenger out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.judge.assess import assess
from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Verdict
from crossfade.judge.moments import PairedMeans
from crossfade.rim.engine import Engine
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Better, Kind, Margin, Metric, Rollout, Shadow, Source, Until
from crossfade.state import Move, Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, compared

HERE = Position(phase=Phase.RUNNING, stage_since=START, step_since=START)
SPEND = Metric(
    name="spend",
    source=Source.COST,
    kind=Kind.MEAN,
    better=Better.LOWER,
    guardrail=Margin(value=0.1, relative=True),
)
SPEED = Metric(
    name="speed",
    source=Source.RESPONSE,
    kind=Kind.MEAN,
    better=Better.LOWER,
    guardrail=Margin(value=0.5, relative=True),
)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[tuple[Journal, Lake, Engine]]:
    lake, journal = Lake(tmp_path), Journal(tmp_path, "w0")
    engine = Engine(lake, threads=1)
    yield journal, lake, engine
    engine.close()
    journal.close()
    lake.close()


def rollout() -> Rollout:
    return replace(
        ROLLOUT,
        challengers=ROLLOUT.challengers[:1],
        metrics=(SPEND, SPEED),
        stages=(Shadow(until=Until(requests=100)), *ROLLOUT.stages[1:]),
    )


def test_means_per_unit_and_what_has_no_cost(data: tuple[Journal, Lake, Engine]) -> None:
    journal, lake, engine = data
    journal.append(
        [
            compared(0, unit="a", champion_cost=2.0, challenger_cost=4.0),
            compared(1, unit="a", champion_cost=4.0, challenger_cost=8.0),
            compared(2, unit="b", champion_cost=1.0, challenger_cost=1.0),
            compared(3, unit="b", champion_cost=1.0, challenger_cost=None),
            compared(4, unit="c"),
            compared(5, unit="", champion_cost=5.0, challenger_cost=5.0),
        ]
    )
    lake.compact_journals()
    kept = engine.measure(rollout(), HERE, START + 10.0)
    anew = engine.measure(rollout(), HERE, START + 10.0, facts=kept.facts)
    for found in (kept, anew):
        assert found.metrics["spend", "v2"] == PairedMeans(
            n=3, sum_a=9.0, squares_a=35.0, sum_b=12.0, squares_b=62.0, products=44.0, missing=2
        )


@pytest.mark.parametrize(("factor", "move"), [(1.02, Move.ADVANCE), (1.3, Move.ROLLBACK)])
def test_a_dear_challenger_is_stopped_before_anybody_meets_it(
    data: tuple[Journal, Lake, Engine], factor: float, move: Move
) -> None:
    journal, lake, engine = data
    pairs = []
    for n in range(400):
        cost, own = 1.0 + (n * 37 % 101), 1.0 + 0.1 * ((n * 13 % 11) - 5) / 5
        pairs.append(compared(n, unit=f"u{n}", champion_cost=cost, challenger_cost=cost * factor * own))
    journal.append(pairs)
    lake.compact_journals()
    asked = rollout()
    lines = assess(asked, engine.measure(asked, HERE, START + 10.0))
    spend = next(line for line in lines if line.metric == "spend")
    assert spend.verdict is (Verdict.SAFE if move is Move.ADVANCE else Verdict.HARMFUL)
    decision = decide(asked, HERE, lines, START + 10.0, Progress(mirrored=400))
    assert decision.move is move
    assert "spend" in decision.sentence
