"""The path of a rollout as a strip: every step of every stage, how high it plans to go, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import sqrt
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.words import percent

Record = Mapping[str, Any]

STATES = {"done": "passed", "here": "here", "ahead": "ahead", "stopped": "stopped here", "skipped": "never entered"}

MARKS = {"here": "▲", "stopped": "✖"}


def path(points: Sequence[Record], *, small: bool = False) -> Markup:
    """Heights grow with the square root of the weight, so that 1 % can be seen beside 100 %. `small`: without words."""
    stages = []
    for name, group in groupby(points, key=lambda point: str(point["stage"])):
        steps = [el("li", _step(point, small), class_=f"step {point['state']}") for point in group]
        label = None if small else el("span", name, class_="stage")
        stages.append(el("li", el("ol", steps), label, class_=f"s{min(8, len(steps))}"))
    return el("ol", stages, class_="path small" if small else "path", aria_label="Stages and steps")


def _step(point: Record, small: bool) -> list[Markup | None]:
    share = percent(point["weight"]) if point["weight"] else "hidden"
    words = el("span", f"{point['label']}, {STATES[point['state']]}", class_="unseen")
    bar = el("span", class_=f"bar h{max(1, round(20 * sqrt(point['weight'] or 0.0)))}", aria_hidden="true")
    mark = MARKS.get(point["state"])
    told = None if small else el("span", f"{mark} {share}" if mark else share, class_="share", aria_hidden="true")
    return [words, told, bar]
