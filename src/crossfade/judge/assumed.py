"""What somebody expects of a rollout's traffic: how much comes, and where each metric stands for either arm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scipy.special import ndtri

from crossfade.spec.model import Ab, Canary, Kind, Metric, Rollout, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is assumed of one metric."""

    value: float
    """The champion's: a share for rates, ms for latencies, else in the metric's own units."""
    change: float = 0.0
    """The challenger's, less the champion's."""
    spread: float = 1.0
    """Standard deviation over units, as a share of the value; of latencies that of their logarithm."""

    @property
    def values(self) -> tuple[float, float]:
        """The champion's and the challenger's."""
        return self.value, self.value + self.change

    def deviation(self, metric: Metric) -> float:
        """Standard deviation of one unit, in the units in which a difference of the metric is told."""
        match metric.kind:
            case Kind.RATE:
                return math.sqrt(max(self.value * (1.0 - self.value), 0.0))
            case Kind.COUNT:
                return math.sqrt(max(abs(value) for value in self.values))
            case Kind.QUANTILE:
                q = metric.q or 0.5
                density = (math.exp(-0.5 * float(ndtri(q)) ** 2) / math.sqrt(2.0 * math.pi)) / (
                    self.value * self.spread
                )
                return math.sqrt(q * (1.0 - q)) / float(density)
        return self.spread * (abs(self.value) or abs(self.change))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything assumed."""

    rate: float
    """New units per second, one request each."""
    metrics: Mapping[str, Assumed]
    disagreement: float = 0.0
    """Share of mirrored or copied requests on which the models differ."""
    preference: float = 0.0
    """Of units that prefer one ranking, how many more prefer the challenger's (−1 to 1)."""

    def differing(self, stage: Stage) -> float:
        """Share of units that a metric on those whose answers differ is about in a stage."""
        if not isinstance(stage, Canary | Ab) or stage.counterfactual is None or not stage.counterfactual.both:
            return 0.0
        return stage.counterfactual.share * self.disagreement

    def changed(self, changes: Mapping[str, float]) -> World:
        """The same with other changes by the challenger; what is not named does not change."""
        metrics = {name: replace(one, change=changes.get(name, 0.0)) for name, one in self.metrics.items()}
        return replace(self, metrics=metrics)


def at_margin(rollout: Rollout, world: World, metric: Metric) -> float:
    """The change by which a challenger stands exactly at a metric's limit: its margin, or nothing for a goal."""
    if metric.guardrail is None or metric.goal:
        return 0.0
    worse = 1.0 if metric.better == "lower" else -1.0
    scale = world.metrics[metric.name].value if metric.guardrail.relative else 1.0
    return worse * metric.guardrail.value * scale
