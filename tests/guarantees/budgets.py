"""Rollouts of one canary with a budget, for the guarantee that its harm stays under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.assumed import Assumed, World
from crossfade.sim.rehearsal import Run, rehearsals, rehearsals_of
from crossfade.spec.model import (
    AUTO_STEPS,
    Ab,
    Arm,
    Better,
    Canary,
    Field,
    From,
    Kind,
    Margin,
    Metric,
    Prior,
    Protocol,
    Rollout,
    Source,
    Until,
)

BUDGET = 50.0
RATE = 100.0
"""Units per second."""
RATE_A = 0.01
"""How many of the champion's fail."""
SEVERITIES = {"none": 0.0, "slight": 0.0025, "medium": 0.01, "severe": 0.05, "catastrophic": 0.6}
"""How many more of the challenger's units fail, where 1 % of the champion's do."""

FIXED = (0.01, 0.05, 0.2, 0.5)


PRIOR = Prior(mean=0.0, sd=0.02)
"""Of the risk-of-ruin ramp: an eighth of challengers harms more than 2.3 of a hundred units, hardly any more than 5."""


def rollout(*, automatic: bool, prior: Prior | None = None) -> Rollout:
    """A canary up to half of the units, then an A/B stage that has nothing to do with the budget."""
    return Rollout(
        name="ranker",
        route="/r",
        protocol=Protocol.JSON,
        unit=Field(source=From.HEADER, name="x-user-id"),
        champion=Arm(name="v1", url="http://127.0.0.1:1"),
        challengers=(Arm(name="v2", url="http://127.0.0.1:2"),),
        metrics=(
            Metric(
                name="errors",
                source=Source.RESPONSE,
                kind=Kind.RATE,
                better=Better.LOWER,
                guardrail=Margin(value=0.005, relative=False),
            ),
        ),
        stages=(
            Canary(
                steps=AUTO_STEPS if automatic else FIXED,
                hold_for=60.0,
                budget=(("errors", BUDGET),),
                auto=automatic,
                prior=prior,
                until=Until(at_most=7200.0),
            ),
            Ab(until=Until(decided=True, at_most=60.0)),
        ),
    )


def runs(severity: str, *, automatic: bool, count: int, seed: int = 1, growth: float = 0.05) -> list[Run]:
    """Rehearsals of a challenger so much worse."""
    world = World(rate=RATE, metrics={"errors": Assumed(value=0.01, change=SEVERITIES[severity])})
    return list(rehearsals(rollout(automatic=automatic), world, runs=count, seed=seed, growth=growth))


def believed(count: int, seed: int = 2, growth: float = 0.05) -> list[Run]:
    """Rehearsals of a risk-of-ruin ramp, the harm of each challenger drawn from the prior."""
    drawn = np.random.default_rng(seed).normal(PRIOR.mean, PRIOR.sd, count)
    return _ramps(np.clip(drawn, -RATE_A, None).tolist(), seed, growth)


def ruined(harm: float, count: int, seed: int = 3, growth: float = 0.05) -> list[Run]:
    """The same with one harm, whatever the prior says."""
    return _ramps([harm] * count, seed, growth)


def _ramps(harms: Sequence[float], seed: int, growth: float) -> list[Run]:
    worlds = [World(rate=RATE, metrics={"errors": Assumed(value=RATE_A, change=harm)}) for harm in harms]
    return list(rehearsals_of(rollout(automatic=True, prior=PRIOR), worlds, seed=seed, growth=growth))


def overspent(found: list[Run]) -> int:
    """Runs whose canary cost more than the budget: failed units beyond those that the champion would have failed."""
    return sum(run.canary_excess["errors"] > BUDGET for run in found)
