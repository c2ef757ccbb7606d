"""What a rollout will take and can see, before it starts: by the judge's own boundary and normal approximations.

`crossfade simulate` measures the same figures with the real rules; this answers at once, and roughly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.judge import unharmed
from crossfade.judge.assumed import Assumed, World
from crossfade.judge.decide import ramp, ruin, weeks
from crossfade.judge.infer.boundary import radius
from crossfade.judge.plan import PlannedTest, alpha_plan
from crossfade.spec.model import (
    HASTE,
    Ab,
    Canary,
    Interleave,
    Kind,
    Metric,
    Prior,
    Promote,
    Rollout,
    Shadow,
    Source,
    stage_name,
)
from crossfade.state import planned_weight

SURE = 1.2816
"""Standard errors beyond the boundary at which nine of ten runs have crossed it."""

POWER = 0.8416
"""The same for eight of ten, at which an effect is called detectable."""

VOTING = 0.3
"""Share of interleaved units that are taken to prefer one of the two rankings."""

_FURTHEST = 1e13


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One metric in one stage."""

    metric: str
    kind: str
    detectable: float | None
    """The smallest harmful difference that is found in 80 % of runs by the end of the stage, in the metric's own units;
    None where the stage does not see the metric in time."""
    worst_harm: float | None
    """The most that any difference is expected to cost in this stage: units times difference, until it is found."""
    worst_at: float | None
    """The difference that costs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """One stage."""

    stage: str
    weights: tuple[float, ...]
    expected: float | None
    """Seconds until it has seen enough, if the challenger is as assumed; None where it is given up undecided first."""
    sure: float | None
    """Seconds within which nine of ten have."""
    gives_up: float | None
    """Seconds after which it is given up."""
    exposed: float
    """Challenger units by the expected end (or until it is given up)."""
    false_rollback: float
    """Bound on the probability of rolling back a challenger that is no worse than its margins."""
    false_promotion: float
    """Bound on the probability of promoting one that is worse than a margin, from this stage."""
    effects: tuple[Effect, ...]
    notes: tuple[str, ...] = ()


def forecast(rollout: Rollout, world: World) -> tuple[StageForecast, ...]:
    """Every stage that a rule can leave; promotion's own watch is as long as the spec says."""
    plan = alpha_plan(rollout)
    return tuple(
        _Stage(rollout, world, index, plan.stage(index)).told()
        for index, stage in enumerate(rollout.stages)
        if not isinstance(stage, Promote)
    )


