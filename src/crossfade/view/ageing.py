"""An effect by days since first exposure, as people read it: day by day, with what it seems to do over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from crossfade.judge.day import NOTE, Day
from crossfade.spec.model import Rollout
from crossfade.view.words import amount, interval, percent, signed, whole


def ageing_record(rollout: Rollout, days: Sequence[Day]) -> dict[str, Any] | None:
    """The part of a rollout's record; None where no day is over yet."""
    if not days:
        return None
    kinds = {metric.name: str(metric.kind) for metric in rollout.metrics}
    groups = groupby(days, key=lambda day: (day.metric, day.arm))
    return {
        "note": NOTE,
        "confidence": percent(days[0].confidence),
        "metrics": [_metric(metric, arm, kinds[metric], list(found)) for (metric, arm), found in groups],
    }


def _metric(metric: str, arm: str, kind: str, days: Sequence[Day]) -> dict[str, Any]:
    unit = "pp" if kind == "rate" else ""
    return {
        "metric": metric,
        "arm": arm,
        "baseline": days[0].baseline,
        "days": [
            {
                "age": day.age,
                "units": day.units,
                "values": day.values,
                "estimate": day.estimate,
                "lower": day.lower,
                "upper": day.upper,
                "text": {
                    "estimate": signed(day.estimate, unit, like=(day.estimate, day.lower, day.upper)),
                    "interval": interval(day.lower, day.upper, unit, like=(day.estimate, day.lower, day.upper)),
                    "values": {arm: amount(value, unit) for arm, value in day.values.items()},
                    "units": {arm: whole(n) for arm, n in day.units.items()},
                },
            }
            for day in days
        ],
    }
