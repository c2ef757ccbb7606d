"""One word on a rollout as a whole, for tools that own the traffic: go, wait, stop, unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crossfade.judge.evidence import Verdict
from crossfade.state import Phase
from crossfade.view.words import duration, percent


class Answer(StrEnum):
    """What a tool that owns the traffic should do."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"
    UNKNOWN = "unknown"
    """It could not be measured: whoever goes on now does so without evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """The answer, the verdict that it rests on, and both in words."""

    answer: Answer
    verdict: Verdict
    reason: str


def overall(
    record: Mapping[str, Any],
    *,
    now: float,
    patience: float,
    metrics: Collection[str] = (),
    weight: float | None = None,
) -> Overall:
    """The word on one status record. What nobody has looked at for `patience` seconds is unmeasured.

    With `metrics` only these count. With a `weight` (0–1) the question is whether the plan has come that far; without,
    whether everything is proven.
    """
    ended = _ended(record)
    if ended is not None:
        return ended
    if now - record["at"] > patience:
        return _unknown(f"nobody has looked for {duration(now - record['at'])}: the controller is silent")
    lines = [
        line for line in record["evidence"] if line["segment"] is None and (not metrics or line["metric"] in metrics)
    ]
    harmful = _named(lines, Verdict.HARMFUL)
    if harmful:
        return Overall(answer=Answer.STOP, verdict=Verdict.HARMFUL, reason=f"{harmful} proven harmful")
    missing = sorted({*metrics} - {line["metric"] for line in lines})
    if missing or not lines:
        return _unknown(f"{', '.join(missing) or 'nothing'} has not been measured yet")
    silent = [line for line in lines if line["verdict"] == Verdict.UNMEASURED]
    if silent:
        return _unknown("; ".join(dict.fromkeys(f"{one['metric']}: {one['reason'] or 'no data'}" for one in silent)))
    open_ones = _named(lines, Verdict.UNDECIDED)
    verdict = Verdict.UNDECIDED if open_ones else Verdict.SAFE
    if record["phase"] == Phase.HELD:
        return Overall(answer=Answer.WAIT, verdict=verdict, reason=str(record["sentence"]))
    if weight is not None:
        planned = record["exposure"]["planned"] or 0.0
        far = planned >= weight - 1e-9
        reason = f"the plan is at {percent(planned)}, {'which covers' if far else 'not yet at'} {percent(weight)}"
        return Overall(answer=Answer.GO if far else Answer.WAIT, verdict=verdict, reason=reason)
    if open_ones:
        return Overall(answer=Answer.WAIT, verdict=verdict, reason=f"{open_ones} not decided yet")
    return Overall(answer=Answer.GO, verdict=verdict, reason=f"{_named(lines, Verdict.SAFE)} proven safe")


def begun(record: Mapping[str, Any], *, now: float, patience: float) -> Overall:
    """Whether exposure may begin at all: somebody has started the rollout, and somebody looks at it."""
    found = _ended(record)
    if found is not None:
        return found
    if now - record["at"] > patience:
        return _unknown(f"nobody has looked for {duration(now - record['at'])}: the controller is silent")
    harmful = _named([line for line in record["evidence"] if line["segment"] is None], Verdict.HARMFUL)
    if harmful:
        return Overall(answer=Answer.STOP, verdict=Verdict.HARMFUL, reason=f"{harmful} proven harmful")
    held = record["phase"] == Phase.HELD
    reason = str(record["sentence"]) if held else "started, and looked at"
    return Overall(answer=Answer.WAIT if held else Answer.GO, verdict=Verdict.UNDECIDED, reason=reason)


WORST = (Verdict.HARMFUL, Verdict.UNMEASURED, Verdict.UNDECIDED, Verdict.SAFE)


def by_metric(record: Mapping[str, Any]) -> dict[str, str]:
    """Each metric's verdict over everybody; of several challengers' the worst."""
    told: dict[str, str] = {}
    for line in record["evidence"]:
        if line["segment"] is None:
            told[line["metric"]] = min(line["verdict"], told.get(line["metric"], Verdict.SAFE), key=WORST.index)
    return told


def _ended(record: Mapping[str, Any]) -> Overall | None:
    """What the phase alone says."""
    match record["phase"]:
        case Phase.ROLLED_BACK:
            harm = record["tone"] == "red"
            verdict = Verdict.HARMFUL if harm else Verdict.UNDECIDED
            return Overall(answer=Answer.STOP, verdict=verdict, reason=str(record["sentence"]))
        case Phase.PENDING:
            return _unknown(str(record["sentence"]))
        case Phase.PROMOTED | Phase.FINISHED:
            return Overall(answer=Answer.GO, verdict=Verdict.SAFE, reason=str(record["sentence"]))
        case _:
            return None


def _unknown(reason: str) -> Overall:
    return Overall(answer=Answer.UNKNOWN, verdict=Verdict.UNMEASURED, reason=reason)


def _named(lines: Collection[Mapping[str, Any]], verdict: Verdict) -> str:
    """The metrics with this verdict; '' where none has it."""
    return ", ".join(dict.fromkeys(line["metric"] for line in lines if line["verdict"] == verdict))
