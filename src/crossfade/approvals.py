"""Approvals that people have given: who may give one, when it counts, and what is missing. Specs name the people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.spec.gated import Approve
from crossfade.spec.model import Rollout, stage_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's word that a rollout may enter a stage."""

    by: str
    via: str
    """How they were known: the name of a token, or an account on the machine. Nobody approves twice by two names."""
    stage: int
    """The stage that may be entered."""
    shown: str
    """Digest of what they were shown: stage, revision and verdicts."""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"by": self.by, "via": self.via, "stage": self.stage, "shown": self.shown}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Approval:
        """The inverse of `to_json`; raises KeyError or ValueError on foreign data."""
        return cls(by=str(data["by"]), via=str(data["via"]), stage=int(data["stage"]), shown=str(data["shown"]))


class IllegalApproval(ValueError):
    """An approval that cannot be given; the message says why."""


def asked(rollout: Rollout, stage: int) -> Approve | None:
    """What entering a stage asks of people."""
    return rollout.stages[stage].approve if stage < len(rollout.stages) else None


def missing(rollout: Rollout, stage: int, given: Sequence[Approval]) -> int:
    """How many approvals are still needed to enter a stage."""
    gate = asked(rollout, stage)
    if gate is None:
        return 0
    return max(0, gate.needed - len({one.by for one in given if one.stage == stage and one.by in gate.by}))


def given(rollout: Rollout, stage: int, before: Sequence[Approval], new: Approval) -> tuple[Approval, ...]:
    """The approvals with one more. Raises IllegalApproval."""
    gate = asked(rollout, stage)
    if gate is None:
        raise IllegalApproval("the next stage needs nobody's approval: evidence alone decides")
    name = stage_name(rollout.stages[stage])
    if new.by not in gate.by:
        raise IllegalApproval(f"{new.by} cannot approve {name}: that is for {people(gate.by)}")
    counted = [one for one in before if one.stage == stage]
    for one in counted:
        if one.by == new.by:
            takes = f"; it takes {gate.needed} different people" if gate.needed > 1 else ""
            raise IllegalApproval(f"{new.by} has approved {name} already{takes}")
        if one.via == new.via:
            raise IllegalApproval(
                f"the same person ({new.via}) has approved {name} already, as {one.by}: nobody approves twice; "
                "each needs a token or an account of their own"
            )
    if len(counted) >= gate.needed:
        raise IllegalApproval(f"{name} is approved already")
    return (*before, new)


def people(names: Sequence[str], word: str = "or") -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def wanted(gate: Approve) -> str:
    """Whose approval it takes: "ana or ben", "2 of ana, ben or cy"."""
    return people(gate.by) if gate.needed == 1 else f"{gate.needed} of {people(gate.by)}"
