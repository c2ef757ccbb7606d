"""Rehearsals end as the traffic that was assumed deserves, by the real rules, and come out alike from the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.assumed import Assumed, World
from crossfade.judge.infer.quantiles import running_quantile
from crossfade.judge.moments import QuantileMoments
from crossfade.sim.rehearsal import BEGAN, rehearsals
from crossfade.sim.synthetic import Stage
from crossfade.spec.model import Better, Kind, Margin, Metric, Source
from crossfade.state import Phase, Position
from judge.decide.rollouts import AB, CANARY, ERRORS, PROMOTE, PURCHASE, SHADOW, rollout

LATENCY = Metric(
    name="latency",
    source=Source.RESPONSE,
    kind=Kind.QUANTILE,
    q=0.95,
    better=Better.LOWER,
    guardrail=Margin(value=0.2, relative=True),
)
REVENUE = Metric(
    name="revenue",
    source=Source.OUTCOME,
    kind=Kind.MEAN,
    better=Better.HIGHER,
    window=60.0,
    guardrail=Margin(value=0.1, relative=True),
)
BASE = World(
    rate=60.0,
    metrics={
        "errors": Assumed(value=0.005),
        "latency": Assumed(value=200.0, spread=0.5),
        "purchase": Assumed(value=0.1),
        "revenue": Assumed(value=5.0),
    },
)
WHOLE = rollout(
    SHADOW,
    replace(CANARY, hold_for=120.0, budget=(("errors", 50.0),)),
    replace(AB, until=replace(AB.until, at_most=6 * 3600.0)),
    PROMOTE,
    metrics=(ERRORS, LATENCY, PURCHASE, REVENUE),
)


def only(change: dict[str, float], seed: int = 3):
    (run,) = rehearsals(WHOLE, BASE.changed(change), runs=1, seed=seed, growth=0.3)
    return run


def test_a_better_challenger_is_promoted_through_every_stage():
    run = only({"purchase": 0.03})
    assert run.phase is Phase.PROMOTED
    assert [passed.name for passed in run.stages] == ["shadow", "canary", "ab"]
    shadow, canary, ab = run.stages
    assert shadow.exposed == 0
    assert canary.seconds >= 360.0
    assert run.seconds == pytest.approx(sum(passed.seconds for passed in run.stages))
    assert run.reached == pytest.approx(shadow.seconds + canary.seconds)
    assert run.harm["purchase"] == pytest.approx(-0.03 * (canary.exposed + ab.exposed))


@pytest.mark.parametrize("change", [{"errors": 0.3}, {"latency": 400.0}])
def test_a_broken_challenger_does_not_get_out_of_shadow(change):
    run = only(change)
    assert (run.phase, run.rule) == (Phase.ROLLED_BACK, "harm")
    assert [passed.name for passed in run.stages] == ["shadow"]


def test_what_hidden_answers_cannot_show_is_found_in_the_canary_or_after():
    run = only({"purchase": -0.06})
    assert (run.phase, run.rule) == (Phase.ROLLED_BACK, "harm")
    assert run.harm["purchase"] > 0.0


def test_the_same_seed_gives_the_same_run():
    first, again, other = (only({"purchase": -0.06}, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_traffic_is_what_was_assumed():
    rng = np.random.default_rng(1)
    position = Position(phase=Phase.RUNNING, stage=2, stage_since=BEGAN, step_since=BEGAN)
    stage = Stage(WHOLE, position, BASE.changed({"latency": 100.0, "revenue": 1.0}), rng)
    for second in range(100, 4001, 100):
        stage.pass_time(position, BEGAN + second)
    seen = stage.measured(position, BEGAN + 4000)
    assert seen.progress.units["v2"] == pytest.approx(120_000, rel=0.02)
    errors, latency, revenue = (seen.metrics[name, "v2"] for name in ("errors", "latency", "revenue"))
    assert errors.k_a.sum() / errors.n_a.sum() == pytest.approx(0.005, rel=0.2)
    assert isinstance(latency, QuantileMoments)
    assert running_quantile(latency.counts_a.sum(axis=0), 0.95) == pytest.approx(200.0, rel=0.04)
    assert running_quantile(latency.counts_b.sum(axis=0), 0.95) == pytest.approx(300.0, rel=0.04)
    assert revenue.sum_b.sum() / revenue.n_b.sum() == pytest.approx(6.0, rel=0.02)
    assert revenue.immature == pytest.approx(6000, rel=0.1)
    assert revenue.n_b.sum() + revenue.n_a.sum() + revenue.immature == sum(seen.progress.units.values())
    assert not seen.gates
