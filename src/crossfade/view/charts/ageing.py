"""A metric's difference by days since first exposure: novelty wears off, learning grows, erosion turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import ACCENT, ACCENT_SOFT, FAINT, INK, signed_axis

Record = Mapping[str, Any]

INSET = 62


def ageing(metric: Record, unit: str) -> Chart | None:
    """`metric` is one of the record's `ageing`; None while fewer than two days are over."""
    scale = 100.0 if unit == "pp" else 1.0
    days = [
        {
            "day": day["age"] + 1,
            **{key: None if day[key] is None else day[key] * scale for key in ("estimate", "lower", "upper")},
            "said": day["text"]["estimate"],
            "interval": day["text"]["interval"],
        }
        for day in metric["days"]
    ]
    if sum(day["estimate"] is not None for day in days) < 2:
        return None
    said = f"The difference of {metric['metric']} by days since a unit first met {metric['arm']}, with its interval."
    rows = [(f"day {day['day']}", day["said"], day["interval"]) for day in days]
    return Chart(
        name=f"ageing-{metric['metric']}-{metric['arm']}",
        title=f"{metric['metric']} by days",
        said=said,
        spec=spec_of(said, _view(days, unit), inset=INSET),
        head=("day", "difference", "interval"),
        rows=rows,
    )


def _view(days: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    y = {"field": "estimate", "type": "quantitative", "axis": signed_axis(unit, INSET - 8), "scale": {"zero": True}}
    x = {
        "field": "day",
        "type": "quantitative",
        "scale": {"nice": False, "zero": False},
        "axis": {"title": "days since first exposure", "tickMinStep": 1, "format": "d", "grid": False},
    }
    tip = [{"field": field, "type": "nominal"} for field in ("day", "said", "interval")]
    return {
        "height": 150,
        "data": {"values": days},
        "layer": [
            {
                "mark": {"type": "area", "color": ACCENT_SOFT, "opacity": 1},
                "encoding": {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}},
            },
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": FAINT},
                "encoding": {"y": {**y, "field": "zero"}},
            },
            {"mark": {"type": "line", "color": ACCENT}, "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "color": INK, "opacity": 1},
                "encoding": {"x": x, "y": y, "tooltip": tip},
            },
        ],
    }
