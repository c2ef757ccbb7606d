"""What people see of segments: which values are told apart, how many units they have, and where harm is proven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.judge.decide import say
from crossfade.judge.evidence import Evidence
from crossfade.judge.measure.measured import Segmented
from crossfade.judge.plan import MOST_SEGMENTS, SEGMENT_SHARE
from crossfade.judge.segments import harmed
from crossfade.spec.model import Rollout
from crossfade.state import Position
from crossfade.view.words import percent, whole


def segments_record(
    rollout: Rollout, position: Position, found: Segmented | None, evidence: Sequence[Evidence]
) -> dict[str, Any]:
    """The record of segments; `available` is false, with a reason, where there is nothing to tell."""
    if not rollout.segments:
        return _nothing("the spec declares no segments; `segments: [header:x-country]` has those of a header judged")
    if found is None:
        return _nothing("nothing has been measured yet")
    fields = [
        {
            "field": str(field),
            "values": [
                {"segment": one.name, "value": one.value, "units": one.units}
                for one in found.segments
                if one.field == str(field)
            ],
            "others": _others(found, str(field)),
        }
        for field in rollout.segments
    ]
    gone_on = [{"metric": metric, "arm": arm, "segment": segment} for metric, arm, segment in position.gone_on]
    return {
        "available": True,
        "reason": "",
        "on_segment_harm": str(rollout.on_segment_harm),
        "alpha": SEGMENT_SHARE * rollout.alpha,
        "fields": fields,
        "harmful": [
            {"metric": one.metric, "arm": one.arm, "segment": one.line.segment, "text": _said(one.line)}
            for one in harmed(rollout, evidence)
        ],
        "gone_on": gone_on,
        "text": _text(rollout, found),
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"available": False, "reason": reason, "fields": [], "harmful": [], "gone_on": [], "text": ""}


def _others(found: Segmented, field: str) -> dict[str, int]:
    units, values = found.others.get(field, (0, 0))
    return {"units": units, "values": values}


def _said(line: Evidence) -> str:
    return f"{say.harmed(line)}, where {say.named(line)}"


def _text(rollout: Rollout, found: Segmented) -> str:
    """How many values are judged, which are not, and what they may err."""
    told = []
    for field in map(str, rollout.segments):
        values = sum(one.field == field for one in found.segments)
        units, others = found.others.get(field, (0, 0))
        rest = f", {whole(units)} units of {whole(others)} more together" if others else ""
        told.append(f"{field}: {whole(values)} of at most {MOST_SEGMENTS} values judged{rest}")
    share = percent(SEGMENT_SHARE * rollout.alpha)
    return f"{'; '.join(told)}. All of them together call harm falsely in at most {share} of rollouts."
