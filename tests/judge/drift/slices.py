"""Slices of counts drawn at random, and watches fed with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from crossfade.facts import Sketched, bin_of
from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.watch import Watch

Draw = Callable[[float], Iterable[float | str | None]]
"""The values of one field in the slice that begins at a time; None where it is null."""


def counts(values: Iterable[Any]) -> Counts:
    values = list(values)
    numbers = [value for value in values if isinstance(value, float)]
    return Counts(
        asked=len(values),
        n=len(values),
        nulls=sum(value is None for value in values),
        bins=Counter(map(bin_of, numbers)),
        names=Counter(value for value in values if isinstance(value, str)),
        total=float(np.sum(numbers)),
        squares=float(np.sum(np.square(numbers))),
        nested=sum(isinstance(value, list) for value in values),
    )


def watched(then: Draw, now: Draw, *, reference: int = 60, for_: int = 60, side: Any = "input", arm: str = "") -> Watch:
    """A watch that learned from `then` and has seen `now`, a slice a second."""
    watch = Watch(side, "x", arm, first=0.0, every=1.0, reference=float(reference))
    for second in range(reference + for_):
        watch.take(float(second), counts((then if second < reference else now)(float(second))))
    watch.close()
    return watch


def sketched(values: dict[str, Iterable[Any]], *, at: float, arm: str, side: str) -> list[Sketched]:
    """What a worker would have told of so many requests."""
    given: dict[str, Any] = {
        "rollout": "r", "revision": "", "at": at, "seconds": 1.0, "worker": "w0", "arm": arm, "side": side,
    }  # fmt: skip
    columns = {name: list(column) for name, column in values.items()}
    facts = [Sketched(**given, field="", n=max(map(len, columns.values())))]
    for name, column in columns.items():
        one = counts(column)
        facts.append(
            Sketched(
                **given, field=name, n=one.n, missing=one.nulls, total=one.total, squares=one.squares,
                bins=tuple(one.bins), in_bins=tuple(one.bins.values()),
                names=tuple(one.names), named=tuple(one.names.values()), nested=one.nested,
            )
        )  # fmt: skip
    return facts
