"""Whose approval the next stage needs, who has given it, and what they would be approving: part of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.approvals import asked, missing, wanted
from crossfade.judge.decide.approval import APPROVAL
from crossfade.judge.decision import Decision
from crossfade.ledger import digest, plain
from crossfade.spec.model import Rollout, stage_name
from crossfade.state import Position, next_stage


def evidence_digest(evidence: Sequence[Mapping[str, Any]]) -> str:
    """The digest of evidence as it was shown: SHA-256 over its records as canonical JSON."""
    return digest({"evidence": plain(evidence)})


def approval_record(
    rollout: Rollout, position: Position, decision: Decision | None, evidence: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What the next stage asks of people; None where it asks for nothing."""
    following = next_stage(rollout, position)
    gate = asked(rollout, following) if following is not None else None
    if gate is None or following is None:
        return None
    return {
        "stage": stage_name(rollout.stages[following]),
        "wanted": wanted(gate),
        "of": list(gate.by),
        "needed": gate.needed,
        "missing": missing(rollout, following, position.approvals),
        "given": [{"by": one.by, "shown": one.shown} for one in position.approvals if one.stage == following],
        "waiting": decision is not None and decision.rule == APPROVAL,
        "revision": rollout.revision,
        "shown": evidence_digest(evidence),
    }


def shown_digest(approval: Mapping[str, Any] | None) -> str:
    """For the end of a sentence that says what is waited for: which evidence would be approved."""
    return f" Evidence {approval['shown'][:12]}." if approval and approval["waiting"] else ""


def with_approvals(saved: Mapping[str, Any], fresh: Mapping[str, Any] | None) -> dict[str, Any]:
    """A saved record with the approvals that were given since; what was shown stays what was shown."""
    if not fresh or not saved.get("approval"):
        return dict(saved)
    return {**saved, "approval": {**saved["approval"], "given": fresh["given"], "missing": fresh["missing"]}}
