"""How a rollout's alpha is split: which tests there will be, and how often each may be wrong.

Over the rollout's life P(false rollback) ≤ alpha, because the harm tests of all stages share it (a union bound, good
under any dependence and at any look); P(promoting a challenger that is worse) ≤ alpha, because promotion needs every
guardrail safe and every goal superior at once (an intersection needs no split), and challengers share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.judge.infer.preference import PREFERENCE
from crossfade.spec.model import (
    Ab,
    Better,
    Canary,
    Interleave,
    Kind,
    Margin,
    Metric,
    Promote,
    Rollout,
    Shadow,
    Source,
    stage_name,
)

CATASTROPHIC = "catastrophic"
"""The gate that every shadow has, at no margin unless the spec gives one: replies that nobody can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTest:
    """One line of evidence that a stage will have, with the error allowed to each of its verdicts."""

    stage: int
    stage_name: str
    metric: Metric
    role: str
    """`guardrail`, `goal` or `gate`. A goal with a margin is one line: harm beyond the margin, safe above 0."""
    limit: Margin | None
    arm: str
    alpha_harm: float
    alpha_safe: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaPlan:
    """Every test of a rollout."""

    alpha: float
    tests: tuple[PlannedTest, ...]

    def stage(self, index: int) -> tuple[PlannedTest, ...]:
        """The tests of one stage."""
        return tuple(test for test in self.tests if test.stage == index)

    def test(self, stage: int, metric: str, arm: str) -> PlannedTest:
        """One test. Raises KeyError when the stage has no such test."""
        for test in self.tests:
            if (test.stage, test.metric.name, test.arm) == (stage, metric, arm):
                return test
        raise KeyError((stage, metric, arm))

    def harm(self, stage: int, metric: str, arm: str) -> float:
        """The error allowed to a verdict of *harmful*."""
        return self.test(stage, metric, arm).alpha_harm

    def safe(self, stage: int, metric: str, arm: str) -> float:
        """The error allowed to a verdict of *safe*."""
        return self.test(stage, metric, arm).alpha_safe

    def rows(self) -> tuple[Mapping[str, str | float], ...]:
        """The split for printing, one row a test."""
        return tuple(
            {
                "stage": test.stage_name,
                "metric": test.metric.name,
                "role": test.role,
                "arm": test.arm,
                "alpha_harm": test.alpha_harm,
                "e_harm": 1.0 / test.alpha_harm,
                "alpha_safe": test.alpha_safe,
                "e_safe": 1.0 / test.alpha_safe,
            }
            for test in self.tests
        )


def alpha_plan(rollout: Rollout) -> AlphaPlan:
    """The tests of every stage. Harm: alpha evenly over all of them. Safety: alpha over the challengers."""
    asked = [
        (index, metric, role, limit, arm.name)
        for index in range(len(rollout.stages))
        for metric, role, limit in questions(rollout, index)
        for arm in rollout.challengers
    ]
    return AlphaPlan(
        alpha=rollout.alpha,
        tests=tuple(
            PlannedTest(
                stage=index,
                stage_name=stage_name(rollout.stages[index]),
                metric=metric,
                role=role,
                limit=limit,
                arm=arm,
                alpha_harm=rollout.alpha / len(asked),
                alpha_safe=rollout.alpha / len(rollout.challengers),
            )
            for index, metric, role, limit, arm in asked
        ),
    )


MISMATCH_ALPHA = 0.01
"""How often a rollout whose units are assigned as planned may be held because they seem not to be."""


def mismatch_alpha(rollout: Rollout) -> float:
    """The share of it that each check of a stage and challenger gets. It only holds, so it costs no test anything."""
    checked = sum(isinstance(stage, Canary | Ab) for stage in rollout.stages)
    return MISMATCH_ALPHA / max(checked * len(rollout.challengers), 1)


def questions(rollout: Rollout, index: int) -> tuple[tuple[Metric, str, Margin | None], ...]:
    """(metric, role, limit) of each question one stage asks of every challenger.

    Shadow: its gates (always the one on unusable replies), and the guardrails that a reply alone can answer.
    Interleaving: preference, and the guardrails.
    Promotion: what its holdback can still compare. Other stages: guardrails and goals.
    """
    stage = rollout.stages[index]
    asked = [m for m in rollout.metrics if (m.source is Source.PREDICTION) <= isinstance(stage, Shadow)]
    guardrails = tuple((m, "guardrail", m.guardrail) for m in asked if m.guardrail is not None and not m.goal)
    goals = tuple((m, "goal", m.guardrail) for m in asked if m.goal)
    if isinstance(stage, Shadow):
        limits = {**dict(stage.gates), CATASTROPHIC: dict(stage.gates).get(CATASTROPHIC, 0.0)}
        gates = tuple((gate(name), "gate", Margin(value=limit, relative=False)) for name, limit in limits.items())
        return gates + tuple(
            one for one in guardrails + goals if seen_in_shadow(one[0]) and (one[1] != "goal" or labelled(one[0]))
        )
    if isinstance(stage, Interleave):
        return ((PREFERENCE, "goal", None), *guardrails)
    if isinstance(stage, Promote) and stage.holdback == 0.0:
        return ()
    return guardrails + goals


def gate(name: str) -> Metric:
    """The metric behind a shadow gate: the share of pairs that show it, beyond the champion's own."""
    return Metric(name=name, source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)


def seen_in_shadow(metric: Metric) -> bool:
    """Whether hidden replies alone can answer the metric."""
    return labelled(metric) or (metric.source is Source.RESPONSE and metric.kind in (Kind.RATE, Kind.QUANTILE))


def labelled(metric: Metric) -> bool:
    """Whether the metric sets predictions against labels, which only a shadow has of both models."""
    return metric.source is Source.PREDICTION
