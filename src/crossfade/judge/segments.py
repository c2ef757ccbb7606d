"""Segments in which the evidence proves harm: which field, which value, on which metric, by which arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.measure.measured import ABSENT
from crossfade.spec.model import Rollout
from crossfade.state import Suffering


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """One segment of a declared field that an arm provenly harms on one metric."""

    field: str
    """As the spec writes it, such as `header:x-country`."""
    value: str
    """Empty where requests did not have the field."""
    metric: str
    arm: str
    line: Evidence

    @property
    def suffering(self) -> Suffering:
        """What a person is shown, and may go on with all the same."""
        return (self.metric, self.arm, self.line.segment or "")


def harmed(rollout: Rollout, evidence: Sequence[Evidence]) -> tuple[Harmed, ...]:
    """Every segment with proven harm in one look, the surest first; whatever the order of the evidence."""
    found = [
        Harmed(field=field, value=value, metric=line.metric, arm=line.arm, line=line)
        for line in evidence
        if line.segment is not None and line.verdict is Verdict.HARMFUL
        for field, value in [value_of(rollout, line.segment)]
    ]
    return tuple(sorted(found, key=_rank))


def suffering(lines: Sequence[Mapping[str, Any]]) -> tuple[Suffering, ...]:
    """The same of records of evidence, as they were shown to somebody."""
    harmful = [one for one in lines if one.get("segment") is not None and one["verdict"] == str(Verdict.HARMFUL)]
    return tuple(sorted((one["metric"], one["arm"], one["segment"]) for one in harmful))


def value_of(rollout: Rollout, segment: str) -> tuple[str, str]:
    """The field and the value that a line of evidence calls `header:x-country=DE`."""
    fields = sorted((str(field) for field in rollout.segments), key=len, reverse=True)
    field = next((one for one in fields if segment.startswith(f"{one}=")), segment.partition("=")[0])
    value = segment[len(field) + 1 :]
    return field, "" if value == ABSENT else ABSENT if value == f'"{ABSENT}"' else value


def _rank(one: Harmed) -> tuple[float, str, str, str]:
    excess = (one.line.e_value or 0.0) * (1.0 - one.line.confidence)
    return (-excess, one.metric, one.arm, one.line.segment or "")
