"""The drawing of exposure over time: planned shares as steps, seen shares as dots, labels that do not meet."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from crossfade.console.exposure import APART, BASE, HEIGHT, LEFT, LETTER, TOP, WIDTH, timeline


def drawn(times: list[float], weights: list[float], end: float) -> str:
    steps: list[dict[str, Any]] = [
        {"at": at, "weight": weight, "move": f"move{n}"}
        for n, (at, weight) in enumerate(zip(times, weights, strict=True))
    ]
    return str(timeline(steps, [{"at": (times[0] + end) / 2, "share": 0.5, "units": 10}], end))


def test_steps_are_where_they_were_planned() -> None:
    svg = drawn([0.0, 50.0], [0.0, 1.0], 100.0)
    (path,) = re.findall(r'd="(M[^"]+)" class="planned"', svg)
    points = [tuple(map(float, point[1:].split(","))) for point in path.split()]
    middle = LEFT + (WIDTH - LEFT - 10) / 2
    assert points[0] == points[1] == (LEFT, BASE)
    assert points[2] == (middle, BASE)
    assert points[3] == (middle, TOP)
    assert points[4] == (WIDTH - 10, TOP)
    assert svg.count('class="seen"') == 1


def test_everything_is_inside_and_no_label_covers_another() -> None:
    svg = drawn([float(t) for t in (0, 1, 2, 3, 40, 41, 99, 100)], [0.01] * 8, 100.0)
    numbers = [float(n) for n in re.findall(r' (?:x|x1|x2|cx)="([\d.]+)"', svg)]
    assert all(0.0 <= n <= WIDTH for n in numbers)
    assert all(0.0 <= float(n) <= HEIGHT for n in re.findall(r' (?:y|y1|y2|cy)="([\d.]+)"', svg))
    labels = [(float(x), float(y)) for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="what', svg)]
    for row in {y for _, y in labels}:
        places = sorted(x for x, y in labels if y == row)
        assert all(later - earlier >= APART + LETTER * len("move0") for earlier, later in pairwise(places))
    # Where there is no room for a word there is still the line.
    assert svg.count('class="move"') == 8


def test_a_moment_is_drawn_too() -> None:
    assert "nan" not in drawn([5.0], [0.2], 5.0).lower()
