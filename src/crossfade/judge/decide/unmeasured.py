"""Silence is not health: where only a missing measurement stands between a stage and its next, it is held."""

from __future__ import annotations

from crossfade.judge.decide import budget, say
from crossfade.judge.decide.look import Look, Want
from crossfade.judge.decision import Decision
from crossfade.spec.model import Canary, Promote, Shadow
from crossfade.state import Move

GRACE = 60.0
"""Seconds beyond a metric's window before a stage without a fixed length calls its absence silence."""


def unmeasured(look: Look) -> Decision | None:
    """Holds, stays held, or resumes once everything is measured again."""
    missing = _missing(look)
    if look.held_by_rule:
        if not missing:
            return Decision(move=Move.RESUME, rule="unmeasured", sentence="Resumed: everything is measured again.")
        return Decision(move=None, rule="unmeasured", sentence=_sentence(look, missing), until=look.deadline)
    if not look.running or isinstance(look.stage, Promote) or not missing:
        return None
    if look.mismatched:
        return Decision(move=Move.HOLD, rule="unmeasured", sentence=_sentence(look, missing), until=look.deadline)
    if not look.enough or _passing(look):
        return None
    if budget.over(look) or any(want.measured and not want.met for want in look.wants):
        return None
    if not isinstance(look.stage, Canary | Shadow) and look.now < _silent_from(look):
        return None
    return Decision(move=Move.HOLD, rule="unmeasured", sentence=_sentence(look, missing), until=look.deadline)


def _passing(look: Look) -> bool:
    """Whether this is an automatic step that has not had all of `hold_for` for its measurements."""
    return (
        isinstance(look.stage, Canary) and look.stage.auto and look.now < look.position.step_since + look.stage.hold_for
    )


def _missing(look: Look) -> list[str]:
    wants = [say.why_unmeasured(want) for want in look.wants if not want.measured]
    if look.mismatched:
        # Whatever else is missing, it would not be worth anything.
        return [f"{line.reason} (unmeasured)" for line in look.mismatched]
    silent = [f"no unit has been exposed to {arm} in this step (unmeasured)" for arm in look.silent_arms]
    return silent + wants


def _silent_from(look: Look) -> float:
    def window(want: Want) -> float:
        return want.window

    longest = max((window(want) for want in look.wants if not want.measured), default=0.0)
    return look.position.stage_since + longest + GRACE


def _sentence(look: Look, missing: list[str]) -> str:
    still = "so" if look.mismatched else "silent"
    end = "" if look.deadline is None else f"; rolls back at {say.clock(look.deadline, look.now)} if still {still}"
    return f"Holding {say.where(look)}: {say.several(missing)}{end}."
