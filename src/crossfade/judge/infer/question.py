"""What is asked of the moments: one metric, one pair of arms, one role, and the error each answer may make."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.spec.model import Better, Margin, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a line of evidence carries besides its numbers."""

    metric: Metric
    role: str
    """`guardrail`, `goal` or `gate`."""
    limit: Margin | None
    """How much worse still counts as no worse; None is no difference at all."""
    arm: str
    baseline: str
    stage: str
    step: int | None
    alpha_harm: float
    alpha_safe: float
    window: float | None = None
    segment: str | None = None
    """Of which units, such as `header:x-country=DE`; None for all."""

    @property
    def harm_sign(self) -> int:
        """+1 where a larger value of the challenger is worse, −1 where a smaller one is."""
        return 1 if self.metric.better is Better.LOWER else -1

    @property
    def relative(self) -> bool:
        """Whether the limit is a share of the champion's value."""
        return self.limit is not None and self.limit.relative

    def boundary(self, harm: bool) -> tuple[float, float]:
        """The null line `value_B = slope · value_A + offset` that harm (or safety) must be proved against.

        A goal is safe only when superior, so its safety is tested against no difference; harm, for every role,
        against the limit, because no worse than its margin must not be rolled back.
        """
        if self.limit is None or (self.role == "goal" and not harm):
            return 1.0, 0.0
        signed = self.harm_sign * self.limit.value
        return (1.0 + signed, 0.0) if self.limit.relative else (1.0, signed)

    def limit_as_difference(self, baseline_value: float | None) -> float | None:
        """The limit in the metric's own units; None where a share of nothing was asked for."""
        if self.limit is None or self.role == "goal":
            return 0.0
        signed = self.harm_sign * self.limit.value
        if not self.limit.relative:
            return signed
        return signed * baseline_value if baseline_value else None
