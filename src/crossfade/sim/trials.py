"""Four challengers rehearsed many times, the same, one at a margin, a better and a broken one: what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from crossfade.judge.assumed import World, at_margin
from crossfade.sim.rehearsal import Run, rehearsals
from crossfade.spec.model import Better, Canary, Kind, Metric, Rollout, Source, stage_name
from crossfade.state import Phase

LIFT = 0.1
"""How much better a better challenger is at each goal, as a share of the champion's value, where nobody says."""

BROKEN = 0.1
"""How many more of a broken challenger's requests fail."""

CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of the runs something happened in, with the binomial interval of its probability."""

    times: int
    runs: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.times / self.runs

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's, at 99 %."""
        tail, k, n = (1.0 - CONFIDENCE) / 2.0, self.times, self.runs
        lower = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
        return lower, float(beta.ppf(1.0 - tail, k + 1, n - k)) if k < n else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """How long one stage took in the runs that left it forward."""

    stage: str
    entered: int
    passed: int
    median: float | None
    most: float | None
    """Nine of ten took no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one challenger."""

    challenger: str
    changes: Mapping[str, float]
    promoted: Share
    harmful: Share
    """Rolled back because harm was proven (or a budget provenly spent)."""
    undecided: Share
    """Rolled back because its time or its budget ran out, or left to a person."""
    median: float
    """Seconds in all."""
    most: float
    """Nine of ten took no longer."""
    stages: tuple[StageTimes, ...]
    harm: Mapping[str, tuple[float, float]]
    """Per metric that the challenger is worse at: mean and 95th percentile of units times difference."""
    over_budget: Mapping[str, Share]
    """Per budget, runs whose canaries cost more."""


def challengers(rollout: Rollout, world: World, better: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Changes of the champion's values by name of the challenger; `better` are those of the better one."""
    gains = dict(better) or {
        m.name: _up(m) * LIFT * abs(world.metrics[m.name].value) for m in rollout.metrics if m.goal
    }
    named = {"the same": {}, "better": gains}
    guarded = next((m for m in rollout.metrics if m.guardrail is not None and not m.goal), None)
    if guarded is not None:
        # Better at everything else, so that only the margin stands in its way.
        named["at a margin"] = {**gains, guarded.name: at_margin(rollout, world, guarded)}
    fails = next((m for m in rollout.metrics if m.source is Source.RESPONSE and m.kind is Kind.RATE), None)
    worst = fails or next((m for m in rollout.metrics if m.goal or m.guardrail is not None), None)
    if worst is not None:
        size = BROKEN if worst is fails else 0.5 * abs(world.metrics[worst.name].value)
        named["broken"] = {worst.name: -_up(worst) * size}
    return named


def _up(metric: Metric) -> float:
    return 1.0 if metric.better is Better.HIGHER else -1.0


def tried(rollout: Rollout, world: World, name: str, changes: Mapping[str, float], *, runs: int, seed: int) -> Outcome:
    """One challenger, rehearsed."""
    return told(rollout, name, changes, list(rehearsals(rollout, world.changed(changes), runs=runs, seed=seed)))


def told(rollout: Rollout, name: str, changes: Mapping[str, float], found: Sequence[Run]) -> Outcome:
    """What came of the runs."""
    many = len(found)
    promoted = sum(run.phase is Phase.PROMOTED for run in found)
    harmful = sum(run.phase is Phase.ROLLED_BACK and run.rule == "harm" for run in found)
    seconds = np.array([run.seconds for run in found])
    budgets = {name: most for stage in rollout.stages if isinstance(stage, Canary) for name, most in stage.budget}
    worse = [name for name, cost in found[0].harm.items() if changes.get(name) and cost >= 0.0]
    harm = {name: np.array([run.harm[name] for run in found]) for name in worse}
    return Outcome(
        challenger=name,
        changes=dict(changes),
        promoted=Share(times=promoted, runs=many),
        harmful=Share(times=harmful, runs=many),
        undecided=Share(times=many - promoted - harmful, runs=many),
        median=float(np.median(seconds)),
        most=float(np.quantile(seconds, 0.9)),
        stages=tuple(_times(rollout, index, found) for index in sorted({p.stage for run in found for p in run.stages})),
        harm={name: (float(cost.mean()), float(np.quantile(cost, 0.95))) for name, cost in harm.items() if cost.any()},
        over_budget={
            name: Share(
                times=sum(run.canary_excess.get(name, run.canary_harm.get(name, 0.0)) > most for run in found),
                runs=many,
            )
            for name, most in budgets.items()
        },
    )


def _times(rollout: Rollout, index: int, found: Sequence[Run]) -> StageTimes:
    entered = [(run, p) for run in found for p in run.stages if p.stage == index]
    on = [p.seconds for run, p in entered if run.stages[-1] is not p or run.phase is Phase.PROMOTED]
    return StageTimes(
        stage=stage_name(rollout.stages[index]),
        entered=len(entered),
        passed=len(on),
        median=float(np.median(on)) if on else None,
        most=float(np.quantile(on, 0.9)) if on else None,
    )
