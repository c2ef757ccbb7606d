"""Exposure over time, a planned staircase against what was seen; below it, on the same axis, the way to the boundary.

Heights of shares grow with their square root, so that 1 % can be seen beside 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import ACCENT, ACCENT_SOFT, CROSS, FAINT, INK, QUIET, RED, exactly
from crossfade.view.words import moment, percent

Record = Mapping[str, Any]

SHARES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)

INSET = 52

HEIGHT = 190

HEAD = ("from (UTC)", "move", "planned share", "seen until the next")

ROW = 15
"""Pixels that a row of stages' names is high."""

LETTERS = 36.0
"""Letters that fit beside each other where the page is narrow."""


def exposure(past: Record, *, stopped: bool = False) -> Chart | None:
    """`past` is a rollout's history: steps planned, looks at what was seen. None before it has begun."""
    steps, looks = past["steps"], past["looks"]
    if not steps:
        return None
    end = max(float(past["end"]), steps[-1]["at"] + 1e-3)
    said = "The planned share of units on the challenger as steps, the share seen as a line" + (
        "; below, how far the evidence of harm of each metric has come on its way to the boundary that rolls back."
        if any(look["lines"] for look in looks)
        else "."
    )
    x = _time(steps[0]["at"], end)
    views = [_staircase(steps, looks, end, x, stopped)]
    if any(line["harm"] is not None for look in looks for line in look["lines"]):
        views.append(_boundary(looks, x))
    view: dict[str, Any] = {"vconcat": views, "resolve": {"scale": {"x": "shared"}}} if len(views) > 1 else views[0]
    return Chart(
        name="exposure",
        title="Exposure over time",
        said=said,
        spec=spec_of(said, view, inset=INSET),
        head=HEAD,
        rows=_told(steps, looks, end),
    )


def _ms(at: float) -> int:
    return round(at * 1000.0)


def _time(start: float, end: float) -> dict[str, Any]:
    span = end - start
    form = "%H:%M:%S" if span < 1200 else "%H:%M" if span < 129_600 else "%d %b" if span < 3e7 else "%b %Y"
    labels = {"labelOverlap": "greedy", "labelFlush": True, "labelSeparation": 12}
    axis = {"format": form, "title": None, "grid": False, "tickCount": 5, **labels}
    # No domain is written down: Vega's interpreter cannot read that of times. The staircase has both ends.
    scale = {"type": "utc", "nice": False}
    return {"type": "temporal", "scale": scale, "axis": axis}


def _staircase(
    steps: Sequence[Record], looks: Sequence[Record], end: float, x: Record, stopped: bool
) -> dict[str, Any]:
    seen = [{"at": _ms(look["at"]), "share": look["actual"]} for look in looks if look["actual"] is not None]
    planned = [{"at": _ms(step["at"]), "share": step["weight"], "what": step["move"]} for step in steps]
    planned.append({"at": _ms(end), "share": steps[-1]["weight"], "what": ""})
    hidden = not any(one["share"] for one in planned)
    top = max([0.02, *(one["share"] for one in planned), *(one["share"] for one in seen)])
    ticks = [share for share in SHARES if share <= top * 1.1]
    axis = {
        "values": ticks,
        "title": None,
        "labelExpr": "round(datum.value * 100) + ' %'",
        "minExtent": INSET - 8,
        "maxExtent": INSET - 8,
        "zindex": 0,
    }
    y = {
        "field": "share",
        "type": "quantitative",
        "axis": axis,
        "scale": {"type": "sqrt", "domain": [0, min(1.0, top * 1.08)], "nice": False},
    }
    at = {**x, "field": "at"}
    tip = [
        {"field": "at", "type": "temporal", "title": "at", "format": "%Y-%m-%d %H:%M:%S"},
        {"field": "share", "type": "quantitative", "title": "share of units", "format": ".3~%"},
    ]
    both = {"x": at, "y": y}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": planned},
            "mark": {"type": "area", "interpolate": "step-after", "color": ACCENT_SOFT, "line": False, "opacity": 1},
            "encoding": both,
        },
        {
            "data": {"values": planned},
            "mark": {"type": "line", "interpolate": "step-after", "color": ACCENT, "strokeWidth": 2},
            "encoding": both,
        },
        *_stages(steps, end, at, 44 if hidden else HEIGHT),
    ]
    if seen:
        layers += [
            {
                "data": {"values": seen},
                "mark": {"type": "line", "color": INK, "strokeWidth": 1.5, "strokeDash": [1, 3], "strokeCap": "round"},
                "encoding": both,
            },
            {
                "data": {"values": seen},
                "mark": {"type": "point", "filled": True, "color": INK, "size": 14, "opacity": 1},
                "encoding": {**both, "tooltip": tip},
            },
        ]
    if stopped:
        layers.append(_stop(steps, at, y, 44 if hidden else HEIGHT))
    # Nobody meets a hidden challenger: a line says that.
    return {"height": 44 if hidden else HEIGHT, "layer": layers}


def _stages(steps: Sequence[Record], end: float, at: Record, high: int) -> list[dict[str, Any]]:
    """Where each stage begins, with its name. A name that would run into the one before it stands a row higher."""
    span = end - steps[0]["at"]
    firsts = [next(group) for _, group in groupby(steps, key=lambda step: str(step["stage"]))]
    values = []
    taken: list[float] = []
    for one in firsts:
        name = str(one["stage"])
        room = (len(name) + 1) / LETTERS
        start = (one["at"] - steps[0]["at"]) / span
        left = start + room <= 1.0
        first = start if left else start - room
        row = next((n for n, until in enumerate(taken) if until <= first), len(taken))
        taken[row : row + 1] = [first + room]
        values.append({"at": _ms(one["at"]), "name": name, "row": row, "left": left})
    return [
        {
            "data": {"values": values},
            "mark": {"type": "rule", "color": FAINT, "strokeDash": [2, 3]},
            "encoding": {"x": at, "y": {"value": 1 - ROW * max(len(taken), 1)}, "y2": {"value": high}},
        },
        *(_names(list(group), at) for _, group in groupby(sorted(values, key=_side), key=_side)),
    ]


