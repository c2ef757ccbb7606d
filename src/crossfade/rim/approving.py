"""Approvals: a person lets a rollout go on to its next stage, and the ledger keeps what they were shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.approvals import IllegalApproval
from crossfade.ledger import Entry
from crossfade.rim.standing import checked_words
from crossfade.rim.store import Store
from crossfade.spec.model import Rollout, stage_name
from crossfade.state import Position, approve, next_stage

APPROVE = "approve"
"""The rule under which the ledger has them."""


def approve_by_hand(
    store: Store,
    name: str,
    *,
    actor: str,
    reason: str,
    at: float,
    by: Mapping[str, Any],
    shown: str | None = None,
) -> Entry:
    """Approve what the rollout waits for, on the evidence that was shown last.

    With `shown`, only if that is still what its digest begins with. Raises UnknownRollout, IllegalApproval, or
    ValueError for a missing reason or an actor that is the rules' own name.
    """
    reason, actor = checked_words(reason, actor, "an approval", "approves")
    stored, seen = store.get(name), store.view(name)
    asked = (seen or {}).get("approval")
    following = next_stage(stored.rollout, stored.position)
    if seen is None or not asked or not asked["waiting"] or following is None or seen["revision"] != stored.revision:
        raise IllegalApproval(
            f"{name} does not wait for an approval now: one is asked for when the evidence has cleared the stage before"
        )
    if asked["stage"] != stage_name(stored.rollout.stages[following]):
        raise IllegalApproval(f"{name} has moved on; look again")
    if shown is not None and not (len(shown) >= 8 and asked["shown"].startswith(shown)):
        raise IllegalApproval(
            f"the evidence is not what was shown any more: a verdict, the stage or the spec is another (then {shown}, "
            f"now {asked['shown'][:12]}); look again"
        )
    via = f"token {by['token']}" if "token" in by else " ".join(str(part) for part in by.values())

    def change(rollout: Rollout, position: Position) -> Position:
        if rollout.revision != stored.revision or next_stage(rollout, position) != following:
            raise IllegalApproval(f"{name} has moved on; look again")
        return approve(rollout, position, actor, via, asked["shown"])

    stage = asked["stage"]
    return store.note(
        name,
        actor=actor,
        rule=APPROVE,
        sentence=f"{actor} approved going on to {stage} on evidence {asked['shown'][:12]}: {reason}",
        at=at,
        change=change,
        evidence=seen["evidence"],
        by=by,
        about={"stage": stage, "shown": asked["shown"], "via": via, "wanted": asked["wanted"]},
    )
