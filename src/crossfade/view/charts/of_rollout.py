"""Which charts a rollout's page shows, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.ageing import ageing
from crossfade.view.charts.band import band
from crossfade.view.charts.chart import Chart
from crossfade.view.charts.drift import drift
from crossfade.view.charts.exposure import exposure
from crossfade.view.charts.forest import drawable, forest
from crossfade.view.charts.harm import harm
from crossfade.view.charts.preference import preference

Record = Mapping[str, Any]

PREFERENCE = "preference"
"""The metric of an interleaving stage."""

MOST_BANDS = 4


def charts_of(record: Record, past: Record) -> dict[str, Chart]:
    """By name, those that have something to show; `past` is the rollout's history."""
    found = [
        exposure(past, stopped=record["phase"] == "rolled_back"),
        *_evidence(record, past["looks"]),
        harm(record["harm"]),
        *(ageing(one, _unit(record, one["metric"])) for one in (record.get("ageing") or {}).get("metrics", ())),
        drift(record["drift"]) if record.get("drift") else None,
    ]
    return {chart.name: chart for chart in found if chart is not None}


def _evidence(record: Record, looks: list[Record]) -> list[Chart | None]:
    pairs = [
        (line, said) for line, said in zip(record["evidence"], record["lines"], strict=True) if line["segment"] is None
    ]
    preferred = [line for line, _ in pairs if line["metric"] == PREFERENCE]
    others = [pair for pair in pairs if pair[0]["metric"] != PREFERENCE]
    votes = record["votes"]
    charts: list[Chart | None] = [preference(preferred[0], votes)] if preferred and votes else []
    shown = [pair for pair in (others if charts else pairs) if drawable(pair[0])]
    if shown:
        charts.append(forest([line for line, _ in shown], [said for _, said in shown]))
    drawn = [
        band(f"band-{line['metric']}-{line['arm']}", line, said["unit"], looks)
        for line, said in pairs
        if line["verdict"] != "unmeasured"
    ]
    charts += [chart for chart in drawn if chart is not None][:MOST_BANDS]
    return charts


def _unit(record: Record, metric: str) -> str:
    return next((said["unit"] for said in record["lines"] if said["metric"] == metric), "")
