"""A stage that has seen what it wanted moves on; a promotion that has been watched for its time is finished."""

from __future__ import annotations

from crossfade.judge.decide import approval, budget, ramp, say, weeks
from crossfade.judge.decide.look import Look
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Verdict
from crossfade.spec.model import Ab, Canary, Promote, Shadow, stage_name
from crossfade.state import Move, Phase

_WORST = "even if every unit there came to harm, the budget would cover it"


def cleared(look: Look) -> Decision | None:
    """Advances, promotes or finishes."""
    if look.position.phase is Phase.PROMOTED:
        return _finish(look)
    if not look.running or isinstance(look.stage, Promote) or not look.enough:
        return None
    if look.mismatched or budget.over(look) or ramp.refused(look) is not None:
        return None
    if ramp.climbs(look):
        weight = say.share(ramp.following(look) or 0.0)
        believed = isinstance(look.stage, Canary) and look.stage.prior is not None
        why = "by its prior the budget covers it" if believed else _WORST
        return Decision(move=Move.ADVANCE, rule="cleared", sentence=f"Advanced to {weight}: {why}.")
    if look.silent_arms or not all(want.met for want in look.wants):
        return None
    if look.last and not isinstance(look.rollout.stages[-1], Promote):
        return _for_a_person(look, "The spec has no promote stage, so a person decides: promote or rollback")
    if look.last and len(look.rollout.challengers) > 1:
        return _for_a_person(look, "Only one can be promoted: roll back, then run a rollout with the winner alone")
    what = "promotion" if look.last else _following(look)
    awaited = approval.awaited(look, what, _grounds(look))
    if awaited is not None:
        return awaited
    grounds = _grounds(look) + approval.approved(look)
    if look.last:
        return Decision(move=Move.PROMOTE, rule="cleared", sentence=f"Promoted: {grounds}.")
    return Decision(move=Move.ADVANCE, rule="cleared", sentence=f"Advanced to {what}: {grounds}.")


def _for_a_person(look: Look, why: str) -> Decision:
    """A spec that does not ask for promotion, or not of whom, never gets one from a rule."""
    end = "" if look.deadline is None else f"; given up at {say.clock(look.deadline, look.now)} otherwise"
    return Decision(
        move=None,
        rule="cleared",
        sentence=f"Cleared {say.where(look)}: {_grounds(look)}. {why}{end}.",
        until=look.deadline,
    )


def _finish(look: Look) -> Decision | None:
    # Once finished there is one model for everybody: nobody is to meet by the clock what was proven to harm them.
    if look.now < watched_until(look) or look.position.excluded:
        return None
    watched = [line.metric for line in look.evidence if line.verdict is not Verdict.UNMEASURED]
    silent = [line.metric for line in look.evidence if line.verdict is Verdict.UNMEASURED]
    grounds = [f"{', '.join(dict.fromkeys(watched))} watched for its full time, no harm found"] if watched else []
    if silent:
        grounds.append(f"{', '.join(dict.fromkeys(silent))} not measured")
    return Decision(
        move=Move.FINISH,
        rule="cleared",
        sentence=f"Finished: {'; '.join(grounds) or 'nothing was left to compare it with'}.",
    )


def watched_until(look: Look) -> float:
    """When the watch after promotion ends."""
    watch = look.stage.watch if isinstance(look.stage, Promote) else 0.0
    return look.position.stage_since + watch


def _following(look: Look) -> str:
    stage = look.stage
    if isinstance(stage, Canary) and look.position.step + 1 < len(stage.steps):
        return say.share(stage.steps[look.position.step + 1])
    following = look.rollout.stages[look.position.stage + 1]
    if isinstance(following, Canary):
        return f"canary at {say.share(following.steps[0])}"
    return stage_name(following)


def _grounds(look: Look) -> str:
    proven = [want.metric for want in look.wants if want.proof]
    watched = [want.metric for want in look.wants if not want.proof]
    grounds = []
    if isinstance(look.stage, Shadow):
        grounds.append(f"{look.progress.mirrored:,} requests compared")
    ragged = weeks.told(look.now - look.position.stage_since) if isinstance(look.stage, Ab) else ""
    if isinstance(look.stage, Canary):
        grounds.append(f"{say.share(look.weight)} held for its time")
        if ramp.following(look) is not None:
            grounds += [f"the next fits under the budget of {room.metric}" for room in ramp.rooms(look)[:1]]
    if proven:
        grounds.append(f"{', '.join(dict.fromkeys(proven))} proven safe")
    if watched:
        grounds.append(f"{', '.join(dict.fromkeys(watched))} measured, no harm found")
    if ragged:
        grounds.append(f"seen over {ragged}")
    return "; ".join(grounds) or "its time has passed"
