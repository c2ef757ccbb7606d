"""Charts in pages: a figure with its specification, words and numbers, and pictures of it for who runs no script.

A page's script draws the specification, as wide as there is room. Without one the browser asks for a picture, which is
drawn here once for each state of the record; that keeps pages quick, whose text never waits for a picture.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.charts import Chart, fitted, height_of
from crossfade.view.charts import ink

WIDE, NARROW = 760, 344
"""Widths in pixels of the two pictures: for a page with room, and for a telephone."""

KEPT = 256
"""Pictures that are kept in memory, at 10 to 30 kB each."""

DARK = {
    ink.INK: "#ecebe7",
    ink.QUIET: "#a3a5ad",
    ink.FAINT: "#5d606a",
    ink.LINE: "#30333c",
    ink.ACCENT: "#8ba7ff",
    ink.ACCENT_SOFT: "#26314f",
    ink.RED: "#ff8a80",
    ink.RED_SOFT: "#3b2224",
    ink.AMBER: "#f0b64c",
}
"""The inks of a dark page."""

_drawing = threading.Lock()


def figure(chart: Chart, base: str, *, folded: bool = True) -> Markup:
    """One chart of the rollout at `base`, with its numbers below it."""
    place = f"{base}/charts/{chart.name}"
    small = el("source", media="(max-width: 640px)", srcset=f"{place}.svg?width={NARROW}")
    image = el("img", src=f"{place}.svg", alt=chart.said, loading="lazy")
    rows = "room-" + str(min(16, max(2, round(height_of(chart.spec) / 40.0))))
    spec = json.dumps(chart.spec, ensure_ascii=False, separators=(",", ":"))
    return el(
        "figure",
        el("figcaption", el("h3", chart.title)),
        el("div", el("noscript", el("picture", small, image)), class_=f"plot {rows}", role="img", aria_label=chart.said),
        el("template", spec),
        numbers(chart) if folded else None,
        class_="chart",
        data_chart=chart.name,
    )


def numbers(chart: Chart) -> Markup | None:
    """The numbers of a chart as a table that opens."""
    if not chart.rows:
        return None
    return el("details", el("summary", "Numbers: ", el("span", chart.title)), el("div", _table(chart.head, chart.rows), class_="panel"))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    words = el("tr", [el("th", word, scope="col") for word in head])
    cells = [el("tr", el("th", row[0], scope="row"), [el("td", cell) for cell in row[1:]]) for row in rows]
    return el("table", el("thead", words), el("tbody", cells), class_="numbers")


def picture(chart: Chart, width: int = WIDE, *, dark: bool = True) -> Markup:
    """A chart as SVG that stands for itself: its words are its title, and it knows both sets of inks if asked."""
    spec = json.dumps(fitted(chart.spec, width), ensure_ascii=False, sort_keys=True)
    found = _drawn(hashlib.sha256(spec.encode()).hexdigest(), _Spec(spec))
    told = el("title", chart.said)
    style = el("style", Markup(_dark())) if dark else ""
    return Markup(found.replace(">", f' role="img">{told}{style}', 1))


class _Spec(str):
    """A specification as text, which is not compared when pictures of it are looked up: its digest is."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spec)


@lru_cache(maxsize=KEPT)
def _drawn(digest: str, spec: _Spec) -> str:
    # It starts an engine of its own, which takes half a second and 150 MB: only who asks for a picture pays for it.
    import vl_convert

    with _drawing:
        svg = str(vl_convert.vegalite_to_svg(str(spec)))
    # A picture is as wide as the page gives it; its own size is its shape.
    return re.sub(r'(<svg [^>]*?)width="[\d.]+" height="[\d.]+" ', r"\1", svg, count=1)


def _dark() -> str:
    rules = "".join(f'[fill="{a}"]{{fill:{b}}}[stroke="{a}"]{{stroke:{b}}}' for a, b in DARK.items())
    return "@media (prefers-color-scheme: dark){" + rules + "}"


def bundle() -> bytes:
    """The script that draws: Vega, Vega-Lite and Vega-Embed as vl-convert carries them, without their menus."""
    return _bundle()


@lru_cache(maxsize=1)
def _bundle() -> bytes:
    import vl_convert

    with _drawing:
        return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).encode()


def about(value: Any) -> str:
    """A digest for addresses."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]
