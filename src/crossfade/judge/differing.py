"""Lines on units to whom the arms make a difference: who was counted and who could not be, and whether that fits."""

from __future__ import annotations

from dataclasses import replace

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.mismatch import sample_ratio, stretches, strongest
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, unmeasured_line
from crossfade.judge.measure.measured import Measured, Triggered
from crossfade.judge.moments import RateMoments
from crossfade.judge.plan import mismatch_alpha
from crossfade.spec.model import Rollout


def of_differing(rollout: Rollout, measured: Measured, question: Question, line: Evidence) -> Evidence:
    """The line with word of whom it is about; `unmeasured` once those units do not fit the plan, since then their arm
    has a part in who is counted."""
    if not question.metric.differing or not measured.triggers.arms:
        return line
    told = (*line.assumptions, *_told(rollout, measured))
    moments = measured.triggers.assignment.get(question.arm)
    if isinstance(moments, RateMoments) and len(moments.share):
        alpha = mismatch_alpha(rollout)
        found = strongest(moments, alpha)
        said = sample_ratio(stretches(moments, question.baseline, question.arm), alpha=alpha, before=found.log_e)
        if said.verdict is Verdict.HARMFUL:
            reason = f"of units whose answers differ, {said.reason}; copies may be lost more often for one arm"
            return unmeasured_line(question, reason, Numbers(units=line.units, assumptions=told))
    return replace(line, assumptions=told)


def _told(rollout: Rollout, measured: Measured) -> tuple[str, ...]:
    arms = measured.triggers.arms
    named = [(arm.name, arms[arm.name]) for arm in (rollout.champion, *rollout.challengers) if arm.name in arms]
    shares = " and ".join(f"{one.differing:,} of {one.units:,} units of {name}" for name, one in named)
    every = [one for _, one in named]
    requests, compared, turned = (_sum(every, name) for name in ("requests", "compared", "turned"))
    lost = _sum(every, "lost")
    out = (
        "units count from their first request at which the arms' answers are known to differ, by one rule for both "
        f"arms: {shares} whose requests are copied; on others the arms have no effect there",
    )
    if not requests:
        return out
    said = f"{compared:,} of {requests:,} such requests were compared, answers differ in {turned:,}"
    if lost:
        by_arm = ", ".join(f"{one.lost:,} of {name}" for name, one in named)
        said += f"; left out are {lost:,} units with an earlier request of which it is not known ({by_arm})"
    return (*out, said)


def _sum(every: list[Triggered], name: str) -> int:
    return sum(int(getattr(one, name)) for one in every)
