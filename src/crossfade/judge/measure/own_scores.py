"""Scores by a function of the user's: what it is asked of each pair, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Floats


class Scores(NamedTuple):
    """A number for each thing asked, NaN where the function had none; and which function it was."""

    values: Sequence[float]
    by: str


Scorer = Callable[[str, Sequence[tuple[Any, Any]]], "Scores | str"]
"""A function's name and (what came true, what was predicted) pairs to its scores, or why there are none."""


def NOBODY(function: str, asked: Sequence[tuple[Any, Any]]) -> str:
    """Where functions of the user's are not called."""
    return f"{function} is not called here"


class Own(NamedTuple):
    """Both models' scores, and what is told of the function."""

    scores: tuple[Floats, Floats]
    by: str


def own_scores(function: str, rows: Rows, truth: Floats, scorer: Scorer) -> Own | str:
    """What `function` says of both models for each labelled pair, or why it said nothing."""
    came = [item or value for item, value in zip(rows["item"].tolist(), truth.tolist(), strict=True)]
    asked: list[tuple[Any, Any]] = []
    for side in ("champion", "challenger"):
        said = map(_said, rows[f"{side}_numbers"], rows[f"{side}_names"])
        asked.extend(zip(came, said, strict=True))
    found = scorer(function, asked)
    if isinstance(found, str):
        return found
    values = np.asarray(found.values, dtype=np.float64)
    return Own((values[: len(came)], values[len(came) :]), found.by)


def _said(numbers: Sequence[float], names: Sequence[str]) -> Any:
    """A prediction as people have it: a number, several, a probability for each class, or a class."""
    numbers, names = [float(one) for one in numbers], [str(one) for one in names]
    if len(numbers) and len(names):
        return dict(zip(names, numbers, strict=False))
    if len(numbers):
        return numbers[0] if len(numbers) == 1 else numbers
    return names[0] if len(names) == 1 else names
