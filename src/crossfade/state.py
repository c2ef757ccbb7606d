"""Where a rollout stands: phases, moves, the table of legal transitions, and applying a move.

A position is changed by `apply` alone, and only along `TRANSITIONS`; a diagram of the table is
therefore a diagram of the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from crossfade.approvals import Approval, IllegalApproval, asked, given, missing, wanted
from crossfade.spec.model import Ab, Canary, Comparison, Interleave, Promote, Rollout, Shadow, stage_name


class Phase(StrEnum):
    """How a rollout stands as a whole."""

    PENDING = "pending"
    RUNNING = "running"
    HELD = "held"
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    FINISHED = "finished"


class Move(StrEnum):
    """What may be done to a rollout."""

    START = "start"
    ADVANCE = "advance"
    HOLD = "hold"
    RESUME = "resume"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    FINISH = "finish"


TRANSITIONS: Mapping[tuple[Phase, Move], Phase] = {
    (Phase.PENDING, Move.START): Phase.RUNNING,
    (Phase.PENDING, Move.ROLLBACK): Phase.ROLLED_BACK,
    (Phase.RUNNING, Move.ADVANCE): Phase.RUNNING,
    (Phase.RUNNING, Move.HOLD): Phase.HELD,
    (Phase.RUNNING, Move.ROLLBACK): Phase.ROLLED_BACK,
    (Phase.RUNNING, Move.PROMOTE): Phase.PROMOTED,
    (Phase.HELD, Move.RESUME): Phase.RUNNING,
    (Phase.HELD, Move.ROLLBACK): Phase.ROLLED_BACK,
    (Phase.HELD, Move.PROMOTE): Phase.PROMOTED,
    (Phase.PROMOTED, Move.ROLLBACK): Phase.ROLLED_BACK,
    (Phase.PROMOTED, Move.FINISH): Phase.FINISHED,
}


ENDED = frozenset({Phase.ROLLED_BACK, Phase.FINISHED})
"""Phases that no move leaves."""


class IllegalMove(ValueError):
    """A move that the present phase does not allow."""

    def __init__(self, phase: Phase, move: Move, why: str = "") -> None:
        allowed = ", ".join(m for (p, m) in TRANSITIONS if p is phase) or "nothing"
        super().__init__(why or f"cannot {move} a rollout that is {phase.replace('_', ' ')}; allowed now: {allowed}")
        self.phase = phase
        self.move = move
        self.ended = phase in ENDED


Suffering = tuple[str, str, str]
"""A metric, an arm, and the segment that it harms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where one rollout stands.

    `stage` and `step` index `rollout.stages` and a canary's steps; both are 0 while pending.
    Times are seconds since the epoch.
    """

    phase: Phase = Phase.PENDING
    stage: int = 0
    step: int = 0
    stage_since: float = 0.0
    step_since: float = 0.0
    held_by: str | None = None
    """`rule` when evidence was missing (it resumes by itself), else the person who held it."""
    held_since: float | None = None
    paused: float = 0.0
    """Seconds a person has held this stage; its patience is extended by them."""
    held_for: tuple[Suffering, ...] = ()
    """Segments with proven harm for whose sake a rule holds it; it does not resume by itself."""
    gone_on: tuple[Suffering, ...] = ()
    """Those that a person has seen, and gone on all the same."""
    muted: tuple[tuple[str, str], ...] = ()
    """(field of replies, why) pairs: what a person said does not count among differences, beside the spec's own."""
    excluded: tuple[tuple[str, str], ...] = ()
    """(field, value) pairs: requests of these segments stay on the champion."""

    approvals: tuple[Approval, ...] = ()
    """What people have said of the next stage. They lapse with a hold, and with a new revision of the spec."""

    def to_json(self) -> dict[str, Any]:
        """The stored form: an object of JSON scalars, and of mutes and approvals where there are any."""
        told: dict[str, Any] = {
            "phase": str(self.phase),
            "stage": self.stage,
            "step": self.step,
            "stage_since": self.stage_since,
            "step_since": self.step_since,
            "held_by": self.held_by,
            "held_since": self.held_since,
            "paused": self.paused,
        }
        if self.muted:
            told["muted"] = dict(self.muted)
        if self.approvals:
            told["approvals"] = [one.to_json() for one in self.approvals]
        for name in ("held_for", "gone_on"):
            if suffering := getattr(self, name):
                told[name] = [list(one) for one in suffering]
        if self.excluded:
            told["excluded"] = [list(pair) for pair in self.excluded]
        return told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Position:
        """The inverse of `to_json`; raises KeyError or ValueError on foreign data."""
        return cls(
            phase=Phase(data["phase"]),
            stage=int(data["stage"]),
            step=int(data["step"]),
            stage_since=float(data["stage_since"]),
            step_since=float(data["step_since"]),
            held_by=data["held_by"],
            held_since=data["held_since"],
            paused=float(data.get("paused", 0.0)),
            muted=tuple(sorted((str(path), str(why)) for path, why in data.get("muted", {}).items())),
            approvals=tuple(Approval.from_json(one) for one in data.get("approvals", ())),
            held_for=_suffering(data.get("held_for", ())),
            gone_on=_suffering(data.get("gone_on", ())),
            excluded=tuple(sorted((str(field), str(value)) for field, value in data.get("excluded", ()))),
        )