def _side(name: Record) -> tuple[int, bool]:
    return int(name["row"]), bool(name["left"])


def _names(names: Sequence[Record], at: Record) -> dict[str, Any]:
    """Names of one row that stand on one side of where their stages begin."""
    row, left = _side(names[0])
    side = {"align": "left", "dx": 5} if left else {"align": "right", "dx": -5}
    return {
        "data": {"values": names},
        "mark": {"type": "text", "baseline": "top", "color": QUIET, **side},
        "encoding": {"x": at, "y": {"value": -ROW * (row + 1)}, "text": {"field": "name"}},
    }


def _stop(steps: Sequence[Record], at: Record, y: Record, high: int) -> dict[str, Any]:
    """The step on which it was rolled back; its words stand at the foot, where no share seen is."""
    last = steps[-1]
    before = steps[-2]["weight"] if len(steps) > 1 else 0.0
    right = last["at"] - steps[0]["at"] > 0
    foot = {"value": high - 10}
    return {
        "data": {"values": [{"at": _ms(last["at"]), "share": before}]},
        "layer": [
            {
                "mark": {"type": "rule", "color": RED, "strokeWidth": 1, "strokeDash": [2, 3]},
                "encoding": {"x": at, "y": y, "y2": {"value": high}},
            },
            {
                "mark": {"type": "point", "shape": CROSS, "size": 110, "strokeWidth": 3, "color": RED, "opacity": 1},
                "encoding": {"x": at, "y": y},
            },
            {
                "mark": {
                    "type": "text",
                    "text": "stopped here",
                    "align": "right" if right else "left",
                    "dx": -6 if right else 6,
                    "fontWeight": 600,
                    "color": RED,
                    "fontSize": 13,
                },
                "encoding": {"x": at, "y": foot},
            },
        ],
    }


def _boundary(looks: Sequence[Record], x: Record) -> dict[str, Any]:
    """How far the e-value of harm has come towards 1/alpha, on the scale where evidence adds up."""
    found = [
        {
            "at": _ms(look["at"]),
            "metric": line["metric"],
            "run": f"{line['metric']} {line['arm']} {look['stage']}",
            "toward": line["harm"],
            "ink": RED if line["harm"] >= 1.0 else QUIET,
        }
        for look in looks
        for line in look["lines"]
        if line["harm"] is not None
    ]
    last = max((one["at"] for one in found), default=0)
    ends: dict[str, dict[str, Any]] = {}
    for one in sorted((one for one in found if one["at"] == last), key=lambda one: -one["toward"])[:1]:
        ends[one["metric"]] = {**one, "mark": CROSS if one["toward"] >= 1.0 else "circle"}
    axis = {
        "values": [0, 0.5, 1],
        "title": None,
        "labelExpr": "round(datum.value * 100) + ' %'",
        "minExtent": INSET - 8,
        "maxExtent": INSET - 8,
    }
    y = {"field": "toward", "type": "quantitative", "axis": axis, "scale": {"domain": [0, 1.12], "nice": False}}
    at = {**x, "field": "at"}
    tip = [
        {"field": "metric", "type": "nominal"},
        {"field": "toward", "type": "quantitative", "format": ".0%", "title": "of the way to rollback"},
        {"field": "at", "type": "temporal", "title": "at", "format": "%Y-%m-%d %H:%M:%S"},
    ]
    line = {"type": "line", "strokeWidth": 1.5, "interpolate": "monotone"}
    return {
        "height": 96,
        "title": {"text": "Evidence of harm on its way to the boundary, by metric"},
        "layer": [
            {
                "data": {"values": [{"toward": 1}]},
                "mark": {"type": "rule", "color": RED, "strokeDash": [5, 3], "strokeWidth": 1.5},
                "encoding": {"y": y},
            },
            {
                "data": {"values": [{"toward": 1}]},
                "mark": {
                    "type": "text",
                    "text": "rolls back here",
                    "align": "left",
                    "dx": 4,
                    "dy": -8,
                    "color": RED,
                    "fontSize": 11,
                },
                "encoding": {"y": y, "x": {"value": 0}},
            },
            {
                "data": {"values": found},
                "mark": {**line, "color": QUIET},
                "encoding": {"x": at, "y": y, "detail": {"field": "run", "type": "nominal"}, "tooltip": tip},
            },
            {
                "data": {"values": list(ends.values())},
                "mark": {"type": "point", "size": 60, "strokeWidth": 3, "opacity": 1},
                "encoding": {"x": at, "y": y, "shape": exactly("mark"), "color": exactly("ink")},
            },
            {
                "data": {"values": list(ends.values())},
                "mark": {"type": "text", "align": "right", "dx": -9, "dy": -9, "fontSize": 12, "fontWeight": 600},
                "encoding": {"x": at, "y": y, "text": {"field": "metric"}, "color": exactly("ink")},
            },
        ],
    }


def _told(steps: Sequence[Record], looks: Sequence[Record], end: float) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for step, following in zip(steps, [*steps[1:], {"at": end + 1.0}], strict=True):
        seen = [look["actual"] for look in looks if step["at"] <= look["at"] < following["at"]]
        rows.append((moment(step["at"]), step["move"], percent(step["weight"]), percent(seen[-1] if seen else None)))
    return rows
