"""A segment that comes to harm holds the rollout until a person says what to do; the harm of the whole outranks it."""

from __future__ import annotations

from crossfade.judge.decide import say
from crossfade.judge.decide.look import Look
from crossfade.judge.decision import Decision
from crossfade.judge.segments import Harmed
from crossfade.spec.model import OnSegmentHarm, Promote
from crossfade.state import Move


def segment(look: Look) -> Decision | None:
    """Holds on harm in a segment that nobody has gone on with yet, and stays held until somebody does.

    A segment never makes the way forward easier: its other verdicts are not asked for. After promotion it is only
    shown, because there is nothing left to hold.
    """
    holds = look.rollout.on_segment_harm is not OnSegmentHarm.REPORT
    if look.held_by_rule and look.position.held_for:
        if look.rollout.on_segment_harm is not OnSegmentHarm.HOLD:
            does = "is only reported" if not holds else "keeps it on the champion"
            sentence = f"Resumed: by its spec, harm in a segment {does} now."
            return Decision(move=Move.RESUME, rule="segment", sentence=sentence)
        known = [one for one in look.harmed if one.suffering in look.position.held_for]
        return Decision(move=None, rule="segment", sentence=_sentence(look, known), until=look.deadline)
    if not holds or not look.running or isinstance(look.stage, Promote) or look.mismatched:
        return None
    new = [one for one in look.harmed if one.suffering not in look.position.gone_on]
    if look.rollout.on_segment_harm is OnSegmentHarm.EXCLUDE:
        return _kept_out(look, new)
    if not new:
        return None
    return Decision(
        move=Move.HOLD,
        rule="segment",
        sentence=_sentence(look, new),
        until=look.deadline,
        held_for=tuple(sorted(one.suffering for one in new)),
    )


def _kept_out(look: Look, harmed: list[Harmed]) -> Decision | None:
    """Keeps on the champion what is not kept there yet, unless a person let it go."""
    let_go = {segment for _, _, segment in look.position.gone_on if segment}
    new = [
        one
        for one in harmed
        if (one.field, one.value) not in look.position.excluded and f"{one.field}={one.value}" not in let_go
    ]
    if not new:
        return None
    more = f", and {len(new) - 1} more" if len(new) > 1 else ""
    return Decision(
        move=None,
        rule="segment",
        sentence=f"Kept on {look.rollout.champion.name} from now on: {say.named(new[0].line)}{more}, because "
        f"{say.harmed(new[0].line)} there. All others go on; `crossfade include` lets it go.",
        until=look.now,
        excluded=tuple(sorted({(one.field, one.value) for one in new})),
    )


def _sentence(look: Look, harmed: list[Harmed]) -> str:
    if harmed:
        more = f", and {len(harmed) - 1} more" if len(harmed) > 1 else ""
        what = f"{say.harmed(harmed[0].line)}, where {say.named(harmed[0].line)}{more}"
    else:
        told = [f"{metric} of {arm} where {name}" for metric, arm, name in look.position.held_for]
        what = f"harm was proven for {say.several(told)}; by now the evidence is weaker"
    end = "" if look.deadline is None else f", or it is rolled back at {say.clock(look.deadline, look.now)}"
    return f"Holding {say.where(look)}: {what}. Resume with a reason to go on all the same, or roll back{end}."
