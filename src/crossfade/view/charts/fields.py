"""Fields of mirrored replies as a tree: how often each differs, against how often the champion differs from itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.view.charts.chart import Chart, spec_of
from crossfade.view.charts.ink import CROSS, FAINT, INK, LINE, QUIET, SHAPES, VERDICTS, exactly
from crossfade.view.words import percent

Record = Mapping[str, Any]

STEP = 46

MOST = 16
"""Fields drawn, those that differ most surely first."""

INDENT = 14

HEAD = ("field", "differs", "noise", "limit beyond noise", "verdict")


def fields(arm: Record, *, name: str = "fields", most: int = MOST) -> Chart | None:
    """`arm` is one challenger's part of the record of differences; None where nothing differs."""
    shown = [line for line in arm["fields"] if line["differing"] or line["noise"] or line["muted"]][:most]
    lines = [
        line for line in (arm["disagreement"], *sorted(shown, key=lambda one: one["path"])) if line["rate"] is not None
    ]
    if not lines:
        return None
    rows = [_row(n, line) for n, line in enumerate(lines)]
    said = (
        f"How often replies of {arm['arm']} differ by field, the filled mark, and how often the champion's differ from "
        "its own second answer, the hollow one; between them lies what is beyond noise."
    )
    told = [
        (
            str(line["path"]),
            percent(line["rate"]),
            percent(line["noise"]),
            percent(line["margin"]),
            "muted" if line["muted"] else str(line["verdict"]),
        )
        for line in lines
    ]
    return Chart(
        name=name,
        title="Where replies differ",
        said=said,
        spec=spec_of(said, _view(rows)),
        head=HEAD,
        rows=told,
        link="differences",
    )


def _row(n: int, line: Record) -> dict[str, Any]:
    path = str(line["path"])
    own = path.startswith("$")
    depth = max(path.count(".") + path.count("[") - 1, 0) if own else 0
    verdict = "undecided" if line["muted"] else line["verdict"]
    kinds = sorted(((kind, n) for kind, n in line["kinds"].items() if kind != "any"), key=lambda one: -one[1])
    muted = f"muted: {line['muted']}" if line["muted"] else ""
    return {
        "row": n,
        "zero": 0.0,
        "one": 1.0,
        "name": "\u2002" * min(2 * depth, 8) + ("any field" if n == 0 else path),
        "rate": line["rate"],
        "noise": line["noise"],
        "from": line["noise"] or 0.0,
        "limit": None if line["margin"] is None or line["muted"] else min(1.0, (line["noise"] or 0.0) + line["margin"]),
        "ink": VERDICTS[verdict],
        "mark": SHAPES[verdict],
        "verdict": muted or line["verdict"],
        "how": ", ".join(kind for kind, _ in kinds[:3]),
        "said": f"{muted or percent(line['rate'])}"
        + (f"  {', '.join(kind for kind, _ in kinds[:2])}" if kinds else ""),
    }


def _view(rows: Sequence[Record]) -> dict[str, Any]:
    axis = {
        "values": [0, 0.01, 0.1, 0.25, 0.5, 1],
        "title": "of pairs",
        "grid": False,
        "labelFlush": True,
        "labelOverlap": "greedy",
        "labelSeparation": 6,
        "labelExpr": "round(datum.value * 100) + ' %'",
    }
    x = {"type": "quantitative", "scale": {"type": "sqrt", "domain": [0, 1], "nice": False}, "axis": axis}
    tip: list[dict[str, Any]] = [
        {"field": field, "type": "nominal", "title": title}
        for field, title in (("name", "field"), ("verdict", "verdict"), ("how", "kinds"))
    ]
    tip += [{"field": field, "type": "quantitative", "format": ".3~%"} for field in ("rate", "noise")]
    text = {"type": "text", "baseline": "middle", "dy": -14}
    crossed = f"datum.mark == '{CROSS}'"
    shown: dict[str, Any] = {
        "x": {**x, "field": "rate"},
        "shape": exactly("mark"),
        "color": exactly("ink"),
        "tooltip": tip,
    }
    point: dict[str, Any] = {"type": "point", "opacity": 1}
    marks: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"!({crossed})", {**point, "filled": True, "size": 90, "yOffset": 6}),
        (crossed, {**point, "size": 70, "strokeWidth": 3, "yOffset": 6}),
    )
    return {
        "data": {"values": list(rows)},
        "height": {"step": STEP},
        "encoding": {"y": {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}},
        "layer": [
            {
                "mark": {"type": "rule", "color": LINE, "strokeWidth": 1, "yOffset": 6},
                "encoding": {"x": {**x, "field": "zero"}, "x2": {"field": "one"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 4, "yOffset": 6},
                "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "rate"}, "color": exactly("ink")},
            },
            {
                "transform": [{"filter": "datum.limit != null"}],
                "mark": {"type": "tick", "size": 16, "thickness": 1.5, "color": INK, "yOffset": 6},
                "encoding": {"x": {**x, "field": "limit"}},
            },
            {
                "transform": [{"filter": "datum.noise != null"}],
                "mark": {
                    **point,
                    "shape": "circle",
                    "filled": False,
                    "size": 60,
                    "stroke": FAINT,
                    "strokeWidth": 2,
                    "yOffset": 6,
                },
                "encoding": {"x": {**x, "field": "noise"}},
            },
            *({"transform": [{"filter": test}], "mark": mark, "encoding": shown} for test, mark in marks),
            {
                "mark": {**text, "align": "left", "color": INK},
                "encoding": {"text": {"field": "name"}, "x": {"value": 0}},
            },
            {
                "mark": {**text, "align": "right", "color": QUIET},
                "encoding": {"text": {"field": "said"}, "x": {"value": "width"}, "color": exactly("ink")},
            },
        ],
    }
