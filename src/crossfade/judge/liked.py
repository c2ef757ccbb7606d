"""A challenger whose ranking people prefer and whose guardrail goes wrong: preference is not what it does to users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossfade.judge.decide import say
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.preference import PREFERENCE


def cautioned(lines: Sequence[Evidence]) -> list[Evidence]:
    """The lines, those of a preference for the challenger with a word on each of its guardrails that goes wrong."""
    return [_cautioned(line, lines) if _preferred(line) else line for line in lines]


def _preferred(line: Evidence) -> bool:
    return line.metric == PREFERENCE.name and line.estimate is not None and line.estimate > 0.0


def _cautioned(line: Evidence, lines: Sequence[Evidence]) -> Evidence:
    wrong = [_wrong(other) for other in lines if other.arm == line.arm and other.role == "guardrail" and _goes(other)]
    if not wrong:
        return line
    found = "is preferred" if line.verdict is Verdict.SAFE else "seems to be preferred"
    said = f"{line.arm}'s ranking {found}, but {say.several(wrong)}: what people pick is not what becomes of them"
    return replace(line, reason=f"{line.reason}; {said}" if line.reason else said)


def _goes(line: Evidence) -> bool:
    """Whether a guardrail is proven wrong, or is as it stands on the wrong side of its limit."""
    if line.verdict is Verdict.HARMFUL:
        return True
    if line.verdict is Verdict.UNMEASURED or line.estimate is None or line.limit is None:
        return False
    return line.estimate > line.limit if line.better == "lower" else line.estimate < line.limit


def _wrong(line: Evidence) -> str:
    if line.estimate is None:
        return f"{line.metric} is harmful"
    sign = "−" if line.estimate < 0.0 else "+"
    limit = f" (limit {'−' if line.limit < 0.0 else '+'}{say.number(line.limit, line)})" if line.limit else ""
    proven = "proven " if line.verdict is Verdict.HARMFUL else ""
    return f"{line.metric} is {proven}{sign}{say.number(line.estimate, line)} against {line.baseline}{limit}"