def _suffering(told: Sequence[Sequence[Any]]) -> tuple[Suffering, ...]:
    return tuple((str(metric), str(arm), str(segment)) for metric, arm, segment in told)


RULE = "rule"
"""The `held_by` of a hold that evidence asked for; it may resume without a person."""

ROUTER = "router"
"""The `held_by` of a hold because a router does not do what it was told; it resumes once that follows."""


def apply(
    rollout: Rollout,
    position: Position,
    move: Move,
    at: float,
    *,
    actor: str = RULE,
    held_for: tuple[Suffering, ...] = (),
) -> Position:
    """The position after `move` at time `at` (seconds since the epoch).

    `advance` goes to the next step of a canary, else to the next stage; it never enters `promote`
    (that is `promote`). `resume` restarts the clock of the step, so that a step is held for its full time
    under observation. `held_for` are the segments for whose sake it is held, or that a person saw who resumes it: it is
    not held again for these. Raises IllegalMove when the table or the stages do not allow the move.
    """
    phase = TRANSITIONS.get((position.phase, move))
    if phase is None:
        raise IllegalMove(position.phase, move)
    match move:
        case Move.START:
            return Position(
                phase=phase, stage_since=at, step_since=at, muted=position.muted, excluded=position.excluded
            )
        case Move.ADVANCE:
            return _advance(rollout, position, at)
        case Move.HOLD:
            # Whoever approved did not see what it is held for.
            return replace(position, phase=phase, held_by=actor, held_since=at, held_for=held_for, approvals=())
        case Move.RESUME:
            return replace(
                position,
                phase=phase,
                step_since=at,
                held_by=None,
                held_since=None,
                paused=_paused(position, at),
                held_for=(),
                gone_on=position.gone_on
                if actor == RULE
                else tuple(sorted({*position.gone_on, *position.held_for, *held_for})),
            )
        case Move.PROMOTE:
            if len(rollout.challengers) > 1:
                raise IllegalMove(
                    position.phase,
                    move,
                    f"cannot promote one of {len(rollout.challengers)} challengers: roll back, then run a rollout "
                    "with the winner alone",
                )
            last = len(rollout.stages) - 1
            _approved(rollout, position, move, last)
            if not isinstance(rollout.stages[last], Promote):
                last = position.stage
            return Position(
                phase=phase,
                stage=last,
                stage_since=at,
                step_since=at,
                muted=position.muted,
                gone_on=position.gone_on,
                excluded=position.excluded,
            )
        case Move.ROLLBACK | Move.FINISH:
            return replace(
                position, phase=phase, held_by=None, held_since=None, step_since=at, held_for=(), approvals=()
            )


class IllegalExclusion(ValueError):
    """A segment that cannot be kept on the champion, or be let go."""


def exclude(rollout: Rollout, position: Position, segments: Sequence[tuple[str, str]]) -> Position:
    """The position in which requests of these (field, value) pairs stay on the champion. Raises IllegalExclusion."""
    declared = [str(field) for field in rollout.segments]
    for field, value in segments:
        if field not in declared:
            named = ", ".join(declared) or "none"
            raise IllegalExclusion(f"{field} is no declared segment of {rollout.name}; declared: {named}")
        if (field, value) in position.excluded:
            raise IllegalExclusion(f"{field}={value} stays on the champion already")
    if position.phase in ENDED:
        raise IllegalExclusion(f"the rollout is {position.phase.replace('_', ' ')}: everyone has one model")
    return replace(position, excluded=tuple(sorted({*position.excluded, *segments})))


def include(position: Position, field: str, value: str) -> Position:
    """The position in which a segment is served like all others again, and no rule keeps it from that any more.

    Raises IllegalExclusion.
    """
    left = tuple(pair for pair in position.excluded if pair != (field, value))
    if len(left) == len(position.excluded):
        kept = ", ".join(f"{field}={value}" for field, value in position.excluded) or "none"
        raise IllegalExclusion(f"{field}={value} is not kept on the champion; segments that are: {kept}")
    return replace(position, excluded=left, gone_on=tuple(sorted({*position.gone_on, ("", "", f"{field}={value}")})))


class IllegalMute(ValueError):
    """A field that cannot be muted, or be heard again."""


def mute(rollout: Rollout, position: Position, path: str, reason: str) -> Position:
    """The position in which differences of a field do not count. Raises IllegalMute."""
    if any(one.path == path and one.mute for one in rollout.compare):
        raise IllegalMute(f"{path} is muted by the spec already")
    if dict(position.muted).get(path) == reason:
        raise IllegalMute(f"{path} is muted already, for this reason")
    return replace(position, muted=tuple(sorted({**dict(position.muted), path: reason}.items())))


