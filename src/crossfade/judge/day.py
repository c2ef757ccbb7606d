"""One metric of one challenger on one day since first exposure: what the view by age shows."""

from __future__ import annotations

from dataclasses import dataclass

NOTE = (
    "units that were first exposed so many days ago, with what was reported of that day; exploratory: each interval "
    "holds for its own day, and no decision rests on them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One metric, one challenger, one day since first exposure."""

    metric: str
    arm: str
    baseline: str
    age: int
    """0 is the day that begins with the first exposure."""
    units: dict[str, int]
    values: dict[str, float | None]
    estimate: float | None
    lower: float | None
    upper: float | None
    confidence: float
