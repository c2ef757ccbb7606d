"""Nothing waits past its time or its budget: what is not decided by then gives way to the champion."""

from __future__ import annotations

from crossfade.judge.decide import approval, ramp, say
from crossfade.judge.decide.look import Look
from crossfade.judge.decision import Decision
from crossfade.state import Move


def overdue(look: Look) -> Decision | None:
    """Rolls back when `until.at_most` has passed, or when the budget may have been.

    A person's hold stops both, as nobody but that person moves it then; a rule's hold stops neither.
    """
    if not (look.running or look.held_by_rule):
        return None
    room = ramp.used_up(look)
    if room is not None:
        return Decision(
            move=Move.ROLLBACK,
            rule="overdue",
            sentence=f"Rolled back: {say.most(room)}. No harm was proven; "
            f"{look.rollout.champion.name} keeps its place.",
        )
    if look.deadline is None or look.now < look.deadline:
        return None
    open_wants = [say.stands(want) for want in look.wants if not want.met]
    unapproved = approval.unapproved(look)
    if not open_wants and unapproved:
        open_wants = [unapproved]
    left = f": {say.several(open_wants)}" if open_wants else ""
    return Decision(
        move=Move.ROLLBACK,
        rule="overdue",
        sentence=f"Rolled back: not decided by {say.clock(look.deadline, look.now)}{left}. No harm was proven; "
        f"{look.rollout.champion.name} keeps its place.",
    )
