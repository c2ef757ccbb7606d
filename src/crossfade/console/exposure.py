"""The drawing of exposure over time: the planned share as steps, the share that was seen as dots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.words import clock, duration, percent

Record = Mapping[str, Any]

WIDTH, HEIGHT, LEFT, TOP, BASE = 960.0, 260.0, 52.0, 30.0, 214.0

SHARES = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)

APART, LETTER = 8.0, 7.0
"""Least distance between two labels of moves, and the room that a letter takes."""


def timeline(steps: Sequence[Record], seen: Sequence[Record], end: float) -> Markup:
    """Planned and seen share of units on the challenger. Heights grow with the square root: 1 % beside 100 %."""
    since = float(steps[0]["at"])
    span = max(end - since, 1e-9)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * min(1.0, max(0.0, (at - since) / span))

    parts: list[Markup] = []
    for share in SHARES:
        parts.append(el("line", x1=LEFT, y1=_y(share), x2=WIDTH - 10, y2=_y(share), class_="axis"))
        parts.append(el("text", percent(share), x=LEFT - 8, y=_y(share) + 4, class_="share"))
    parts.append(el("path", d=_path(steps, x, end), class_="planned"))
    parts.extend(el("circle", cx=x(one["at"]), cy=_y(one["share"]), r=3.0, class_="seen") for one in seen)
    parts.extend(_moves(steps, x))
    parts.append(el("text", f"{clock(since)} UTC", x=LEFT, y=HEIGHT - 4, class_="from"))
    parts.append(el("text", f"{clock(end)} UTC ({duration(end - since)})", x=WIDTH - 10, y=HEIGHT - 4, class_="share"))
    told = "Planned and seen share of units on the challenger over time"
    return el("svg", el("title", told), parts, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", class_="timeline", role="img")


def _path(steps: Sequence[Record], x: Callable[[float], float], end: float) -> str:
    told = f"M{x(steps[0]['at']):.1f},{_y(0.0):.1f}"
    for step, following in zip(steps, [*steps[1:], {"at": end}], strict=True):
        y = _y(step["weight"])
        told += f" L{x(step['at']):.1f},{y:.1f} L{x(following['at']):.1f},{y:.1f}"
    return told


def _moves(steps: Sequence[Record], x: Callable[[float], float]) -> list[Markup]:
    """What was done and when: above, else below where there is no room; where there is none either, a line alone."""
    parts: list[Markup] = []
    taken = [-APART, -APART]
    for step in steps:
        at, wide = x(step["at"]), LETTER * len(step["move"])
        parts.append(el("line", x1=at, y1=TOP - 8, x2=at, y2=BASE, class_="move"))
        left = min(at, WIDTH - 10 - wide)
        row = next((row for row in (0, 1) if left - taken[row] >= APART), None)
        if row is not None:
            taken[row] = left + wide
            y = (TOP - 12, BASE + 18)[row]
            parts.append(el("text", step["move"], x=left, y=y, class_="what"))
    return parts


def _y(share: float) -> float:
    return BASE - (BASE - TOP) * sqrt(min(1.0, max(0.0, share)))
