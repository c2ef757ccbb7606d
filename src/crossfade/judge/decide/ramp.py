"""How far the harm budget lets exposure grow: from the upper confidence bound on harm per unit, not from its estimate.

Of N units exposed, each worse off by at most u on average, at most N·u harm has been done; u is the end of the
metric's always-valid interval on the harmful side, so that this holds at every look at once with probability
1 − alpha. Before there is an interval, u is the worst that can happen to a unit. A weight may be taken when the units
it is going to bring still fit under the budget; once they no longer do, nothing more can be learnt within it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crossfade.judge.decide.look import Look
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.spec.model import HASTE, Better, Canary, Kind, Metric

ERRORS_OFF = 4.0
"""Standard errors above the champion's rate that no unit of a challenger can lose more than, where more is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one metric's budget leaves to one challenger."""

    metric: str
    arm: str
    budget: float
    worst: float | None
    """Upper bound on the harm of one unit, in the metric's own counts; None where nothing bounds it."""
    measured: bool
    """The bound comes from an interval, not from the worst that can happen."""
    exposed: int
    """Units exposed in the stage."""
    settled: int
    """Those of them that the metric has counted."""
    counts_units: bool

    def cost(self, units: float) -> float:
        """The most that so many units can cost; infinite where nothing bounds it."""
        if units <= 0.0:
            return 0.0
        return math.inf if self.worst is None else units * self.worst


def rooms(look: Look) -> tuple[Room, ...]:
    """Every budget of the present canary, for each challenger."""
    stage = look.stage
    if not isinstance(stage, Canary):
        return ()
    lines = {(line.metric, line.arm): line for line in look.evidence if line.segment is None}
    found = []
    for name, budget in stage.budget:
        metric = look.rollout.metric(name)
        for arm in look.rollout.challengers:
            line = lines.get((name, arm.name))
            measured = None if line is None else _bound(line)
            settled = 0 if line is None else line.units.get(arm.name, 0)
            found.append(
                Room(
                    metric=name,
                    arm=arm.name,
                    budget=budget,
                    worst=measured if measured is not None else _worst(metric, line),
                    measured=measured is not None,
                    exposed=max(look.progress.units.get(arm.name, 0), settled),
                    settled=settled,
                    counts_units=metric.kind is Kind.RATE,
                )
            )
    return tuple(found)


def _bound(line: Evidence) -> float | None:
    """The end of the interval on the harmful side, as harm."""
    if line.verdict is Verdict.UNMEASURED:
        return None
    end = line.upper if line.better == "lower" else line.lower
    if end is None:
        return None
    return max(end if line.better == "lower" else -end, 0.0)


def _worst(metric: Metric, line: Evidence | None) -> float | None:
    """The worst that can happen to one unit: every one has the event, or none of those has it who would have had."""
    if metric.kind is not Kind.RATE:
        return None
    if metric.better is Better.LOWER or line is None or line.events is None:
        return 1.0
    n, k = line.units.get(line.baseline, 0), line.events.get(line.baseline, 0)
    if n == 0:
        return 1.0
    rate = (k + 0.5 * ERRORS_OFF**2) / (n + ERRORS_OFF**2)
    return min(1.0, rate + ERRORS_OFF * math.sqrt(rate * (1.0 - rate) / (n + ERRORS_OFF**2)))


def following(look: Look) -> float | None:
    """The weight of the next step of the present canary; None where there is none."""
    stage, step = look.stage, look.position.step
    return stage.steps[step + 1] if isinstance(stage, Canary) and step + 1 < len(stage.steps) else None


def coming(look: Look, weight: float) -> float | None:
    """Units that a step of this weight exposes at the present rate; None while nobody has come in this step."""
    assert isinstance(look.stage, Canary)
    here = look.progress.step_units
    seen, since = (look.progress.units, look.position.stage_since) if here is None else (here, look.position.step_since)
    units, lasted = sum(seen.values()), look.now - since
    if units == 0 or lasted <= 0.0:
        return None
    return units / lasted * (HASTE if look.stage.auto else 1.0) * look.stage.hold_for * weight


def refused(look: Look) -> tuple[Room, float] | None:
    """The budget that the next step does not fit under, and what that step could have cost by its end."""
    weight = following(look)
    every = rooms(look)
    if weight is None or not every:
        return None
    more = coming(look, weight)
    for room in every:
        cost = math.inf if more is None else room.cost(room.exposed + more)
        if cost > room.budget:
            return room, cost
    return None


def used_up(look: Look) -> Room | None:
    """A budget that may have been spent by now, as far as anybody can know.

    Automatic steps are sized so that units whose outcome is still open fit under the budget, too; of steps that people
    wrote only the units are counted whose outcome is known.
    """
    for room in rooms(look):
        automatic = isinstance(look.stage, Canary) and look.stage.auto
        if not automatic and not room.measured:
            continue
        if room.worst is not None and room.cost(room.exposed if automatic else room.settled) >= room.budget:
            return room
    return None


def climbs(look: Look) -> bool:
    """Whether an automatic canary may take its next step although not everything is measured yet.

    It may where even the worst that can happen to every unit fits under each budget, and units are known to come.
    """
    weight = following(look)
    if weight is None or not isinstance(look.stage, Canary) or not look.stage.auto:
        return False
    more = coming(look, weight)
    if more is None:
        return False
    return all(
        look.rollout.metric(room.metric).kind is Kind.RATE and room.exposed + more <= room.budget
        for room in rooms(look)
    )
