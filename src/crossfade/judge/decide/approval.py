"""Evidence has cleared a stage, and the next one asks for people's approval: the rollout waits for them.

Silence never advances it, and its time runs on: who does not approve in time leaves the champion its place.
"""

from __future__ import annotations

from crossfade.approvals import asked, missing, people, wanted
from crossfade.judge.decide import say
from crossfade.judge.decide.look import Look
from crossfade.judge.decision import Decision
from crossfade.state import next_stage

APPROVAL = "approval"
"""The rule that speaks while people are waited for."""


def awaited(look: Look, what: str, grounds: str) -> Decision | None:
    """No move, and whose word is waited for; None where nobody's is missing."""
    following = next_stage(look.rollout, look.position)
    if following is None or not missing(look.rollout, following, look.position.approvals):
        return None
    gate = asked(look.rollout, following)
    assert gate is not None, "what nobody is asked for cannot be missing"
    so_far = [one.by for one in look.position.approvals if one.stage == following]
    given = f", {people(so_far, 'and')} {'has' if len(so_far) == 1 else 'have'}" if so_far else ""
    end = "" if look.deadline is None else f"; given up at {say.clock(look.deadline, look.now)} otherwise"
    return Decision(
        move=None,
        rule=APPROVAL,
        sentence=f"Cleared {say.where(look)}: {grounds}. Waiting for the approval of {wanted(gate)} to go on to {what}"
        f"{given}{end}.",
        until=look.deadline,
    )


def approved(look: Look) -> str:
    """Who let it go on, for the end of a sentence; empty where nobody was asked."""
    following = next_stage(look.rollout, look.position)
    if following is None or asked(look.rollout, following) is None:
        return ""
    return f"; approved by {people([one.by for one in look.position.approvals if one.stage == following], 'and')}"


def unapproved(look: Look) -> str:
    """Whose approval never came, for a stage that is given up."""
    following = next_stage(look.rollout, look.position)
    gate = asked(look.rollout, following) if following is not None else None
    if gate is None or following is None or not missing(look.rollout, following, look.position.approvals):
        return ""
    return f"the approval of {wanted(gate)} was not given"
