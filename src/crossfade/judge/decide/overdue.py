"""Nothing waits past its time: a stage that is not decided by its deadline gives way to the champion."""

from __future__ import annotations

from crossfade.judge.decide import say
from crossfade.judge.decide.look import Look
from crossfade.judge.decision import Decision
from crossfade.state import Move


def overdue(look: Look) -> Decision | None:
    """Rolls back when `until.at_most` has passed; a person's hold stops this clock, a rule's does not."""
    if not (look.running or look.held_by_rule) or look.deadline is None or look.now < look.deadline:
        return None
    open_wants = [say.stands(want) for want in look.wants if not want.met]
    left = f": {say.several(open_wants)}" if open_wants else ""
    return Decision(
        move=Move.ROLLBACK,
        rule="overdue",
        sentence=f"Rolled back: not decided by {say.clock(look.deadline, look.now)}{left}. No harm was proven; "
        f"{look.rollout.champion.name} keeps its place.",
    )
