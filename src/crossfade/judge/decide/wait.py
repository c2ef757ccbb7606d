"""The rest: stay where we are, and say what for and until when."""

from __future__ import annotations

import math

from crossfade.judge.decide import budget, ramp, say
from crossfade.judge.decide.cleared import watched_until
from crossfade.judge.decide.look import Look
from crossfade.judge.decide.patience import patience
from crossfade.judge.decision import Decision
from crossfade.spec.model import Shadow
from crossfade.state import Phase


def wait(look: Look) -> Decision:
    """No move, with the reason."""
    sentence, until = _waiting(look)
    return Decision(move=None, rule="wait", sentence=sentence, until=until)


def _waiting(look: Look) -> tuple[str, float | None]:
    match look.position.phase:
        case Phase.PENDING:
            return "Waiting to be started.", None
        case Phase.ROLLED_BACK:
            return f"Rolled back; {look.rollout.champion.name} serves everyone.", None
        case Phase.FINISHED:
            return f"Finished; {look.rollout.challenger.name} serves everyone.", None
        case Phase.PROMOTED:
            until = watched_until(look)
            if look.position.excluded and look.now >= until:
                kept = ", ".join(f"{field}={value}" for field, value in look.position.excluded)
                todo = "include it to finish, or roll back"
                return f"Promoted and watched; {kept} stays on {look.rollout.champion.name}: {todo}.", None
            return f"Promoted; watched until {say.soon(until, look.now)}.", until
        case Phase.HELD:
            since = (
                "" if look.position.held_since is None else f" since {say.clock(look.position.held_since, look.now)}"
            )
            return f"Held {say.where(look)} by {look.position.held_by}{since}; resumes by hand.", None
        case Phase.RUNNING:
            return _running(look)


def _running(look: Look) -> tuple[str, float | None]:
    here = say.where(look)
    if isinstance(look.stage, Shadow) and not look.enough:
        wanted = look.stage.until.requests or 1
        return f"Watching {here}: {look.progress.mirrored:,} of {wanted:,} requests compared.", look.deadline
    if not look.enough:
        return f"Watching {here} until {say.soon(look.due, look.now)}; {_so_far(look)}.", look.due
    spent = budget.over(look)
    if spent:
        line, much, most = spent[0]
        return (
            f"Watching {here}: {line.metric} of {line.arm} may have cost {much:,.0f} units, budget {most:,.0f}; not "
            "raised until that is known better.",
            look.deadline,
        )
    refused = ramp.refused(look)
    if refused is not None and ramp.coming(look, 1.0) is not None:
        room, cost = refused
        if room.believed is not None:
            return f"Watching {here}: {say.believed(room, ramp.following(look) or 0.0)}.", look.deadline
        could = "could cost any amount" if cost == math.inf else f"could cost up to {cost:,.0f}"
        return (
            f"Watching {here}: not raised, as at {say.share(ramp.following(look) or 0.0)} {room.metric} of {room.arm} "
            f"{could} by its end, budget {room.budget:,.0f}.",
            look.deadline,
        )
    unmet = [say.stands(want) for want in look.wants if not want.met]
    end = "" if look.deadline is None else f"; given up at {say.soon(look.deadline, look.now)} if undecided"
    if not unmet and look.silent_arms:
        return f"Watching {here}: no unit exposed to {', '.join(look.silent_arms)} yet{end}.", look.deadline
    return f"Watching {here}, not decided: {say.several(unmet)}{patience(look)}{end}.", look.deadline


def _so_far(look: Look) -> str:
    """Whether harm was looked for: silence must not read as health."""
    silent = list(dict.fromkeys(want.metric for want in look.wants if not want.measured))
    if not silent:
        return "no harm found"
    if all(want.metric in silent for want in look.wants):
        return "nothing measured yet"
    return f"no harm found, {', '.join(silent)} not measured yet"
