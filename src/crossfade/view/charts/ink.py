"""The inks of charts and what each is for: the style sheet turns the same ones into those of a dark page.

Grey is undecided, red is proven harm, amber could not be measured, the accent is the challenger's. Shapes repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INK = "#1d1f24"
QUIET = "#5f6168"
FAINT = "#b5b3ad"
LINE = "#e4e1db"
ACCENT = "#2f55d4"
ACCENT_SOFT = "#dfe6fb"
RED = "#b3261e"
RED_SOFT = "#fbeae8"
AMBER = "#8f5b00"

VERDICTS: Mapping[str, str] = {"undecided": QUIET, "safe": INK, "harmful": RED, "unmeasured": AMBER}

CROSS = "M-.8,-.8L.8,.8M-.8,.8L.8,-.8"
SLASH = "M-.5,.5L.5,-.5"
SHAPES: Mapping[str, str] = {"undecided": "circle", "safe": "diamond", "harmful": CROSS, "unmeasured": SLASH}
"""● ◆ ✖ and the stroke that hatching is made of."""

FONT = "Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

CONFIG: Mapping[str, Any] = {
    "font": FONT,
    "background": None,
    "padding": {"left": 2, "right": 2, "top": 2, "bottom": 2},
    "view": {"stroke": None},
    "axis": {
        "domainColor": LINE,
        "gridColor": LINE,
        "tickColor": LINE,
        "labelColor": QUIET,
        "titleColor": QUIET,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelPadding": 5,
    },
    "text": {"fontSize": 12, "color": QUIET},
    "title": {"anchor": "start", "fontSize": 12, "fontWeight": "normal", "color": QUIET, "offset": 8},
    "rule": {"color": FAINT},
    "line": {"strokeWidth": 2},
    "axisY": {"domain": False, "ticks": False},
    "concat": {"spacing": 26},
}


def signed_axis(unit: str, extent: int) -> dict[str, Any]:
    """An axis of differences, `extent` pixels wide, whose labels have a sign and the unit."""
    end = f" {unit}" if unit else ""
    return {
        "title": None,
        "tickCount": 5,
        "grid": False,
        "minExtent": extent,
        "maxExtent": extent,
        "labelExpr": f"(datum.value > 0 ? '+' : datum.value < 0 ? '−' : '') + format(abs(datum.value), '~g') + '{end}'",
    }


def exactly(field: str) -> dict[str, Any]:
    """A channel whose field holds the colour, path or number itself."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}
