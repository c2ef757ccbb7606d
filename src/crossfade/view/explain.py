"""The arithmetic of one line of evidence, written out so that a reader can check the verdict by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.mismatch import SAMPLE_RATIO
from crossfade.spec.model import Rollout
from crossfade.view.record import SHAPES, line_in_words
from crossfade.view.words import duration, percent, whole


def explain(rollout: Rollout, line: Evidence) -> list[str]:
    """A heading and then one sentence a step: values, difference, interval, limit, e-values, assumptions."""
    said = line_in_words(rollout, line)
    where = f" where {line.segment}" if line.segment else ""
    told = [f"{SHAPES[line.verdict]} {line.metric}{where} ({line.role}): {line.verdict}"]
    if line.reason:
        told.append(line.reason)
    for arm in (line.baseline, line.arm):
        told.append(f"{arm}: {_arm(line, said, arm)}")
    if line.immature:
        told.append(f"{whole(line.immature)} units do not count yet: their {duration(line.window)} window is open")
    if line.estimate is not None:
        better = "" if line.metric == SAMPLE_RATIO else f" ({line.better} is better)"
        told.append(f"difference {line.arm} − {line.baseline}: {said['estimate']}{better}")
    if line.lower is not None or line.upper is not None:
        told.append(f"{said['confidence']} always-valid interval: {said['interval']}")
    if said["unadjusted"]:
        told.append(said["unadjusted"])
    if said["limit"]:
        word = "superior if the difference is" if line.role == "goal" else "within its limit if the difference is"
        told.append(f"{word} {said['limit']}")
    alpha = 1.0 - line.confidence
    if 0.0 < alpha < 1.0:
        alphas = (alpha, 1.0 - (line.confidence if line.confidence_safe is None else line.confidence_safe))
        bets = zip(_bets(line).items(), alphas, strict=False)
        told.extend(_bet(name, value, each) for (name, value), each in bets if value is not None)
    told.extend(f"assumes: {assumption}" for assumption in line.assumptions)
    return told


def _arm(line: Evidence, said: Mapping[str, Any], arm: str) -> str:
    value, units = said["values"].get(arm), said["units"].get(arm)
    parts = [f"{value} over {units} units" if value else f"{units or 'no'} units"]
    if arm in said["events"]:
        parts.append(f"{said['events'][arm]} with an event")
    return ", ".join(parts)


def _bets(line: Evidence) -> dict[str, float | None]:
    if line.metric == SAMPLE_RATIO:
        return {"units do not fit the plan": line.e_value}
    safe = "better than the champion" if line.role == "goal" else "within the limit"
    return {"harm": line.e_value, safe: line.e_value_safe}


def _bet(name: str, value: float, alpha: float) -> str:
    needed = 1.0 / alpha
    relation = "reached" if value >= needed else "not reached"
    return f"evidence for “{name}”: e = {value:.4g}; needs 1/alpha = {needed:.4g} (alpha {percent(alpha)}): {relation}"
