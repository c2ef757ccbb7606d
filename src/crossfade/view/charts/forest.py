"""The forest: every metric's difference with its interval and its limit, on one axis whose right side is better.

Differences are counted in margins, so that metrics of all units share the axis and each limit keeps its place. A metric
without a margin, such as a goal, is scaled to its own numbers. Far ends are drawn on a logarithmic scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import copysign, expm1, isfinite, log1p
from typing import Any

from crossfade.judge.infer.mismatch import SAMPLE_RATIO
from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import AMBER, CROSS, FAINT, INK, LINE, RED_SOFT, SHAPES, SLASH, VERDICTS, exactly

Record = Mapping[str, Any]

STEP = 74
"""Pixels that a row is high."""

TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100)

HATCHES = 56
"""Strokes across the row of a metric that could not be measured."""

TITLE = "Difference from the champion"

HEAD = ("metric", "difference", "interval", "limit", "verdict", "units")

UNBOUNDED = "judged by its e-value: no interval here"


def drawable(line: Record) -> bool:
    """A sample ratio is no difference in margins, and no side of it is better: its verdict stands in the table."""
    return bool(line["metric"] != SAMPLE_RATIO)


def forest(
    lines: Sequence[Record],
    said: Sequence[Record],
    *,
    name: str = "forest",
    title: str = "Difference from the champion",
) -> Chart:
    """`lines` of evidence, each `drawable`, with their words; which ones belong together is the caller's to know."""
    arms = {line["arm"] for line in lines}
    rows = [_row(n, line, told, len(arms) > 1) for n, (line, told) in enumerate(zip(lines, said, strict=True))]
    reach = max(
        [1.4, *(abs(row[key]) for row in rows for key in ("low", "high", "at", "edge") if row[key] is not None)]
    )
    reach = min(reach * 1.15, 200.0)
    for row in rows:
        row["harm"] = -reach
        row["left"] = -reach if row["low"] is None else max(row["low"], -reach)
        row["right"] = reach if row["high"] is None else min(row["high"], reach)
    words = "; ".join(f"{row['name']}: {row['verdict']}" for row in rows)
    text = f"Each metric's difference from the champion with its always-valid interval; right is better. {words}."
    return Chart(
        name=name,
        title=title,
        said=text,
        spec=spec_of(text, _view(rows, reach)),
        head=HEAD,
        rows=[_told(row) for row in rows],
    )


def _row(n: int, line: Record, told: Record, several: bool) -> dict[str, Any]:
    way = 1.0 if line["better"] == "higher" else -1.0
    numbers = [line[key] for key in ("estimate", "lower", "upper")]
    known = [abs(number) for number in numbers if number is not None and isfinite(number)]
    scale = abs(line["limit"]) if line["limit"] else max(known, default=0.0) or 1.0
    measured = line["verdict"] != "unmeasured" and line["estimate"] is not None
    ends = [None if number is None or not isfinite(number) else way * number / scale for number in numbers[1:]]
    low, high = ends if way > 0 else (ends[1], ends[0])
    bounded = measured and (low is not None or high is not None)
    subject = f"{line['metric']} of {line['arm']}" if several else line["metric"]
    of = [
        f"{arm} {told['values'][arm]} of {count}" if told["values"].get(arm) else f"{arm} {count} units"
        for arm, count in told["units"].items()
    ]
    return {
        "row": n,
        "name": line["segment"] or subject,
        "head": line["segment"] or (f"{subject}, the goal" if line["role"] == "goal" else subject),
        "role": line["role"],
        "verdict": line["verdict"],
        "ink": VERDICTS[line["verdict"]],
        "mark": SHAPES[line["verdict"]],
        "at": way * line["estimate"] / scale if measured else None,
        "low": low if measured else None,
        "high": high if measured else None,
        "edge": None if line["limit"] is None else way * line["limit"] / scale,
        "measured": measured,
        "bounded": bounded,
        "said": f"{told['shape']} {line['verdict']}" + (f"  {told['estimate']}" if measured else ""),
        "of": " · ".join([*of, *([] if bounded else [UNBOUNDED])]) if measured else told["reason"] or "not measured",
        "units": " · ".join(of),
        "estimate": told["estimate"],
        "interval": told["interval"],
        "limit": told["limit"],
    }


def _told(row: Record) -> tuple[str, ...]:
    return (row["name"], row["estimate"], row["interval"], row["limit"], row["verdict"], row["units"])


