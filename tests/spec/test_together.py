"""Several specs side by side: each has a name and a route of its own."""

from __future__ import annotations

from crossfade.spec.parse import parse
from crossfade.spec.together import together
from spec.examples import DESIGN, SEVERAL, changed


def between(*texts: str) -> list[tuple[str, str, int]]:
    specs = [(f"{index}.yaml", text, parse(text)) for index, text in enumerate(texts)]
    return [(label, problem.path, problem.line) for label, problem in together(specs)]


def test_different_rollouts_get_on() -> None:
    assert between(DESIGN, SEVERAL) == []


def test_a_name_and_a_route_are_taken_once() -> None:
    assert between(DESIGN, SEVERAL, changed(SEVERAL, ("/predict", "/predict/"))) == [
        ("2.yaml", "name", 1),
        ("2.yaml", "route", 2),
    ]
