"""What a chart is: a specification, the words for it, and its numbers as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.view.charts.ink import CONFIG

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

WIDTH = 720
"""Pixels that a chart takes where nobody asks for another width."""

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart."""

    name: str
    """What it goes by in addresses: `exposure`."""
    title: str
    said: str
    """What is to be seen in it, in words."""
    spec: Spec
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    """Its numbers as people read them; the first cell of a row names it."""
    link: str = ""
    """Where more of it is told, below the rollout's own address."""


def spec_of(said: str, view: Mapping[str, Any], *, inset: int = 0) -> Spec:
    """A whole specification around a view. `inset`: pixels beside the plot, which axes and labels take."""
    return {
        "$schema": SCHEMA,
        "description": said,
        "config": CONFIG,
        "usermeta": {"inset": inset},
        **_wide(view, WIDTH - inset),
    }


def fitted(spec: Spec, width: float) -> Spec:
    """The same chart, as wide as asked. A page's script does the same."""
    return _wide(spec, width - spec["usermeta"]["inset"])


def _wide(view: Spec, width: float) -> dict[str, Any]:
    if "vconcat" in view:
        return {**view, "vconcat": [_wide(one, width) for one in view["vconcat"]]}
    return {**view, "width": max(80.0, width)}


def height_of(spec: Spec) -> float:
    """About how high it will be, so that a page keeps the room."""
    views = spec.get("vconcat", [spec])
    return sum(_height(view) for view in views) + 26.0 * (len(views) - 1) + 24.0


def _height(view: Spec) -> float:
    asked = view["height"]
    return float(asked if isinstance(asked, int | float) else asked["step"] * len(view["data"]["values"]))


def rounded(value: float | None) -> float | None:
    """Six digits are more than can be seen."""
    return None if value is None else float(f"{value:.6g}")
