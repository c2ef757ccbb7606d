"""The result of an analysis: lines of evidence at each look, the split of alpha behind them, and the sample ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crossfade.judge.analysis.asked import Asked
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.mismatch import SampleRatio
from crossfade.judge.infer.question import Question

SCHEMA = "crossfade.analysis/1"
STAGE = "analyze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of evidence and the look it was read at."""

    look: int
    evidence: Evidence

    def to_json(self) -> dict[str, Any]:
        return {**self.evidence.to_json(), "look": self.look}


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Everything an analysis found."""

    lines: tuple[Line, ...]
    sample_ratio: SampleRatio
    alpha: float
    baseline: str
    arms: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What was left out and why."""
    searched: Mapping[str, Any] | None = None
    """What a search of the exposures' columns found; None where nobody asked for one."""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every line, looks in order."""
        return tuple(line.evidence for line in self.lines)

    @property
    def last(self) -> tuple[Evidence, ...]:
        """The lines of the last look."""
        latest = max((line.look for line in self.lines), default=0)
        return tuple(line.evidence for line in self.lines if line.look == latest)

    def to_json(self) -> dict[str, Any]:
        """The stable record that other programs read."""
        ratio = self.sample_ratio
        return {
            "schema": SCHEMA,
            "alpha": self.alpha,
            "baseline": self.baseline,
            "arms": list(self.arms),
            "evidence": [line.to_json() for line in self.lines],
            "sample_ratio": {
                "e_value": ratio.e_value,
                "p_value": ratio.p_value,
                "verdict": str(ratio.verdict),
                "reason": ratio.reason,
                "alpha": ratio.alpha,
                "units": dict(ratio.units),
                "expected": dict(ratio.expected),
            },
            "notes": list(self.notes),
            **({} if self.searched is None else {"searched": dict(self.searched)}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How alpha is shared out: equally over metrics and arms; with segments, half of it over all their lines."""

    alpha: float
    metrics: int
    arms: int
    segments: int = 0

    @property
    def whole(self) -> float:
        """What one line on all units may err, in each direction."""
        return (self.alpha if self.segments == 0 else self.alpha / 2.0) / (self.metrics * self.arms)

    @property
    def part(self) -> float:
        """What one line on one segment may err, in each direction."""
        return self.alpha / 2.0 / (self.metrics * self.arms * max(self.segments, 1))


def question(asked: Asked, arm: str, baseline: str, alpha: float) -> Question:
    """The question behind one line."""
    return Question(
        metric=asked.metric,
        role=asked.role,
        limit=asked.metric.guardrail,
        arm=arm,
        baseline=baseline,
        stage=STAGE,
        step=None,
        alpha_harm=alpha,
        alpha_safe=alpha,
        window=asked.metric.window,
    )


def scaled(question: Question, scale: float) -> Question:
    """The question about values `scale` times as large."""
    limit = question.limit
    if limit is None or limit.relative:
        return question
    return replace(question, limit=replace(limit, value=limit.value * scale))


def refused(line: Evidence, reason: str) -> Evidence:
    """The line as one that was not measured: its counts stay, its numbers go."""
    return replace(
        line,
        estimate=None,
        lower=None,
        upper=None,
        e_value=None,
        e_value_safe=None,
        values=None,
        verdict=Verdict.UNMEASURED,
        reason=reason,
    )


def distrust(lines: Sequence[Line], look: int, ratio: SampleRatio) -> list[Line]:
    """The lines of a look, without their numbers where the units do not fit the plan."""
    if ratio.verdict is not Verdict.HARMFUL:
        return list(lines)
    reason = f"sample-ratio mismatch: {ratio.reason}"
    return [replace(line, evidence=refused(line.evidence, reason)) if line.look == look else line for line in lines]


def unplanned(alpha: float) -> SampleRatio:
    """The sample ratio of an analysis that was told no plan."""
    return SampleRatio(
        e_value=None,
        p_value=None,
        verdict=Verdict.UNMEASURED,
        reason="no shares were expected, so none could be missed; tell them with --expected",
        alpha=alpha,
        units={},
        expected={},
    )
