"""How a rollout's alpha is split: which tests there will be, and how often each may be wrong.

Over the rollout's life P(false rollback) ≤ alpha, because the harm tests of all stages share it (a union bound, good
under any dependence and at any look); P(promoting a challenger that is worse) ≤ alpha, because promotion needs every
guardrail safe and every goal superior at once (an intersection needs no split), and challengers share it.

Where the spec declares segments they take `SEGMENT_SHARE` of the alpha of harm. It is split evenly over what is asked
of segments and over their fields, and over the values of a field, which nobody knows beforehand, by the order in which
they come to have enough units: the n-th gets 1/n of what the first gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

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


SEGMENT_SHARE = 0.2
"""Of a rollout's alpha, what the segments that its spec declares may spend on finding harm."""

MOST_SEGMENTS = 20
"""Values of one field that are told apart, each with tests of its own."""


def place_share(place: int) -> float:
    """Of a field's alpha, what the value gets that was the n-th to have enough units (`place` is n − 1).

    However many values there turn out to be, each has at least 28 % of what an even split over them would give.
    """
    return 1.0 / ((place + 1) * sum(1.0 / n for n in range(1, MOST_SEGMENTS + 1)))


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
    alpha_field: float = 0.0
    """The error allowed to *harmful* in all segments of one field together; 0 where segments are not asked."""

    def alpha_segment(self, place: int) -> float:
        """The error allowed to *harmful* in one segment: of the value of its field with this place."""
        return self.alpha_field * place_share(place)


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
                "alpha_field": test.alpha_field,
            }
            for test in self.tests
        )


@lru_cache(maxsize=256)
def alpha_plan(rollout: Rollout) -> AlphaPlan:
    """The tests of every stage. Harm: alpha evenly over all of them. Safety: alpha over the challengers.

    What segments may spend is taken off first.
    """
    asked = [
        (index, metric, role, limit, arm.name)
        for index in range(len(rollout.stages))
        for metric, role, limit in questions(rollout, index)
        for arm in rollout.challengers
    ]
    fields = len(rollout.segments)
    each = sum(_of_segments(rollout, index, metric, role) for index, metric, role, _, _ in asked) * fields
    spared = SEGMENT_SHARE if each else 0.0
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
                alpha_harm=rollout.alpha * (1.0 - spared) / len(asked),
                alpha_safe=rollout.alpha / len(rollout.challengers),
                alpha_field=rollout.alpha * spared / each
                if each and _of_segments(rollout, index, metric, role)
                else 0.0,
            )
            for index, metric, role, limit, arm in asked
        ),
    )


def _of_segments(rollout: Rollout, index: int, metric: Metric, role: str) -> bool:
    """Whether a question is asked of segments too.

    Of mirrored requests: whether they differ, and whether they fail. Replies that nobody can use name the segments they
    come from, and the votes of interleaved lists are too few for it.
    """
    stage = rollout.stages[index]
    if isinstance(stage, Shadow):
        differing = role == "gate" and metric.name != CATASTROPHIC
        return differing or (role != "gate" and metric.source is Source.RESPONSE and metric.kind is Kind.RATE)
    return not (isinstance(stage, Interleave) and metric.name == PREFERENCE.name)


MISMATCH_ALPHA = 0.01
"""How often a rollout whose units are assigned as planned may be held because they seem not to be."""


def mismatch_alpha(rollout: Rollout) -> float:
    """The share of it that each check of a stage and challenger gets. It only holds, so it costs no test anything."""
    checked = sum(isinstance(stage, Canary | Ab) for stage in rollout.stages)
    if any(metric.differing for metric in rollout.metrics):
        # Those of its units that came to differ are checked by themselves.
        checked *= 2
    return MISMATCH_ALPHA / max(checked * len(rollout.challengers), 1)


def questions(rollout: Rollout, index: int) -> tuple[tuple[Metric, str, Margin | None], ...]:
    """(metric, role, limit) of each question one stage asks of every challenger.

    Shadow: its gates (always the one on unusable replies), and the guardrails that a reply alone can answer.
    Interleaving: preference, and the guardrails.
    Promotion: what its holdback can still compare. Other stages: guardrails and goals.
    """
    stage = rollout.stages[index]
    asked = [m for m in rollout.metrics if m.only_in_shadow <= isinstance(stage, Shadow)]
    if not isinstance(stage, Canary | Ab):
        # Which requests differ is known where copies of them are made.
        asked = [metric for metric in asked if not metric.differing]
    guardrails = tuple((m, "guardrail", m.guardrail) for m in asked if m.guardrail is not None and not m.goal)
    goals = tuple((m, "goal", m.guardrail) for m in asked if m.goal)
    if isinstance(stage, Shadow):
        limits = {**dict(stage.gates), CATASTROPHIC: dict(stage.gates).get(CATASTROPHIC, 0.0)}
        gates = tuple((gate(name), "gate", Margin(value=limit, relative=False)) for name, limit in limits.items())
        return gates + tuple(
            one for one in guardrails + goals if seen_in_shadow(one[0]) and (one[1] != "goal" or one[0].only_in_shadow)
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
    answered = (Kind.RATE, Kind.QUANTILE, Kind.MEAN)
    return metric.only_in_shadow or (metric.source is Source.RESPONSE and metric.kind in answered)