class _Stage:
    """One stage's arithmetic. Time is cut into its steps, each with a weight and a length in seconds."""

    def __init__(self, rollout: Rollout, world: World, index: int, tests: Sequence[PlannedTest]) -> None:
        self.rollout, self.world, self.tests, self.index = rollout, world, tests, index
        self.stage = rollout.stages[index]
        self.many = len(rollout.challengers)
        self.notes: list[str] = []
        following = rollout.stages[index + 1 : index + 2]
        self.last = bool(following) and isinstance(following[0], Promote)

    def told(self) -> StageForecast:
        expected, sure = (self._ends(beyond) for beyond in (0.0, SURE))
        gives_up = self.stage.until.at_most if not isinstance(self.stage, Promote) else None
        if gives_up is not None and expected > gives_up:
            self.notes.append("not decided in its time, if the challenger is as assumed: it would be given up")
        end = min(expected, gives_up or math.inf)
        if isinstance(self.stage, Ab) and weeks.ragged(end):
            self.notes.append(
                f"it would be over after about {end / weeks.DAY:.2g} d, which is not whole weeks; weekdays differ, and "
                f"{weeks.whole(end) / weeks.DAY:.0f} d would have each as often (advised, not asked)"
            )
        self.notes += self._copies()
        lines = [test for test in self.tests if test.metric.name in self.world.metrics]
        effects = tuple(self._effect(test, end) for test in lines if test.arm == self.rollout.challenger.name)
        return StageForecast(
            stage=stage_name(self.stage),
            weights=self._weights(),
            expected=expected if expected <= (gives_up or math.inf) else None,
            sure=sure if sure <= (gives_up or math.inf) else None,
            gives_up=gives_up,
            exposed=self._exposed(end),
            false_rollback=sum(test.alpha_harm for test in self.tests),
            false_promotion=self.rollout.alpha if self.last else 0.0,
            effects=effects,
            notes=tuple(self.notes),
        )

    def _copies(self) -> list[str]:
        """What is asked of the models beside users' own requests."""
        asked = self.stage.counterfactual if isinstance(self.stage, Canary | Ab) else None
        if asked is None:
            return []
        champion, least, most = self.rollout.champion.name, min(self._weights()), max(self._weights())
        rate = self.world.rate * asked.share
        each, own = rate * (1.0 - self.many * least), self.world.rate * least
        found = [
            f"copies ask up to {each:.3g} requests a second more of {arm.name}, which serves {own:.3g} itself at first"
            for arm in self.rollout.challengers
        ]
        if asked.both:
            back = rate * self.many * most
            found.append(f"copies ask up to {back:.3g} requests a second more of {champion}")
        bound = f"at most {asked.at_once} copies are under way at an arm, and what is beyond is dropped and counted"
        if asked.per_day is not None and asked.per_day.requests is not None:
            bound += f"; after {asked.per_day.requests:,} requests copied in a day there are none until the next"
        counted = self.world.differing(self.stage)
        for metric in self.rollout.metrics:
            if metric.differing and counted <= 0.0:
                found.append(f"{metric.name} is not measured where no answers differ: say how many, --disagreement")
            elif metric.differing:
                found.append(
                    f"{metric.name} is about {100.0 * counted:.3g} % of the units, and its change is one among these"
                )
        return [*found, bound]

    # -- time and units ------------------------------------------------------------------------------------------------

    def _weights(self) -> tuple[float, ...]:
        if isinstance(self.stage, Canary):
            return self.stage.steps
        return (planned_weight(self.rollout, self.index, 0),)

    def _steps(self) -> list[tuple[float, float]]:
        """(weight, seconds): every step its least time, the last one without an end."""
        each = self.stage.hold_for * (HASTE if self.stage.auto else 1.0) if isinstance(self.stage, Canary) else 0.0
        weights = self._weights()
        return [*((weight, each) for weight in weights[:-1]), (weights[-1], math.inf)]

    def _over(self, seconds: float, worth: Callable[[float], float]) -> float:
        total, left = 0.0, seconds
        for weight, lasts in self._steps():
            part = min(lasts, left)
            total += worth(weight) * part * self.world.rate
            left -= part
        return total

    def _exposed(self, seconds: float) -> float:
        """Units of all challengers."""
        return self._over(seconds, lambda weight: weight * self.many) if not isinstance(self.stage, Shadow) else 0.0

    def _effective(self, seconds: float) -> float:
        """Units of one sample that tell as much as both arms of one comparison."""
        if isinstance(self.stage, Shadow):
            return 4.0 * self.world.rate * self.stage.mirror * seconds / 2.0

        def worth(weight: float) -> float:
            both = weight + max(1.0 - self.many * weight, 0.0)
            return 4.0 * weight * (both - weight) / both if both > 0.0 else 0.0

        return self._over(seconds, worth)

    def _until(self, reached: Callable[[float], bool], wait: float = 0.0) -> float:
        """Seconds until something is reached that stays so, by halving; infinite where it never is."""
        if not reached(_FURTHEST):
            return math.inf
        low, high = 0.0, _FURTHEST
        for _ in range(120):
            middle = math.sqrt(max(low, 1e-3) * high)
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high + wait

    # -- what has to be seen -------------------------------------------------------------------------------------------

    def _ends(self, beyond: float) -> float:
        match self.stage:
            case Shadow():
                return max([self._mirrored(beyond), *(self._gate(test, beyond) for test in self.tests)])
            case Canary():
                return self._canary(beyond)
            case Interleave():
                return max(self._proven(test, beyond) for test in self.tests)
            case Ab():
                return max(self._proven(test, beyond) for test in self.tests)
        return 0.0

    def _mirrored(self, beyond: float) -> float:
        assert isinstance(self.stage, Shadow)
        wanted, rate = max(self.stage.until.requests or 0, 1), self.world.rate * self.stage.mirror
        return (wanted + beyond * math.sqrt(wanted)) / rate

    def _gate(self, test: PlannedTest, beyond: float) -> float:
        """A gate on a share is proven once so rare an event would have been seen; `catastrophic` needs no proof."""
        if test.role != "gate" or test.limit is None or test.limit.value == 0.0:
            return 0.0
        assert isinstance(self.stage, Shadow)
        found = self.world.disagreement if test.metric.name == "disagreement" else 0.0
        room = test.limit.value - found
        if room <= 0.0:
            return math.inf
        rate = self.world.rate * self.stage.mirror
        deviation = math.sqrt(found * (1.0 - found))

        def reached(seconds: float) -> bool:
            n = rate * seconds
            return n * room >= 1.3 * -math.log(test.alpha_safe) + deviation * math.sqrt(n) * (
                radius(max(n, 1.0), test.alpha_safe, two_sided=False) * math.sqrt(n) + beyond
            )

        return self._until(reached)

    def _canary(self, beyond: float) -> float:
        assert isinstance(self.stage, Canary)
        windows = [test.metric.window or 0.0 for test in self.tests if test.role == "guardrail"]
        least = sum(lasts for _, lasts in self._steps()[:-1]) + self.stage.hold_for * (HASTE if self.stage.auto else 1)
        end = max(least, max(windows, default=0.0))
        if beyond == 0.0:
            self._budgets(end)
        proven = [self._proven(test, beyond) for test in self.tests] if self.last else []
        return max([end, *proven])

    def _budgets(self, end: float) -> None:
        """Whether the steps fit under the budgets of a challenger that does no harm at all."""
        assert isinstance(self.stage, Canary)
        if self.stage.prior is not None:
            self._ruin(self.stage, self.stage.prior)
            return
        for name, budget in self.stage.budget:
            test = next((test for test in self.tests if test.metric.name == name), None)
            if test is None or name not in self.world.metrics:
                continue
            deviation = self.world.metrics[name].deviation(test.metric)
            n = self._effective(end)
            worst = 2.0 * deviation * radius(max(n, 1.0), test.alpha_safe, two_sided=False)
            needed = self._exposed(end) / self.many * worst
            if needed > budget:
                self.notes.append(
                    f"the budget of {budget:g} on {name} is too small for this traffic: even a harmless challenger may "
                    f"seem to have cost {needed:,.0f} by the last step, and would not be raised that far"
                )

    def _ruin(self, stage: Canary, prior: Prior) -> None:
        """What the prior promises, and where its promise ends."""
        belief, risk = ruin.Belief(mean=prior.mean, sd=prior.sd), ramp.risk(self.rollout, stage)
        worst = belief.worst(risk)
        for name, budget in stage.budget:
            first = ruin.room(belief, 0.25, budget, risk)
            batch = "any number of units" if math.isinf(first) else f"up to {first:,.0f} units"
            told = (
                f"risk-of-ruin: the budget of {budget:g} on {name} is kept for harm as the prior has it, at "
                f"most {100.0 * worst:.2g} pp a unit; it gives {batch} before anything is measured, and worse "
                "harm may overspend it"
            )
            if not math.isinf(first):
                told += f" ({100.0 * 2.0 * worst:.2g} pp a unit would cost about {2.0 * worst * first:,.0f} by then)"
            self.notes.append(told)
            assumed = self.world.metrics.get(name)
            if assumed is not None and _worse(self.rollout.metric(name), assumed.change) > worst:
                self.notes.append(
                    f"the challenger as assumed is worse on {name} than the prior calls credible: set a larger sd, or "
                    "use steps: auto, which needs no prior"
                )

    def _proven(self, test: PlannedTest, beyond: float) -> float:
        """Seconds until the verdict is safe, if the challenger is as assumed."""
        voting = test.role == "goal" and test.metric.name not in self.world.metrics
        if not voting and unharmed.expected_of_nobody(test, self.world.metrics[test.metric.name]):
            return self._of_nobody(test)
        if voting:
            away, deviation, share = self.world.preference, 1.0, VOTING
        else:
            assumed = self.world.metrics[test.metric.name]
            away = _room(test, assumed) - _worse(test.metric, assumed.change)
            deviation, share = 2.0 * assumed.deviation(test.metric), self._counted(test.metric)
            if test.metric.kind is Kind.COUNT:
                # At its limit the challenger has more events, and they vary as their number does.
                deviation = math.hypot(deviation, 2.0 * math.sqrt(max(away, 0.0)))
        if away <= 0.0 or share <= 0.0:
            return math.inf
        counted = self._interleaved if voting else self._effective

        def reached(seconds: float) -> bool:
            n = max(share * counted(seconds), 1e-9)
            return (
                away * math.sqrt(n) / deviation >= radius(n, test.alpha_safe, two_sided=False) * math.sqrt(n) + beyond
            )

        return self._until(reached, test.metric.window or 0.0)

    def _of_nobody(self, test: PlannedTest) -> float:
        """Seconds until units with nothing have proven that there is nothing, where they do."""
        why = unharmed.never_decided(test, self.rollout.champion.name)
        if why:
            told = f"{test.metric.name} is not decided where {why}"
            self.notes += [told] if told not in self.notes else []
            return math.inf

        def reached(seconds: float) -> bool:
            return unharmed.decided(test, self._counted(test.metric) * self._exposed(seconds) / self.many)

        return self._until(reached, test.metric.window or 0.0)

    def _counted(self, metric: Metric) -> float:
        """Share of units that a metric is about."""
        return self.world.differing(self.stage) if metric.differing else 1.0

    def _interleaved(self, seconds: float) -> float:
        return self._over(seconds, lambda weight: weight)

    # -- harm ----------------------------------------------------------------------------------------------------------

    def _effect(self, test: PlannedTest, end: float) -> Effect:
        metric, assumed = test.metric, self.world.metrics[test.metric.name]
        seen = self._counted(metric) * self._effective(max(end - (metric.window or 0.0), 0.0))
        if isinstance(self.stage, Shadow) and metric.source is Source.OUTCOME:
            seen = 0.0
        deviation, limit = 2.0 * assumed.deviation(metric), _limit(test, assumed)
        detectable = None
        if seen > 100.0 and deviation > 0.0:
            z = radius(seen, test.alpha_harm, two_sided=False) * math.sqrt(seen) + POWER
            detectable = limit + deviation * z / math.sqrt(seen)
        worst, at = self._worst(test, assumed, deviation, limit)
        return Effect(metric=metric.name, kind=str(metric.kind), detectable=detectable, worst_harm=worst, worst_at=at)

    def _worst(
        self, test: PlannedTest, assumed: Assumed, deviation: float, limit: float
    ) -> tuple[float | None, float | None]:
        metric = test.metric
        if isinstance(self.stage, Shadow) or metric.kind in (Kind.QUANTILE, Kind.RATIO) or deviation <= 0.0:
            return (0.0, None) if isinstance(self.stage, Shadow) else (None, None)
        most = self.stage.until.at_most if not isinstance(self.stage, Promote) else 0.0
        if isinstance(self.stage, Canary) and not self.last:
            most = min(most, self._canary(SURE))
        largest = (
            (1.0 - assumed.value if metric.better == "lower" else assumed.value)
            if metric.kind is Kind.RATE
            else (3.0 * abs(assumed.value))
        )
        found: tuple[float, float] = (0.0, 0.0)
        # Answers also differ for units whose requests nobody copies.
        struck = self.world.disagreement if metric.differing else 1.0
        for effect in np.geomspace(largest / 2000.0, largest, 40).tolist():
            seconds = min(self._detected(test, effect - limit, deviation), most)
            found = max(found, (effect * struck * self._exposed(seconds) / self.many, effect))
        budgets = dict(self.stage.budget) if isinstance(self.stage, Canary) else {}
        cost, at = found
        return min(cost, budgets.get(metric.name, math.inf)), at

    def _detected(self, test: PlannedTest, away: float, deviation: float) -> float:
        """Seconds until harm so far beyond the limit is proven in half of the runs."""
        if away <= 0.0:
            return math.inf

        def reached(seconds: float) -> bool:
            n = max(self._counted(test.metric) * self._effective(seconds), 1e-9)
            # A rate well beyond its limit needs a few events, however small the deviation without them.
            wide = math.sqrt(deviation**2 + 4.0 * away) if test.metric.kind is Kind.RATE else deviation
            return away * math.sqrt(n) / wide >= radius(n, test.alpha_harm, two_sided=False) * math.sqrt(n)

        return self._until(reached, test.metric.window or 0.0)


def _worse(metric: Metric, change: float) -> float:
    """A change as harm."""
    return change if metric.better == "lower" else -change


def _limit(test: PlannedTest, assumed: Assumed) -> float:
    """How much harm is within the limit of a verdict of harm."""
    if test.limit is None:
        return 0.0
    return test.limit.value * (abs(assumed.value) if test.limit.relative else 1.0)


def _room(test: PlannedTest, assumed: Assumed) -> float:
    """How much harm is still safe: a goal has to be better."""
    return 0.0 if test.role == "goal" else _limit(test, assumed)


def missing(rollout: Rollout, known: Mapping[str, object]) -> list[str]:
    """Metrics that a forecast needs to know the champion's value of, and does not."""
    asked = {test.metric.name for test in alpha_plan(rollout).tests if test.role != "gate"}
    return [metric.name for metric in rollout.metrics if metric.name in asked and metric.name not in known]
