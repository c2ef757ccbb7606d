"""Charts in pages: a figure with its specification, words and numbers, and pictures of it for who runs no script.

A page's script draws the specification, as wide as there is room. Without one the browser asks for a picture, which is
drawn here once for each state of the record; text never waits for a picture.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from html import escape

from crossfade.console.markup import Markup, el
from crossfade.view.charts import Chart, fitted, height_of, ink

WIDE, NARROW = 760, 344
"""Widths in pixels of the two pictures: for a page with room, and for a telephone."""

KEPT = 128
"""Pictures that are kept in memory, at 10 to 60 kB each with what they were drawn from."""

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


def figure(chart: Chart, base: str, *, folded: bool = False) -> Markup:
    """One chart of the rollout at `base`. `folded`: a table beside it has its numbers already."""
    spec = json.dumps(chart.spec, ensure_ascii=False, separators=(",", ":"))
    plot = _plot(chart.name, chart.said, base, room=int(height_of(chart.spec) // 40.0))
    return el(
        "figure",
        el("figcaption", chart.title) if chart.title else None,
        plot,
        # In an element quotes stand for themselves, which halves the text.
        el("template", Markup(escape(spec, quote=False))),
        None if folded else numbers(chart),
        class_="chart",
        data_chart=chart.name,
    )


def later(name: str, title: str, said: str, base: str) -> Markup:
    """A chart whose facts take time to ask for: it comes after the page, and stays away if there is nothing to show."""
    return el(
        "figure",
        el("figcaption", title),
        _plot(name, said, base, room=4),
        class_="chart",
        data_chart=name,
        data_src=f"{base}/charts/{name}.json",
    )


def _plot(name: str, said: str, base: str, *, room: int) -> Markup:
    place = f"{base}/charts/{name}.svg"
    small = el("source", media="(max-width: 640px)", srcset=f"{place}?width={NARROW}")
    image = el("img", src=place, alt="", loading="lazy")
    kept = f"plot room-{min(16, max(2, room))}"
    return el("div", el("noscript", el("picture", small, image)), class_=kept, role="img", aria_label=said)


def numbers(chart: Chart) -> Markup | None:
    """The numbers of a chart as a table that opens."""
    if not chart.rows:
        return None
    table = el("div", _table(chart.head, chart.rows), class_="panel")
    return el(
        "details", el("summary", "Numbers", el("span", f": {chart.title}", class_="unseen")), table, class_="numbers"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    words = el("tr", [el("th", word, scope="col") for word in head])
    cells = [el("tr", el("th", row[0], scope="row"), [el("td", cell) for cell in row[1:]]) for row in rows]
    return el("table", el("thead", words), el("tbody", cells))


def picture(chart: Chart, width: int = WIDE, *, dark: bool = False) -> Markup:
    """A chart as SVG that stands for itself: its words are its title. `dark`: with the inks of dark pages, too."""
    found = _drawn(json.dumps(fitted(chart.spec, width), ensure_ascii=False, sort_keys=True))
    style = el("style", Markup(_dark())) if dark else ""
    return Markup(found.replace(">", f' role="img">{el("title", chart.said)}{style}', 1))


@lru_cache(maxsize=KEPT)
def _drawn(spec: str) -> str:
    # It starts an engine of its own, which takes half a second and 150 MB: only who asks for a picture pays for it.
    import vl_convert

    with _drawing:
        svg = vl_convert.vegalite_to_svg(spec)
    # A picture is as wide as the page gives it; its own size is its shape.
    return re.sub(r'(<svg [^>]*?)width="[\d.]+" height="[\d.]+" ', r"\1", svg, count=1)


def _dark() -> str:
    rules = "".join(f'[fill="{a}"]{{fill:{b}}}[stroke="{a}"]{{stroke:{b}}}' for a, b in DARK.items())
    return "@media (prefers-color-scheme: dark){" + rules + "}"