def unmute(rollout: Rollout, position: Position, path: str) -> Position:
    """The position in which a field that a person muted counts again. Raises IllegalMute."""
    left = tuple((other, why) for other, why in position.muted if other != path)
    if len(left) == len(position.muted):
        if any(one.path == path and one.mute for one in rollout.compare):
            raise IllegalMute(f"{path} is muted by the spec; change `compare` there and record it as a new revision")
        muted = ", ".join(other for other, _ in position.muted) or "nothing"
        raise IllegalMute(f"{path} is not muted; muted by hand: {muted}")
    return replace(position, muted=left)


def as_muted(rollout: Rollout, position: Position) -> Rollout:
    """The rollout with the mutes of a position beside those of its spec."""
    if not position.muted:
        return rollout
    by_hand = tuple(Comparison(path=path, mute=why) for path, why in position.muted)
    return replace(rollout, compare=(*rollout.compare, *by_hand))


def _paused(position: Position, at: float) -> float:
    """Only a person's hold stops the stage's clock: evidence that stays away must not buy itself time."""
    if position.held_by in (None, RULE) or position.held_since is None:
        return position.paused
    return position.paused + max(0.0, at - position.held_since)


def _advance(rollout: Rollout, position: Position, at: float) -> Position:
    stage = rollout.stages[position.stage]
    if isinstance(stage, Canary) and position.step + 1 < len(stage.steps):
        return replace(position, step=position.step + 1, step_since=at)
    following = position.stage + 1
    _approved(rollout, position, Move.ADVANCE, following)
    if following >= len(rollout.stages) or isinstance(rollout.stages[following], Promote):
        raise IllegalMove(
            position.phase,
            Move.ADVANCE,
            f"cannot advance from {stage_name(stage)}: what comes next is promotion, which is another move",
        )
    return replace(position, stage=following, step=0, stage_since=at, step_since=at, paused=0.0, approvals=())


def _approved(rollout: Rollout, position: Position, move: Move, upto: int) -> None:
    """Nobody, a person as little as a rule, comes into a stage or past it without the approvals it asks for."""
    for stage in range(position.stage + 1, min(upto + 1, len(rollout.stages))):
        gate = asked(rollout, stage)
        if gate is not None and missing(rollout, stage, position.approvals):
            name = stage_name(rollout.stages[stage])
            raise IllegalMove(
                position.phase, move, f"cannot {move} into or past {name} without the approval of {wanted(gate)}"
            )


def next_stage(rollout: Rollout, position: Position) -> int | None:
    """The stage that the next move forward leads into; None where it leads to a step of the present one, or nowhere."""
    stage = rollout.stages[position.stage]
    if position.phase not in (Phase.RUNNING, Phase.HELD) or position.stage + 1 >= len(rollout.stages):
        return None
    if isinstance(stage, Canary) and position.step + 1 < len(stage.steps):
        return None
    return position.stage + 1


def approve(rollout: Rollout, position: Position, by: str, via: str, shown: str) -> Position:
    """The position in which a person has approved the next stage. Raises IllegalApproval."""
    following = next_stage(rollout, position)
    if following is None or position.phase is not Phase.RUNNING:
        raise IllegalApproval("there is no stage to approve now: approvals are given when the evidence has cleared one")
    approval = Approval(by=by, via=via, stage=following, shown=shown)
    return replace(position, approvals=given(rollout, following, position.approvals, approval))


def last_before_promotion(rollout: Rollout, position: Position) -> bool:
    """Whether the next move forward would be `promote`."""
    stage = rollout.stages[position.stage]
    if isinstance(stage, Canary) and position.step + 1 < len(stage.steps):
        return False
    following = position.stage + 1
    return following >= len(rollout.stages) or isinstance(rollout.stages[following], Promote)


def weight(rollout: Rollout, position: Position) -> float:
    """Share of units (0–1) that the position gives to the challenger, interleaved units included.

    Held keeps its weight; pending and rolled back give 0; promoted gives all but the holdback.
    """
    match position.phase:
        case Phase.PENDING | Phase.ROLLED_BACK:
            return 0.0
        case Phase.FINISHED:
            return 1.0
        case Phase.PROMOTED:
            last = rollout.stages[-1]
            return 1.0 - last.holdback if isinstance(last, Promote) else 1.0
        case Phase.RUNNING | Phase.HELD:
            return planned_weight(rollout, position.stage, position.step)


def planned_weight(rollout: Rollout, stage: int, step: int) -> float:
    """Share of units (0–1) that the spec plans for one step of one stage."""
    match rollout.stages[stage]:
        case Shadow():
            return 0.0
        case Canary(steps=steps):
            return steps[step]
        case Interleave(weight=share) | Ab(weight=share):
            return share
        case Promote(holdback=holdback):
            return 1.0 - holdback


def mode(rollout: Rollout, position: Position) -> str:
    """What the request path does now: `shadow`, `canary`, `interleave`, `ab`, `promote` or `champion`."""
    if position.phase in (Phase.PENDING, Phase.ROLLED_BACK):
        return "champion"
    if position.phase in (Phase.PROMOTED, Phase.FINISHED):
        return "promote"
    return stage_name(rollout.stages[position.stage])
