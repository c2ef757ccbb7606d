"""Harm: what the challenger has cost beyond the champion's rate, against the budget where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import INK, LINE, QUIET, RED
from crossfade.view.words import excess, percent, whole

Record = Mapping[str, Any]

STEP = 58

HEAD = ("metric", "beyond the champion's rate", "budget", "spent", "units")


def harm(record: Record) -> Chart | None:
    """Budgets and how much of each is spent; None where the spec sets none, or nothing is known of it."""
    budgeted = [one for one in record["metrics"] if one["budget"] is not None and one["excess"] is not None]
    if not budgeted:
        return None
    rows = [_row(n, one) for n, one in enumerate(budgeted)]
    reach = max(1.15, *(row["spent"] * 1.05 for row in rows))
    said = "Of the budget of harm is spent: " + "; ".join(f"{row['metric']} {row['said']}" for row in rows) + "."
    told = [
        (one["metric"], excess(one["excess"]), f"{one['budget']:g}", percent(one["spent"]), whole(one["units"]))
        for one in budgeted
    ]
    return Chart(
        name="harm", title="Budget of harm", said=said, spec=spec_of(said, _view(rows, reach)), head=HEAD, rows=told
    )


def _row(n: int, one: Record) -> dict[str, Any]:
    spent = max(0.0, one["spent"] or 0.0)
    return {
        "row": n,
        "zero": 0.0,
        "one": 1.0,
        "metric": one["metric"],
        "spent": spent,
        "said": f"{excess(one['excess'])} of {one['budget']:g}  ({percent(spent)})",
        "ink": RED if spent >= 1.0 else INK,
    }


def _view(rows: list[dict[str, Any]], reach: float) -> dict[str, Any]:
    x = {"type": "quantitative", "scale": {"domain": [0, reach], "nice": False}, "axis": None}
    text = {"type": "text", "baseline": "middle", "dy": -18}
    return {
        "data": {"values": rows},
        "height": {"step": STEP},
        "encoding": {"y": {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}},
        "layer": [
            {
                "mark": {"type": "bar", "height": 14, "color": LINE},
                "encoding": {"x": {**x, "field": "zero"}, "x2": {"field": "one"}},
            },
            {
                "mark": {"type": "bar", "height": 14},
                "encoding": {
                    "x": {**x, "field": "zero"},
                    "x2": {"field": "spent"},
                    "color": {"field": "ink", "type": "nominal", "scale": None, "legend": None},
                    "tooltip": [
                        {"field": "metric", "type": "nominal"},
                        {"field": "said", "type": "nominal", "title": "spent"},
                    ],
                },
            },
            {"mark": {"type": "tick", "size": 26, "thickness": 2, "color": RED}, "encoding": {"x": {**x, "datum": 1}}},
            {
                "mark": {
                    "type": "text",
                    "text": "stops here",
                    "baseline": "middle",
                    "align": "right",
                    "dy": 19,
                    "color": RED,
                    "fontSize": 11,
                },
                "encoding": {"x": {**x, "datum": 1}},
            },
            {
                "mark": {**text, "align": "left", "fontSize": 13, "fontWeight": 600, "color": INK},
                "encoding": {"text": {"field": "metric"}, "x": {"value": 0}},
            },
            {
                "mark": {**text, "align": "right", "color": QUIET},
                "encoding": {"text": {"field": "said"}, "x": {"value": "width"}},
            },
        ],
    }
