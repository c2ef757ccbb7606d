"""One look at a rollout: what the rules may see, and what the present stage wants before it may move on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.mismatch import SAMPLE_RATIO
from crossfade.judge.infer.preference import PREFERENCE
from crossfade.judge.plan import CATASTROPHIC, questions
from crossfade.judge.segments import Harmed, harmed
from crossfade.spec.model import HASTE, Canary, Interleave, Promote, Rollout, Shadow, Stage
from crossfade.state import RULE, Phase, Position, last_before_promotion, weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How much has been seen of the present stage."""

    mirrored: int = 0
    """Mirrored requests compared."""
    requests: int = 0
    """Requests served on the route."""
    units: Mapping[str, int] = field(default_factory=dict)
    """Units exposed in the stage, per arm."""
    step_units: Mapping[str, int] | None = None
    """Units exposed in the present step, per arm; `units` where it was not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One thing the stage needs before it may move on, and the line that speaks of it."""

    metric: str
    arm: str
    proof: bool
    """True: must be proven safe. False: must be measured (and not harmful, which another rule sees to)."""
    line: Evidence | None
    window: float

    @property
    def measured(self) -> bool:
        """Whether there is a measurement at all."""
        return self.line is not None and self.line.verdict is not Verdict.UNMEASURED

    @property
    def met(self) -> bool:
        """Whether this stands in the way no more."""
        if self.line is None or not self.measured:
            return False
        return self.line.verdict is Verdict.SAFE if self.proof else self.line.verdict is not Verdict.HARMFUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything a rule may see."""

    rollout: Rollout
    position: Position
    now: float
    progress: Progress
    evidence: tuple[Evidence, ...]
    """Of all units, sorted, so that the order in which evidence came cannot matter."""
    harmed: tuple[Harmed, ...]
    """Segments with proven harm, the surest first."""
    wants: tuple[Want, ...]

    @classmethod
    def at(
        cls, rollout: Rollout, position: Position, evidence: Sequence[Evidence], now: float, progress: Progress
    ) -> Look:
        """The look, with evidence put in an order of its own."""
        lines = tuple(sorted((line for line in evidence if line.segment is None), key=_rank))
        return cls(
            rollout=rollout,
            position=position,
            now=now,
            progress=progress,
            evidence=lines,
            harmed=harmed(rollout, evidence),
            wants=_wants(rollout, position, lines),
        )

    @property
    def stage(self) -> Stage:
        """The present stage."""
        return self.rollout.stages[self.position.stage]

    @property
    def weight(self) -> float:
        """The challenger's present share of units."""
        return weight(self.rollout, self.position)

    @property
    def running(self) -> bool:
        """Whether the rollout is running."""
        return self.position.phase is Phase.RUNNING

    @property
    def held_by_rule(self) -> bool:
        """Whether it is held only because something could not be measured."""
        return self.position.phase is Phase.HELD and self.position.held_by == RULE

    @property
    def last(self) -> bool:
        """Whether the next move forward is promotion."""
        return last_before_promotion(self.rollout, self.position)

    @property
    def deadline(self) -> float | None:
        """When the stage is given up; None where it has no end of its own."""
        if isinstance(self.stage, Promote):
            return None
        return self.position.stage_since + self.stage.until.at_most + self.position.paused

    @property
    def due(self) -> float:
        """The earliest time at which the stage could move on by the clock alone."""
        if not isinstance(self.stage, Canary):
            return self.position.step_since
        return self.position.step_since + (HASTE if self.stage.auto else 1.0) * self.stage.hold_for

    @property
    def enough(self) -> bool:
        """Whether the stage has had its time and its requests."""
        if isinstance(self.stage, Shadow):
            return self.progress.mirrored >= max(self.stage.until.requests or 0, 1)
        return self.now >= self.due

    @property
    def mismatched(self) -> tuple[Evidence, ...]:
        """Lines that say that units were not assigned as planned, so that no comparison is worth anything."""
        return tuple(
            line
            for line in self.evidence
            if line.metric == SAMPLE_RATIO and line.verdict is Verdict.UNMEASURED and line.e_value is not None
        )

    @property
    def silent_arms(self) -> tuple[str, ...]:
        """Challengers that no unit has been exposed to in this step, although they have a share."""
        if isinstance(self.stage, Shadow):
            return ()
        seen = self.progress.units if self.progress.step_units is None else self.progress.step_units
        return tuple(arm.name for arm in self.rollout.challengers if seen.get(arm.name, 0) < 1)


Rule = Callable[[Look], Decision | None]


def _rank(line: Evidence) -> tuple[str, str, str, float, str]:
    return (line.metric, line.arm, line.role, -(line.e_value or 0.0), str(line.verdict))


def _wants(rollout: Rollout, position: Position, lines: tuple[Evidence, ...]) -> tuple[Want, ...]:
    if position.phase not in (Phase.RUNNING, Phase.HELD) or isinstance(rollout.stages[position.stage], Promote):
        return ()
    by_key: dict[tuple[str, str], Evidence] = {}
    for line in lines:
        known = by_key.get((line.metric, line.arm))
        by_key[line.metric, line.arm] = line if known is None else _worse(known, line)
    return tuple(
        Want(metric=metric, arm=arm.name, proof=proof, line=by_key.get((metric, arm.name)), window=window)
        for metric, proof, window in _wanted(rollout, position)
        for arm in rollout.challengers
    )


def _wanted(rollout: Rollout, position: Position) -> tuple[tuple[str, bool, float], ...]:
    """(metric, must be proven, window) for the present stage.

    Promotion always needs proof of every guardrail and every goal, whatever the stage before it: that is what bounds
    the chance of promoting a worse challenger. A stage that cannot measure one of them holds, and a person decides.
    What only a shadow can measure is proven there.
    """
    stage = rollout.stages[position.stage]
    last = last_before_promotion(rollout, position)
    # What nobody measures cannot be kept under its budget.
    budgeted = {name for name, _ in stage.budget} if isinstance(stage, Canary) else set()
    asked = {metric.name: (metric, role) for metric, role, _ in questions(rollout, position.stage)}
    if last and not isinstance(stage, Interleave):
        for metric in rollout.metrics:
            if (metric.goal or metric.guardrail is not None) and not metric.only_in_shadow:
                asked.setdefault(metric.name, (metric, "goal" if metric.goal else "guardrail"))
    wanted = []
    for name, (metric, role) in asked.items():
        proof = last or role == "gate" or metric.only_in_shadow or not isinstance(stage, Canary | Shadow)
        # That something never happens cannot be proven, only that it has not been seen.
        proof = proof and (role != "gate" or name != CATASTROPHIC)
        needed = proof or role != "goal" or metric.guardrail is not None or name in budgeted
        if needed:
            wanted.append((name, proof, metric.horizon))
    return tuple(wanted)


_SEVERITY = (Verdict.HARMFUL, Verdict.UNMEASURED, Verdict.UNDECIDED, Verdict.SAFE)


def _worse(one: Evidence, other: Evidence) -> Evidence:
    return min(one, other, key=lambda line: _SEVERITY.index(line.verdict))


def preferred(metric: str) -> bool:
    """Whether this line speaks of an interleaving preference."""
    return metric == PREFERENCE.name
