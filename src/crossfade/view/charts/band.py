"""One metric's always-valid band over the units it was measured on, with the regions in which it ships or stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import INK, LINE, QUIET, RED, RED_SOFT, SHAPES, VERDICTS, exactly, signed_axis
from crossfade.view.words import interval, signed, whole

Record = Mapping[str, Any]

INSET = 62

FEWEST = 3
"""Looks that a band needs to be one."""

MOST_ROWS = 40


def band(name: str, line: Record, unit: str, looks: Sequence[Record]) -> Chart | None:
    """The band of the present stage; `line` is the evidence as it stands. None while there is none to draw."""
    points = _points(line, looks)
    if len(points) < FEWEST or line["limit"] is None:
        return None
    scale = 100.0 if unit == "pp" else 1.0
    drawn = [
        {**point, **{key: None if point[key] is None else point[key] * scale for key in _KEYS}} for point in points
    ]
    limit, up = line["limit"] * scale, line["better"] == "higher"
    low, high = _domain(drawn, limit)
    for point in drawn:
        point["bottom"] = low if point["lower"] is None else max(point["lower"], low)
        point["top"] = high if point["upper"] is None else min(point["upper"], high)
    said = (
        f"The band of {line['metric']} over the units it was measured on: {line['verdict']}. It ships once the whole "
        f"band is on the better side of its limit, and stops once the whole band is on the worse side."
    )
    view = _view(drawn, limit, (low, high), up, unit, line["verdict"])
    like = [line[key] for key in ("estimate", "lower", "upper")]
    rows = [
        (
            whole(one["units"]),
            signed(one["estimate"], unit, like=like),
            interval(one["lower"], one["upper"], unit, like=like),
        )
        for one in points[-MOST_ROWS:]
    ]
    return Chart(
        name=name,
        title=f"{line['metric']} over units",
        said=said,
        spec=spec_of(said, view, inset=INSET),
        head=("units", "difference", "interval"),
        rows=rows,
    )


_KEYS = ("estimate", "lower", "upper")


def _points(line: Record, looks: Sequence[Record]) -> list[dict[str, Any]]:
    """The looks of the last step, each with more units than the one before."""
    if not looks:
        return []
    here = (looks[-1]["stage"], looks[-1]["step"])
    found: list[dict[str, Any]] = []
    for look in looks:
        if (look["stage"], look["step"]) != here:
            continue
        for one in look["lines"]:
            mine = (one["metric"], one["arm"]) == (line["metric"], line["arm"])
            if mine and one["estimate"] is not None and one["units"] > (found[-1]["units"] if found else 0):
                found.append({"units": one["units"], **{key: one[key] for key in _KEYS}})
    return found


def _domain(points: Sequence[Record], limit: float) -> tuple[float, float]:
    """Early bands are as wide as they like: what is shown is where the later ones are, the limit, and zero."""
    later = points[len(points) // 3 :]
    values = [0.0, limit, *(one[key] for one in later for key in _KEYS if one[key] is not None)]
    low, high = min(values), max(values)
    room = (high - low) * 0.14 or 1.0
    return low - room, high + room


def _view(
    points: Sequence[Record], limit: float, domain: tuple[float, float], up: bool, unit: str, verdict: str
) -> dict[str, Any]:
    low, high = domain
    y = {
        "type": "quantitative",
        "axis": signed_axis(unit, INSET - 8),
        "scale": {"domain": [low, high], "nice": False, "reverse": not up},
    }
    first, last = points[0]["units"], points[-1]["units"]
    x = {
        "field": "units",
        "type": "quantitative",
        "axis": {"title": "units", "format": "~s", "grid": False, "tickCount": 5, "labelFlush": True},
        "scale": {"domain": [first, last], "nice": False},
    }
    worse = {"from": low if up else limit, "to": limit if up else high}
    tip = [
        {"field": "units", "type": "quantitative", "format": ","},
        {"field": "estimate", "type": "quantitative", "format": "+.4~g"},
        {"field": "lower", "type": "quantitative", "format": "+.4~g"},
        {"field": "upper", "type": "quantitative", "format": "+.4~g"},
    ]
    corner = {"type": "text", "align": "left", "dx": 6, "fontSize": 12}
    ink = VERDICTS[verdict]
    end = {**points[-1], "mark": SHAPES[verdict], "ink": ink}
    return {
        "height": 190,
        "layer": [
            {
                "data": {"values": [worse]},
                "mark": {"type": "rect", "color": RED_SOFT},
                "encoding": {"y": {**y, "field": "from"}, "y2": {"field": "to"}},
            },
            {
                "mark": {"type": "rule", "color": LINE},
                "data": {"values": [{"at": 0}]},
                "encoding": {"y": {**y, "field": "at"}},
            },
            {
                "data": {"values": list(points)},
                "mark": {"type": "area", "interpolate": "step-after", "color": ink, "opacity": 0.16},
                "encoding": {"x": x, "y": {**y, "field": "bottom"}, "y2": {"field": "top"}},
            },
            {
                "data": {"values": list(points)},
                "mark": {"type": "line", "interpolate": "step-after", "color": ink, "strokeWidth": 2},
                "encoding": {"x": x, "y": {**y, "field": "estimate"}, "tooltip": tip},
            },
            {
                "data": {"values": [{"at": limit}]},
                "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5, "strokeDash": [5, 3]},
                "encoding": {"y": {**y, "field": "at"}},
            },
            {
                "data": {"values": [end]},
                "mark": {"type": "point", "filled": ink != RED, "size": 110, "strokeWidth": 3, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "estimate"},
                    "shape": exactly("mark"),
                    "color": exactly("ink"),
                },
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    **corner,
                    "text": "◆ ships once the band lies up here",
                    "baseline": "top",
                    "dy": 4,
                    "color": QUIET,
                },
                "encoding": {"x": {"value": 0}, "y": {"value": 0}},
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    **corner,
                    "text": "✖ stops once it lies down here",
                    "baseline": "bottom",
                    "dy": -4,
                    "color": RED,
                },
                "encoding": {"x": {"value": 0}, "y": {"value": 190}},
            },
        ],
    }
