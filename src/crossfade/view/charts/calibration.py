"""Calibration: what came true over what was said, for both models, beside the line of a model that is always right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import ACCENT, FAINT, QUIET, exactly
from crossfade.view.words import percent, whole

Record = Mapping[str, Any]

INSET = 52


def calibration(arm: Record) -> Chart:
    """`arm` is one challenger's part of the record of calibration."""
    points = [
        {
            "who": arm["arm"] if side == "challenger" else "champion",
            "said": one["said"],
            "came": one["came"],
            "labels": one["n"],
            "ink": ACCENT if side == "challenger" else QUIET,
            "mark": "diamond" if side == "challenger" else "circle",
        }
        for side in ("champion", "challenger")
        for one in arm[side]["bins"]
        if one["n"]
    ]
    said = (
        f"What came true over what was said, by bins: circles are the champion, diamonds {arm['arm']}, as "
        "large as their labels are many; a model whose probabilities come true lies on the line."
    )
    rows = [(one["who"], percent(one["said"]), percent(one["came"]), whole(one["labels"])) for one in points]
    name = f"calibration-{arm['arm']}"
    head = ("model", "said", "came true", "labels")
    return Chart(
        name=name,
        title=f"Calibration of {arm['arm']}",
        said=said,
        spec=spec_of(said, _view(points), inset=INSET),
        head=head,
        rows=rows,
    )


def _view(points: list[dict[str, Any]]) -> dict[str, Any]:
    axis = {"format": ".0%", "grid": False, "tickCount": 5}
    scale = {"domain": [0, 1], "nice": False}
    x = {"field": "said", "type": "quantitative", "scale": scale, "axis": {**axis, "title": "said", "labelFlush": True}}
    y = {
        "field": "came",
        "type": "quantitative",
        "scale": scale,
        "axis": {**axis, "title": "came true", "minExtent": 30},
    }
    size = {"field": "labels", "type": "quantitative", "legend": None, "scale": {"range": [20, 420]}}
    tip = [
        {"field": "who", "type": "nominal"},
        {"field": "said", "type": "quantitative", "format": ".1%"},
        {"field": "came", "type": "quantitative", "format": ".1%"},
        {"field": "labels", "type": "quantitative", "format": ","},
    ]
    return {
        "height": 260,
        "layer": [
            {
                "data": {"values": [{"a": 0, "b": 1}]},
                "mark": {"type": "rule", "color": FAINT},
                "encoding": {
                    "x": {**x, "field": "a"},
                    "x2": {"field": "b"},
                    "y": {**y, "field": "a"},
                    "y2": {"field": "b"},
                },
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "opacity": 0.85},
                "encoding": {
                    "x": x,
                    "y": y,
                    "size": size,
                    "shape": exactly("mark"),
                    "color": exactly("ink"),
                    "tooltip": tip,
                },
            },
        ],
    }
