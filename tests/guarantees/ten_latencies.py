"""Whole looks at ten latencies of two equal arms, each of which wanders by itself on its arm's own hosts."""

from __future__ import annotations

import numpy as np

from crossfade.judge.assess import assess
from crossfade.judge.decide import decide
from crossfade.judge.measure.measured import Measured, Progress
from crossfade.judge.seen import seen_of
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import Move, Position, apply

from . import hosts
from .worlds import quantiles_until

METRICS = 10
HOURS = 12
BEGAN = 1_790_000_000.0

HEAD = """
name: r
route: /r
protocol: json
unit: header:x-user-id
champion:   {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
metrics:
"""
METRIC = "  latency-{}: {{from: response, kind: quantile, q: 0.9, {}better: lower, guardrail: {{margin: 0%}}}}\n"
STAGES = "stages: [canary: {steps: [50%], hold_for: 13h}, promote: {}]\n"


def rollout(blocks: str) -> Rollout:
    """None of ten latencies may be worse at all; an empty word for units that are taken to be independent."""
    told = f"blocks: {blocks}, " if blocks else ""
    return parse(HEAD + "".join(METRIC.format(n, told) for n in range(METRICS)) + STAGES)


def stopped(seed: int, asked: Rollout, correlation: float, looks: int = HOURS) -> bool:
    """Whether harm is ever claimed of equal arms: by the rules that a controller goes by, at each look."""
    rng, shape = np.random.default_rng([71, seed]), {"correlation": correlation, "together": 10}
    worlds = [hosts.latencies(rng, "hosts", 0.5, 60 * HOURS, 60.0, **shape) for _ in range(METRICS)]
    position = apply(asked, Position(), Move.START, BEGAN)
    for rows in np.linspace(6 * HOURS / looks, 6 * HOURS, looks).astype(int).tolist():
        units = {"v1": int(worlds[0].counts_a[:rows].sum()), "v2": int(worlds[0].counts_b[:rows].sum())}
        measured = Measured(
            rollout=asked.name, stage=0, step=0, mode="canary", since=BEGAN, now=BEGAN + 600.0 * rows,
            metrics={(f"latency-{n}", "v2"): quantiles_until(world, rows) for n, world in enumerate(worlds)},
            progress=Progress(requests=sum(units.values()), units=units, step_units=units),
        )  # fmt: skip
        decision = decide(asked, position, assess(asked, measured), measured.now, seen_of(measured))
        if decision.rule == "harm" and decision.move is Move.ROLLBACK:
            return True
    return False


def alarms(correlation: float, runs: int, blocks: str) -> int:
    """Runs in which it is."""
    asked = rollout(blocks)
    return sum(stopped(seed, asked, correlation) for seed in range(runs))
