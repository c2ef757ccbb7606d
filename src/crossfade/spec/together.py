"""What several specs must satisfy side by side: each has a name and a route of its own."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.spec.model import Rollout
from crossfade.spec.problems import Problem
from crossfade.spec.source import load


def together(specs: Iterable[tuple[str, str, Rollout]]) -> list[tuple[str, Problem]]:
    """Problems between specs given as (label, text, rollout), each with the label of the spec to change."""
    found: list[tuple[str, Problem]] = []
    names: dict[str, str] = {}
    routes: dict[str, str] = {}
    for label, text, rollout in specs:
        # `/a` and `/a/` are the same prefix to the gateway.
        for key, value, taken in (
            ("name", rollout.name, names),
            ("route", rollout.route.rstrip("/") or "/", routes),
        ):
            if value in taken:
                found.append((label, _taken(text, key, taken[value])))
            taken.setdefault(value, label)
    return found


def _taken(text: str, key: str, other: str) -> Problem:
    root, problems = load(text)
    root.value[key].report(f"this {key} is taken by {other}; every rollout needs a {key} of its own")
    return problems[0]
