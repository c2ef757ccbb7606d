"""Drift: how far each field has moved from its reference, beside how far chance alone would have moved it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import FAINT, INK, LINE, QUIET, exactly

Record = Mapping[str, Any]

STEP = 44

MOST = 14

HEAD = ("field", "arm", "PSI", "by chance", "what changed")


def drift(record: Record) -> Chart | None:
    """Fields of a drift record, those that changed first; None where none was measured as a distribution."""
    found = [one for one in record["fields"] if one["psi"] is not None][:MOST]
    if not found:
        return None
    rows = [
        {
            "row": n,
            "zero": 0.0,
            "name": f"{one['field']}" + (f" · {one['arm']}" if one["arm"] else ""),
            "psi": one["psi"],
            "chance": one["psi_by_chance"],
            "from": one["psi_by_chance"] or 0.0,
            "said": one["what"] if one["changed"] else "as in the reference",
            "changed": one["changed"],
            "ink": INK if one["changed"] else QUIET,
            "mark": "triangle-up" if one["changed"] else "circle",
        }
        for n, one in enumerate(found)
    ]
    changed = sum(row["changed"] for row in rows)
    said = (
        f"How far fields have moved from the reference (PSI), beside what chance would bring; {changed} have changed."
    )
    told = [
        (
            one["field"],
            one["arm"] or "all",
            f"{one['psi']:.2g}",
            "" if one["psi_by_chance"] is None else f"{one['psi_by_chance']:.2g}",
            one["what"],
        )
        for one in found
    ]
    return Chart(
        name="drift",
        title="Drift by field",
        said=said,
        spec=spec_of(said, _view(rows)),
        head=HEAD,
        rows=told,
        link="drift",
    )


def _view(rows: list[dict[str, Any]]) -> dict[str, Any]:
    reach = max([0.1, *(row["psi"] * 1.1 for row in rows)])
    rows = [{**row, "reach": reach} for row in rows]
    ticks = [tick for tick in (0, 0.01, 0.1, 0.25, 0.5, 1, 2, 5) if tick <= reach]
    axis = {"values": ticks, "title": "population stability index", "grid": False, "labelFlush": True}
    x = {"type": "quantitative", "scale": {"type": "sqrt", "domain": [0, reach], "nice": False}, "axis": axis}
    text = {"type": "text", "baseline": "middle", "dy": -13}
    tip = [
        {"field": "name", "type": "nominal", "title": "field"},
        {"field": "said", "type": "nominal", "title": "what"},
        {"field": "psi", "type": "quantitative", "format": ".2~g", "title": "PSI"},
        {"field": "chance", "type": "quantitative", "format": ".2~g", "title": "by chance"},
    ]
    return {
        "data": {"values": rows},
        "height": {"step": STEP},
        "encoding": {"y": {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}},
        "layer": [
            {
                "mark": {"type": "rule", "color": LINE, "strokeWidth": 1, "yOffset": 6},
                "encoding": {"x": {**x, "field": "zero"}, "x2": {"field": "reach"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 4, "yOffset": 6},
                "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "psi"}, "color": exactly("ink")},
            },
            {
                "transform": [{"filter": "datum.chance != null"}],
                "mark": {
                    "type": "point",
                    "filled": False,
                    "size": 60,
                    "stroke": FAINT,
                    "strokeWidth": 2,
                    "opacity": 1,
                    "yOffset": 6,
                },
                "encoding": {"x": {**x, "field": "chance"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "yOffset": 6},
                "encoding": {
                    "x": {**x, "field": "psi"},
                    "shape": exactly("mark"),
                    "color": exactly("ink"),
                    "tooltip": tip,
                },
            },
            {
                "mark": {**text, "align": "left", "color": INK},
                "encoding": {"text": {"field": "name"}, "x": {"value": 0}},
            },
            {
                "mark": {**text, "align": "right"},
                "encoding": {"text": {"field": "said"}, "x": {"value": "width"}, "color": exactly("ink")},
            },
        ],
    }
