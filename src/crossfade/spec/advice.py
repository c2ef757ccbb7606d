"""What is no mistake in a spec, and may surprise all the same: told by `crossfade check`, and by nothing else."""

from __future__ import annotations

from crossfade.spec.model import Better, Kind, Metric, Rollout, Source


def advice(rollout: Rollout) -> tuple[str, ...]:
    """One sentence for each."""
    return tuple(told for metric in rollout.metrics if (told := _never(metric)))


def _never(metric: Metric) -> str:
    """A guardrail on something bad that a healthy service has none of may never be proven."""
    margin = metric.guardrail
    summed = metric.kind is Kind.COUNT or (metric.kind is Kind.MEAN and metric.source is Source.OUTCOME)
    shared = metric.kind is Kind.RATE and margin is not None and margin.relative
    if margin is None or metric.goal or metric.better is Better.HIGHER or not (summed or shared):
        return ""
    if metric.source not in (Source.OUTCOME, Source.RESPONSE):
        return ""
    wanted = []
    if margin.relative:
        own = "in percentage points" if shared else "in the metric's own units"
        wanted.append(f"a margin {own}, as a share of nothing is nothing")
    if summed and metric.cap is None:
        wanted.append("a cap, the most that counts of one unit (such as cap: 20), as one unit may have any number")
    if not wanted:
        return ""
    zeros = ", and report a 0 of units that have none, as silence is no 0" if metric.source is Source.OUTCOME else ""
    return (
        f"metrics.{metric.name}: should it happen to nobody, in either arm, it would never be proven safe, and the "
        f"rollout would be given up in the end; write {' and '.join(wanted)}{zeros}"
    )
