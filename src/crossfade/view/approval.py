"""Whose approval the next stage needs, who has given it, and what they would be approving: part of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.approvals import asked, missing, wanted
from crossfade.judge.decide.approval import APPROVAL
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Verdict
from crossfade.ledger import digest, plain
from crossfade.spec.model import Rollout, stage_name
from crossfade.state import Position, next_stage


def verdicts_digest(stage: str, revision: str, evidence: Sequence[Mapping[str, Any]]) -> str:
    """The digest of what an approver goes by: the stage, the revision of the spec and every verdict.

    Numbers are not in it, because they change with each look while traffic flows. Of segments it has those that are
    decided, because new ones appear with the traffic too.
    """
    verdicts = sorted(
        [line["metric"], line["arm"], line["stage"], line.get("segment") or "", str(line["verdict"])]
        for line in evidence
        if line.get("segment") is None or line["verdict"] in (Verdict.SAFE, Verdict.HARMFUL)
    )
    return digest({"stage": stage, "revision": revision, "verdicts": verdicts})


def evidence_digest(evidence: Sequence[Mapping[str, Any]]) -> str:
    """The digest that approvals held at first: SHA-256 over all records of the evidence as canonical JSON."""
    return digest({"evidence": plain(evidence)})


def approval_record(
    rollout: Rollout, position: Position, decision: Decision | None, evidence: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What the next stage asks of people; None where it asks for nothing."""
    following = next_stage(rollout, position)
    gate = asked(rollout, following) if following is not None else None
    if gate is None or following is None:
        return None
    stage = stage_name(rollout.stages[following])
    return {
        "stage": stage,
        "wanted": wanted(gate),
        "of": list(gate.by),
        "needed": gate.needed,
        "missing": missing(rollout, following, position.approvals),
        "given": [{"by": one.by, "shown": one.shown} for one in position.approvals if one.stage == following],
        "waiting": decision is not None and decision.rule == APPROVAL,
        "revision": rollout.revision,
        "shown": verdicts_digest(stage, rollout.revision, evidence),
    }


def shown_digest(approval: Mapping[str, Any] | None) -> str:
    """For the end of a sentence that says what is waited for: which evidence would be approved."""
    return f" Evidence {approval['shown'][:12]}." if approval and approval["waiting"] else ""


def with_approvals(saved: Mapping[str, Any], fresh: Mapping[str, Any] | None) -> dict[str, Any]:
    """A saved record with the approvals that were given since; what was shown stays what was shown."""
    if not fresh or not saved.get("approval"):
        return dict(saved)
    return {**saved, "approval": {**saved["approval"], "given": fresh["given"], "missing": fresh["missing"]}}
