"""A rollout with every stage, and evidence for it with chosen verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.plan import alpha_plan
from crossfade.spec.model import (
    Ab,
    Arm,
    Better,
    Canary,
    Field,
    From,
    Interleave,
    Kind,
    Margin,
    Metric,
    Promote,
    Protocol,
    Rollout,
    Shadow,
    Source,
    Stage,
    Until,
)
from crossfade.state import Phase, Position

ERRORS = Metric(
    name="errors",
    source=Source.RESPONSE,
    kind=Kind.RATE,
    better=Better.LOWER,
    guardrail=Margin(value=0.005, relative=False),
)
LATENCY = Metric(
    name="latency",
    source=Source.RESPONSE,
    kind=Kind.QUANTILE,
    q=0.99,
    better=Better.LOWER,
    guardrail=Margin(value=0.2, relative=True),
)
COMPLAINT = Metric(
    name="complaint",
    source=Source.OUTCOME,
    kind=Kind.RATE,
    better=Better.LOWER,
    window=600.0,
    guardrail=Margin(value=0.01, relative=False),
)
PURCHASE = Metric(name="purchase", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=600.0, goal=True)

SHADOW = Shadow(gates=(("disagreement", 0.05),), until=Until(requests=1000, at_most=86400.0))
CANARY = Canary(steps=(0.01, 0.05, 0.2), hold_for=600.0, budget=(("complaint", 50.0),), until=Until(at_most=7200.0))
INTERLEAVE = Interleave(weight=0.3, until=Until(decided=True, at_most=86400.0))
AB = Ab(weight=0.5, until=Until(decided=True, at_most=14 * 86400.0))
PROMOTE = Promote(holdback=0.02, watch=3600.0)

NOON = 1_790_251_200.0
"""2026-09-24 12:00 UTC."""


def rollout(
    *stages: Stage, metrics: tuple[Metric, ...] = (ERRORS, LATENCY, COMPLAINT, PURCHASE), challengers: int = 1
) -> Rollout:
    return Rollout(
        name="ranker",
        route="/r",
        protocol=Protocol.JSON,
        unit=Field(source=From.HEADER, name="x-user-id"),
        champion=Arm(name="v1", url="http://127.0.0.1:1"),
        challengers=tuple(Arm(name=f"v{n + 2}", url="http://127.0.0.1:2") for n in range(challengers)),
        metrics=metrics,
        stages=stages or (SHADOW, CANARY, INTERLEAVE, AB, PROMOTE),
    )


def at(stage: int = 0, step: int = 0, *, phase: Phase = Phase.RUNNING, **changes: Any) -> Position:
    held = phase is Phase.HELD
    settings: dict[str, Any] = {
        "stage_since": NOON,
        "step_since": NOON,
        "held_by": "rule" if held else None,
        "held_since": NOON if held else None,
    }
    return Position(phase=phase, stage=stage, step=step, **(settings | changes))


def lines(
    asked: Rollout,
    stage: int,
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    default: Verdict = Verdict.SAFE,
    **changes: Any,
) -> list[Evidence]:
    """A line for every planned test of the stage, with the verdicts asked for."""
    return [
        line(
            test.metric,
            test.arm,
            (verdicts or {}).get(test.metric.name, default),
            stage=test.stage_name,
            role=test.role,
            alpha=test.alpha_harm,
            **changes,
        )
        for test in alpha_plan(asked).stage(stage)
    ]


def line(
    metric: Metric, arm: str, verdict: Verdict, *, stage: str, role: str, alpha: float, **changes: Any
) -> Evidence:
    absent = verdict is Verdict.UNMEASURED
    sign = 1 if metric.better is Better.LOWER else -1
    worst = {Verdict.HARMFUL: 0.02, Verdict.SAFE: -0.001}.get(verdict, 0.001) * sign
    settings: dict[str, Any] = {
        "units": {"v1": 5000, arm: 300},
        "estimate": None if absent else worst,
        "lower": None if absent else worst - 0.004,
        "upper": None if absent else worst + 0.004,
        "e_value": None if absent else (5.0 / alpha if verdict is Verdict.HARMFUL else 0.5),
        "limit": 0.0 if role == "goal" else 0.005 * sign,
        "reason": f"{metric.name} has no outcome from {arm} yet" if absent else "",
    }
    return Evidence(
        metric=metric.name,
        kind=str(metric.kind),
        arm=arm,
        baseline="v1",
        stage=stage,
        step=None,
        confidence=1.0 - alpha,
        better=str(metric.better),
        role=role,
        verdict=verdict,
        **(settings | changes),
    )
