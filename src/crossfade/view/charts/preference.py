"""The preference meter of an interleaved stage: the interval beside the line of no preference, and all votes.

Ties stand in the bar, because a preference without them would look larger than what people said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import ACCENT, FAINT, INK, LINE, QUIET, SHAPES, VERDICTS, exactly
from crossfade.view.words import percent, whole

Record = Mapping[str, Any]

HEAD = ("what", "number")

INSET = 24


def preference(line: Record, votes: Record) -> Chart:
    """`line` is the evidence of preference, from −1 to 1; `votes` the units that preferred either, or neither."""
    champion, challenger = line["baseline"], line["arm"]
    wins, ties, losses = votes["wins"] or 0, votes["ties"] or 0, votes["losses"] or 0
    shares = {key: None if line[key] is None else (1.0 + line[key]) / 2.0 for key in ("estimate", "lower", "upper")}
    told = f"Of votes that were not ties {percent(shares['estimate'])} were for {challenger}; {votes['text']}."
    meter = {
        "zero": 0.0,
        "one": 1.0,
        **shares,
        "left": 0.0 if shares["lower"] is None else shares["lower"],
        "right": 1.0 if shares["upper"] is None else shares["upper"],
        "ink": VERDICTS[line["verdict"]],
        "mark": SHAPES[line["verdict"]],
        "said": percent(shares["estimate"]),
        "verdict": line["verdict"],
        "interval": f"{percent(shares['lower'])} to {percent(shares['upper'])}",
    }
    bar: list[dict[str, Any]] = [
        {"who": f"prefer {champion}", "n": losses, "from": 0, "to": losses, "ink": QUIET},
        {"who": "tie", "n": ties, "from": losses, "to": losses + ties, "ink": LINE},
        {"who": f"prefer {challenger}", "n": wins, "from": losses + ties, "to": losses + ties + wins, "ink": ACCENT},
    ]
    rows = [
        (f"votes for {challenger} among those for either", meter["said"]),
        ("always-valid interval", meter["interval"]),
        *((one["who"], whole(one["n"])) for one in reversed(bar)),
    ]
    view = {"vconcat": [_meter(meter, champion, challenger), _votes(bar, champion, challenger)]}
    return Chart(
        name="preference", title="Preference", said=told, spec=spec_of(told, view, inset=INSET), head=HEAD, rows=rows
    )


def _meter(meter: Record, champion: str, challenger: str) -> dict[str, Any]:
    axis = {"values": [0, 0.25, 0.5, 0.75, 1], "format": ".0%", "grid": False, "title": None, "labelFlush": True}
    x = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}, "axis": axis}
    y = {"value": 34}
    tip = [{"field": field, "type": "nominal"} for field in ("said", "interval", "verdict")]
    half = {"type": "text", "baseline": "middle", "fontSize": 12, "y": 4}
    cap = {"type": "tick", "orient": "vertical", "size": 16, "thickness": 2}
    return {
        "height": 56,
        "data": {"values": [meter]},
        "layer": [
            {
                "mark": {"type": "rule", "color": LINE, "strokeWidth": 14},
                "encoding": {"x": {**x, "field": "zero"}, "x2": {"field": "one"}, "y": y},
            },
            {
                "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5},
                "encoding": {"x": {**x, "datum": 0.5}, "y": {"value": 16}, "y2": {"value": 54}},
            },
            {"mark": {**half, "text": f"← prefer {champion}", "align": "left"}, "encoding": {"x": {"value": 0}}},
            {
                "mark": {
                    **half,
                    "text": f"prefer {challenger} →",
                    "align": "right",
                    "color": ACCENT,
                    "fontWeight": 600,
                },
                "encoding": {"x": {"value": "width"}},
            },
            {"mark": {**half, "text": "50 %", "align": "center", "color": INK}, "encoding": {"x": {**x, "datum": 0.5}}},
            {
                "transform": [{"filter": "datum.estimate != null"}],
                "mark": {"type": "rule", "strokeWidth": 4},
                "encoding": {"x": {**x, "field": "left"}, "x2": {"field": "right"}, "y": y, "color": exactly("ink")},
            },
            *(
                {
                    "transform": [{"filter": f"datum.{end} != null"}],
                    "mark": cap,
                    "encoding": {"x": {**x, "field": end}, "y": y, "color": exactly("ink")},
                }
                for end in ("lower", "upper")
            ),
            {
                "transform": [{"filter": "datum.estimate != null"}],
                "mark": {"type": "point", "filled": True, "size": 170, "opacity": 1, "strokeWidth": 2},
                "encoding": {
                    "x": {**x, "field": "estimate"},
                    "y": y,
                    "shape": exactly("mark"),
                    "color": exactly("ink"),
                    "stroke": exactly("ink"),
                    "tooltip": tip,
                },
            },
        ],
    }


def _votes(bar: list[dict[str, Any]], champion: str, challenger: str) -> dict[str, Any]:
    everything = max(1, bar[-1]["to"])
    x = {"field": "from", "type": "quantitative", "scale": {"domain": [0, everything], "nice": False}, "axis": None}
    tip = [
        {"field": "who", "type": "nominal", "title": "units that"},
        {"field": "n", "type": "quantitative", "format": ","},
    ]
    texts = (
        (f"{whole(bar[0]['n'])} {champion}", "left", 0),
        (f"{whole(bar[2]['n'])} {challenger}", "right", "width"),
    )
    middle = [{"at": (bar[1]["from"] + bar[1]["to"]) / 2, "text": f"{whole(bar[1]['n'])} tied"}]
    at = {**x, "field": "at"}
    return {
        "height": 44,
        "layer": [
            {
                "data": {"values": bar},
                "mark": {"type": "rect", "height": 22, "y": 11, "stroke": FAINT, "strokeWidth": 0.5},
                "encoding": {"x": x, "x2": {"field": "to"}, "color": exactly("ink"), "tooltip": tip},
            },
            *(
                {
                    "data": {"values": [{}]},
                    "mark": {"type": "text", "text": text, "align": side, "y": 36},
                    "encoding": {"x": {"value": place}},
                }
                for text, side, place in texts
            ),
            {
                "data": {"values": middle},
                "mark": {"type": "text", "align": "center", "y": 36},
                "encoding": {"x": at, "text": {"field": "text"}},
            },
        ],
    }
