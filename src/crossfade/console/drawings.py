"""The two drawings of a rollout's page: the staircase of exposure, and one row of the forest of differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import isfinite, sqrt
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.words import percent

Record = Mapping[str, Any]

STAIR_WIDTH, STAIR_HEIGHT, BASE, TOP = 960.0, 172.0, 126.0, 26.0

FOREST_WIDTH, ROW_HEIGHT, EDGE = 360.0, 44.0, 12.0


def staircase(points: Sequence[Record], actual: float | None) -> Markup:
    """Planned weight of every step; heights grow with the square root, so that 1 % can be seen beside 100 %."""
    width = STAIR_WIDTH / len(points)
    parts: list[Markup] = [el("line", x1=0, y1=BASE, x2=STAIR_WIDTH, y2=BASE, class_="axis")]
    for index, point in enumerate(points):
        left, top = index * width, _height(point["weight"])
        state = point["state"]
        parts.append(
            el("rect", x=left + 2, y=top, width=width - 4, height=max(BASE - top, 2.0), class_=f"stair {state}")
        )
        share = percent(point["weight"]) if point["weight"] else "hidden"
        parts.append(el("text", share, x=left + width / 2, y=top - 7, class_=f"weight {state}"))
        if state in ("here", "stopped"):
            parts.extend(_marker(left, width, state, actual))
    parts.extend(_stage_names(points, width))
    return el(
        "svg",
        el("title", "Planned exposure by stage and step, and where the rollout stands"),
        parts,
        viewBox=f"0 0 {STAIR_WIDTH:g} {STAIR_HEIGHT:g}",
        class_="staircase",
        role="img",
    )


def _marker(left: float, width: float, state: str, actual: float | None) -> list[Markup]:
    word = "✖ stopped here" if state == "stopped" else "▲ here"
    parts = [el("text", word, x=left + width / 2, y=BASE + 40, class_=f"marker {state}")]
    if actual is not None and state == "here":
        height = _height(actual)
        parts.append(el("line", x1=left - 3, y1=height, x2=left + width + 3, y2=height, class_="actual"))
    return parts


def _stage_names(points: Sequence[Record], width: float) -> list[Markup]:
    """Each stage's name below its steps, once."""
    parts, left = [], 0.0
    for name, steps in groupby(points, key=lambda point: str(point["stage"])):
        right = left + width * len(list(steps))
        parts.append(el("line", x1=left + 2, y1=BASE + 6, x2=right - 2, y2=BASE + 6, class_="axis"))
        parts.append(el("text", name, x=(left + right) / 2, y=BASE + 22, class_="stage"))
        left = right
    return parts


def _height(share: float) -> float:
    return BASE - (BASE - TOP) * sqrt(min(1.0, max(0.0, share)))


def forest_row(line: Record, row: int) -> Markup:
    """One metric's difference with interval and limit. Right is better for every metric; zero is in the middle.

    `row` is its place on the page.
    """
    direction = 1.0 if line["better"] == "higher" else -1.0
    numbers = [line[key] for key in ("estimate", "lower", "upper", "limit")]
    scale = max((abs(n) for n in numbers if n is not None and isfinite(n)), default=0.0) or 1.0
    middle, half = FOREST_WIDTH / 2, FOREST_WIDTH / 2 - EDGE - 14

    def x(value: float) -> float:
        return middle + direction * value / scale * half

    parts: list[Markup] = []
    if line["limit"] is not None:
        parts.append(_beyond(x(line["limit"])))
    parts.append(el("line", x1=middle, y1=0, x2=middle, y2=ROW_HEIGHT, class_="zero"))
    if line["limit"] is not None and line["limit"] != 0:
        at = x(line["limit"])
        parts.append(el("line", x1=at, y1=3, x2=at, y2=ROW_HEIGHT - 3, class_="limit"))
    if line["verdict"] == "unmeasured" or line["estimate"] is None:
        parts.append(_hatched(row))
    else:
        parts.extend(_interval(line, x, direction))
    told = f"{line['metric']}: {line['verdict']}"
    size = f"0 0 {FOREST_WIDTH:g} {ROW_HEIGHT:g}"
    return el("svg", el("title", told), parts, viewBox=size, class_=f"forest {line['verdict']}", role="img")


def _beyond(limit: float) -> Markup:
    """The side on which the limit is broken: left of it, because right is better."""
    return el("rect", x=0, y=0, width=max(0.0, limit), height=ROW_HEIGHT, class_="beyond")


def _interval(line: Record, x: Any, direction: float) -> list[Markup]:
    """The interval as a bar; a side without a bound runs to the edge and ends in an arrow."""
    y = ROW_HEIGHT / 2
    low, high = line["lower"], line["upper"]
    worse, better = (low, high) if direction > 0 else (high, low)
    left = EDGE if worse is None else x(worse)
    right = FOREST_WIDTH - EDGE if better is None else x(better)
    parts = [el("line", x1=left, y1=y, x2=right, y2=y, class_="bar")]
    parts.append(_arrow(left, y, -1) if worse is None else _end(left, y))
    parts.append(_arrow(right, y, 1) if better is None else _end(right, y))
    parts.append(_shape(line["verdict"], x(line["estimate"]), y))
    return parts


def _end(x: float, y: float) -> Markup:
    return el("line", x1=x, y1=y - 6, x2=x, y2=y + 6, class_="end")


def _arrow(x: float, y: float, way: int) -> Markup:
    back = x - 6 * way
    return el("path", d=f"M{back:.1f},{y - 5:g} L{x + 2 * way:.1f},{y:g} L{back:.1f},{y + 5:g}", class_="open")


def _shape(verdict: str, x: float, y: float) -> Markup:
    """The estimate, in the shape of its verdict."""
    match verdict:
        case "safe":
            return el("path", d=f"M{x:.1f},{y - 7:g} l7,7 l-7,7 l-7,-7 z", class_="point")
        case "harmful":
            cross = f"M{x - 5:.1f},{y - 5:g} l10,10 M{x - 5:.1f},{y + 5:g} l10,-10"
            return el("path", d=cross, class_="point cross")
        case _:
            return el("circle", cx=x, cy=y, r=5.5, class_="point")


def _hatched(row: int) -> Markup:
    """Where a measurement should be and is not."""
    name = f"hatch-{row}"
    pattern = el(
        "pattern",
        el("path", d="M0,8 L8,0", class_="hatch"),
        id=name,
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    )
    area = el("rect", x=EDGE, y=10, width=FOREST_WIDTH - 2 * EDGE, height=ROW_HEIGHT - 20, fill=f"url(#{name})")
    return Markup(el("defs", pattern) + area)
