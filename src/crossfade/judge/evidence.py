"""One line of evidence: everything a reader needs to check a verdict without the spec in hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SCHEMA = "crossfade.evidence/1"


class Verdict(StrEnum):
    """What the evidence says. *Unmeasured* (could not measure) is not *harmful* (measured bad)."""

    SAFE = "safe"
    HARMFUL = "harmful"
    UNDECIDED = "undecided"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The comparison of one arm with its baseline on one metric, in one stage.

    `estimate`, `lower`, `upper` and `limit` are differences arm − baseline in the metric's own units (a rate is
    a fraction, a latency is ms); absent numbers are None with the why in `reason`, never 0 or NaN.
    """

    metric: str
    kind: str
    arm: str
    baseline: str
    stage: str
    step: int | None
    segment: str | None = None
    units: Mapping[str, int]
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float
    """1 − alpha of the verdict *harmful* and of the interval's end on that side."""
    confidence_safe: float | None = None
    """1 − alpha of the verdict *safe* and of the interval's other end; `confidence` when None."""
    e_value: float | None = None
    """Evidence for harm; `harmful` once it reaches 1/alpha (alpha = 1 − confidence)."""
    e_value_safe: float | None = None
    """Evidence for safety (guardrail) or superiority (goal); `safe` once it reaches 1/(1 − confidence_safe)."""
    limit: float | None = None
    """The difference that separates safe from harmful: the margin, or 0 for a goal."""
    better: str = "lower"
    role: str = "guardrail"
    """`guardrail`, `goal` or `gate`."""
    verdict: Verdict
    reason: str = ""
    window: float | None = None
    """Seconds after first exposure in which outcomes count."""
    values: Mapping[str, float | None] | None = None
    """The metric's own value per arm, for people to read."""
    events: Mapping[str, int] | None = None
    """Units with an event, per arm, where the metric counts events."""
    immature: int = 0
    """Units exposed but not yet counted, because their window is still open."""
    assumptions: tuple[str, ...] = ()
    counterfactual: Mapping[str, float] | None = None
    """Of rates: `events` that the challenger's units would have had at the champion's rate of each step, and the
    standard `deviation` of that number. Budgets are counted from it."""
    change: Mapping[str, Any] | None = None
    """After promotion, where harm began late: `after` so many seconds of the stage, with `units` and `values` of each
    arm since then. What began is estimated, so that these are for people to read."""
    unadjusted: Mapping[str, float | None] | None = None
    """Where a covariate is used: `estimate`, `lower` and `upper` as they would be without it. No rule reads them."""

    def to_json(self) -> dict[str, Any]:
        """The stable record that other programs read."""
        record = asdict(self)
        record["verdict"] = str(self.verdict)
        record["assumptions"] = list(self.assumptions)
        return {"schema": SCHEMA, **record}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Evidence:
        """The inverse of `to_json`."""
        fields = {k: v for k, v in record.items() if k != "schema"}
        fields["verdict"] = Verdict(fields["verdict"])
        fields["assumptions"] = tuple(fields["assumptions"])
        return cls(**fields)
