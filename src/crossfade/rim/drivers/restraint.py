"""What a controller may decide while a router does not do what the plan says: nothing that goes on.

A rollout whose router cannot be reached, or does otherwise, is held; once the router follows again it goes on by
itself, with the clock of its step begun anew, so that each step is held for its full time at its own weight.
"""

from __future__ import annotations

from dataclasses import replace

from crossfade.judge.decision import Decision
from crossfade.rim.drivers.standing import Standing
from crossfade.spec.model import Rollout
from crossfade.spec.routers import LIMITS
from crossfade.state import ROUTER, Move, Phase, Position

ONWARD = (Move.ADVANCE, Move.PROMOTE, Move.FINISH, Move.RESUME)
"""Moves that no rule makes on the word of facts whose exposure nobody vouches for."""


def restrained(
    rollout: Rollout, position: Position, decision: Decision, standing: Standing | None, now: float
) -> Decision:
    """The decision that may be acted on, where a router carries the rollout."""
    if rollout.router is None:
        return decision
    title = LIMITS[rollout.router.driver].title
    if decision.move in (Move.ROLLBACK, Move.HOLD) or decision.excluded:
        return decision
    why = f"{title} has not been asked yet" if standing is None else standing.of(rollout, position, now)
    follows = not why
    held = position.phase is Phase.HELD and position.held_by == ROUTER
    if held and follows:
        return Decision(move=Move.RESUME, rule=ROUTER, sentence=f"Resumed: {title} does what it was told again.")
    if held:
        return replace(decision, move=None, rule=ROUTER, sentence=f"Held: {why}. It goes on when {title} follows.")
    if follows:
        return decision
    if position.phase is Phase.RUNNING and standing is not None and standing.late(now):
        return Decision(move=Move.HOLD, rule=ROUTER, sentence=f"Holding: {why}.")
    if decision.move in ONWARD:
        return Decision(move=None, rule=ROUTER, sentence=f"Not going on: {why}.")
    return decision


def actor_of(decision: Decision, otherwise: str) -> str:
    """Who acts: the router's state is nobody's evidence, so that evidence neither holds nor resumes for it."""
    return ROUTER if decision.rule == ROUTER else otherwise