def _view(rows: Sequence[Record], reach: float) -> dict[str, Any]:
    ticks = [tick for tick in TICKS if abs(tick) <= reach]
    axis = {
        "values": ticks,
        "title": "← worse\u2003\u2003difference, in margins\u2003\u2003better →",
        "labelExpr": "datum.value == 0 ? '0' : (datum.value < 0 ? '−' : '') + abs(datum.value)",
        "grid": False,
        "labelFlush": False,
    }
    scale = {"type": "symlog", "constant": 1, "domain": [-reach, reach], "nice": False}
    x = {"type": "quantitative", "scale": scale, "axis": axis}
    y = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    tooltip = [
        {"field": field, "type": "nominal", "title": field if field != "name" else "metric"}
        for field in ("name", "verdict", "estimate", "interval", "limit", "units")
    ]
    end = {"type": "tick", "size": 12, "thickness": 1.5}
    return {
        "data": {"values": list(rows)},
        "height": {"step": STEP},
        "encoding": {"y": y},
        "layer": [
            {
                "transform": [{"filter": "datum.row > 0"}],
                "mark": {"type": "rule", "color": LINE, "strokeWidth": 1, "yOffset": -STEP / 2},
            },
            _mark("datum.edge != null", {"type": "bar", "height": 24, "color": RED_SOFT}, x, "harm", "edge"),
            {
                "mark": {"type": "tick", "size": 34, "thickness": 1, "color": FAINT},
                "encoding": {"x": {**x, "datum": 0}},
            },
            _mark("datum.edge != null", {"type": "tick", "size": 24, "thickness": 2, "color": INK}, x, "edge"),
            _hatch(rows, x, reach),
            _mark("datum.bounded", {"type": "rule", "strokeWidth": 3}, x, "left", "right", ink=True),
            _mark("datum.bounded && datum.low != null", end, x, "left", ink=True),
            _mark("datum.bounded && datum.high != null", end, x, "right", ink=True),
            _mark("datum.bounded && datum.low == null", _arrow("triangle-left"), x, "left", ink=True),
            _mark("datum.bounded && datum.high == null", _arrow("triangle-right"), x, "right", ink=True),
            _point(x, tooltip),
            _text("head", {"align": "left", "dy": -24, "fontSize": 13, "fontWeight": 600, "color": INK}, 0),
            _text("said", {"align": "right", "dy": -24, "fontWeight": 600}, "width", ink=True),
            _text("of", {"align": "left", "dy": 24}, 0),
        ],
    }


def _mark(test: str, mark: Record, x: Record, start: str, end: str = "", *, ink: bool = False) -> dict[str, Any]:
    encoding: dict[str, Any] = {"x": {**x, "field": start}}
    if end:
        encoding["x2"] = {"field": end}
    if ink:
        encoding["color"] = exactly("ink")
    return {"transform": [{"filter": test}], "mark": {**mark, "clip": False}, "encoding": encoding}


def _arrow(shape: str) -> dict[str, Any]:
    return {"type": "point", "shape": shape, "filled": True, "size": 90, "opacity": 1}


def _point(x: Record, tooltip: list[dict[str, Any]]) -> dict[str, Any]:
    """The estimate in its verdict's shape; the cross has strokes only."""
    encoding = {"x": {**x, "field": "at"}, "shape": exactly("mark"), "tooltip": tooltip}
    filled = {"type": "point", "filled": True, "size": 120, "opacity": 1}
    crossed = {"type": "point", "size": 90, "strokeWidth": 3.5, "filled": False, "opacity": 1}
    inks = [("datum.mark != '" + CROSS + "'", filled), ("datum.mark == '" + CROSS + "'", crossed)]
    return {
        "transform": [{"filter": "datum.measured"}],
        "layer": [
            {"transform": [{"filter": test}], "mark": mark, "encoding": {**encoding, "color": exactly("ink")}}
            for test, mark in inks
        ],
    }


def _hatch(rows: Sequence[Record], x: Record, reach: float) -> dict[str, Any]:
    """Where a measurement should be and is not. Even steps on the page are uneven ones on the axis."""
    spots = [2.0 * (n + 0.5) / HATCHES - 1.0 for n in range(HATCHES)]
    places = [copysign(expm1(abs(spot) * log1p(reach)), spot) for spot in spots]
    values = [{"row": row["row"], "place": place} for row in rows if not row["measured"] for place in places]
    return {
        "data": {"values": values},
        "mark": {"type": "point", "shape": SLASH, "size": 200, "stroke": AMBER, "strokeWidth": 1, "opacity": 0.7},
        "encoding": {"x": {**x, "field": "place"}},
    }


def _text(field: str, mark: Record, x: Any, *, ink: bool = False) -> dict[str, Any]:
    encoding: dict[str, Any] = {"text": {"field": field}, "x": {"value": x}}
    if ink:
        encoding["color"] = exactly("ink")
    return {"mark": {"type": "text", "baseline": "middle", **mark}, "encoding": encoding}
