"""How far the harm budget lets exposure grow: by bounds on harm, not by its estimate.

What was spent is counted: the challenger's events beyond those that its units would have had at the champion's rate,
of which only that rate is uncertain. What is still to come may cost u a unit, the end of the metric's always-valid
interval on the harmful side; before there is an interval, u is the worst that can happen to a unit. A weight may be
taken while spent and coming together fit under the budget; once what was spent may be all of it, the canary ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crossfade.judge.decide import ruin
from crossfade.judge.decide.budget import excess
from crossfade.judge.decide.look import Look
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.boundary import radius
from crossfade.spec.model import HASTE, Better, Canary, Kind, Metric, Rollout

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
    spent: float
    """Upper bound on what the units that were counted have cost; for means, their number times `worst`."""
    settled: int
    """Units that the metric has counted."""
    exposed: int
    """Units exposed in the stage, those included whose outcome is still open."""
    believed: float | None = None
    """Of a risk-of-ruin ramp: units that may come, or be open, by what is believed of harm; None elsewhere."""
    incredible: float | None = None
    """The worst harm of one unit that the prior calls credible, where the estimate is beyond it."""

    def fits(self, more: float) -> bool:
        """Whether so many more units may come."""
        if self.believed is not None:
            return self.exposed - self.settled + more <= self.believed
        return self.cost(more) <= self.budget

    def cost(self, more: float = 0.0) -> float:
        """The most that the stage can have cost once so many more units came; infinite where nothing bounds it."""
        coming = self.exposed - self.settled + more
        if coming <= 0.0:
            return self.spent
        return math.inf if self.worst is None else self.spent + coming * self.worst


def rooms(look: Look) -> tuple[Room, ...]:
    """Every budget of the present canary, for each challenger."""
    stage = look.stage
    if not isinstance(stage, Canary):
        return ()
    lines = {(line.metric, line.arm): line for line in look.evidence}
    found = []
    for name, budget in stage.budget:
        metric = look.rollout.metric(name)
        for arm in look.rollout.challengers:
            line = lines.get((name, arm.name))
            measured = None if line is None else _bound(line)
            settled = 0 if line is None or measured is None else line.units.get(arm.name, 0)
            worst = measured if measured is not None else _worst(metric, line)
            # Nothing is known of units before there is an interval: all of them may still cost the worst.
            known = 0.0 if line is None or measured is None else spent_at_most(line)
            found.append(
                Room(
                    metric=name,
                    arm=arm.name,
                    budget=budget,
                    worst=worst,
                    measured=measured is not None,
                    spent=known if known is not None else settled * (math.inf if worst is None else worst),
                    settled=settled,
                    exposed=max(look.progress.units.get(arm.name, 0), settled),
                    **_believed(look, stage, line, budget),
                )
            )
    return tuple(found)


def risk(rollout: Rollout, stage: Canary) -> float:
    """How often one step of a risk-of-ruin ramp may overspend its budget, if harm is as believed: alpha over steps."""
    return rollout.alpha / len(stage.steps)


def _believed(look: Look, stage: Canary, line: Evidence | None, budget: float) -> dict[str, float | None]:
    """What the prior and the evidence so far allow; nothing for other ramps."""
    if stage.prior is None:
        return {}
    first, chance = ruin.Belief(mean=stage.prior.mean, sd=stage.prior.sd), risk(look.rollout, stage)
    if line is None or line.estimate is None or line.events is None:
        return {"believed": ruin.room(first, 0.25, budget, chance)}
    n_a, n_b = (line.units.get(arm, 0) for arm in (line.baseline, line.arm))
    rate = (sum(line.events.values()) + 2.0) / (n_a + n_b + 4.0)
    seen = line.estimate if line.better == "lower" else -line.estimate
    belief = first.updated(seen, rate * (1.0 - rate) * (1.0 / n_a + 1.0 / n_b))
    likely = min(rate + max(belief.worst(chance), 0.0), 0.5)
    left = budget - max(excess(line) or 0.0, 0.0)
    worst = first.worst(chance)
    return {
        "believed": ruin.room(belief, likely * (1.0 - likely), left, chance),
        "incredible": worst if seen > worst else None,
    }


def _bound(line: Evidence) -> float | None:
    """The end of the interval on the harmful side, as harm."""
    if line.verdict is Verdict.UNMEASURED:
        return None
    end = line.upper if line.better == "lower" else line.lower
    if end is None:
        return None
    return max(end if line.better == "lower" else -end, 0.0)


def spent_at_most(line: Evidence) -> float | None:
    """Upper bound on what a rate's counted units have cost; None where no events are counted."""
    much = excess(line)
    if much is None or line.events is None:
        return None
    n, k = line.units.get(line.baseline, 0), line.events.get(line.baseline, 0)
    if n == 0:
        return None
    alpha = 1.0 - (line.confidence if line.confidence_safe is None else line.confidence_safe)
    # How many deviations off the champion's events may be at any time, after so many of its units.
    off = radius(n, alpha, two_sided=False) * math.sqrt(n)
    if line.counterfactual is not None:
        deviation = line.counterfactual["deviation"]
    else:
        rate = (k + 2.0) / (n + 4.0)
        deviation = line.units.get(line.arm, 0) * math.sqrt(rate * (1.0 - rate) / n)
    # What units gained is not there to be lost again.
    return max(much + deviation * off, 0.0)


def _worst(metric: Metric, line: Evidence | None) -> float | None:
    """The worst that can happen to one unit: every one has the event, or none of those has it who would have had.

    Of what is summed over a unit it is its cap, where it has one.
    """
    if metric.kind is not Kind.RATE:
        return metric.cap if metric.better is Better.LOWER else None
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
        if more is None or not room.fits(more):
            return room, math.inf if more is None else room.cost(more)
    return None


def used_up(look: Look) -> Room | None:
    """A budget that may have been spent by now, as far as anybody can know.

    Automatic steps are sized so that units whose outcome is still open fit under the budget, too; of steps that people
    wrote only the units are counted whose outcome is known.
    """
    for room in rooms(look):
        automatic = isinstance(look.stage, Canary) and look.stage.auto and look.stage.prior is None
        if (automatic or room.measured) and (room.cost() if automatic else room.spent) >= room.budget:
            return room
    return None


def climbs(look: Look) -> bool:
    """Whether an automatic canary may take its next step although not everything is measured yet.

    It may where even the worst that can happen to every unit (or what its prior calls credible) fits under each
    budget, and units are known to come.
    """
    weight = following(look)
    if weight is None or not isinstance(look.stage, Canary) or not look.stage.auto:
        return False
    more = coming(look, weight)
    if more is None:
        return False
    return all(
        look.rollout.metric(room.metric).kind is Kind.RATE
        and (room.exposed + more <= room.budget if room.believed is None else room.fits(more))
        for room in rooms(look)
    )
