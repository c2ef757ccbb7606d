"""Click models: what a person clicks in a ranked list. Pure; chance comes in as a generator.

A list is seen as the gain of each slot: from 0 (irrelevant) to 1 (as relevant as anything can be); True and False do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

Gains = Sequence[float]


class ClickModel(Protocol):
    """One kind of reader."""

    def clicks(self, gains: Gains, rng: Random) -> list[int]:
        """The slots clicked, in order."""
        ...

    def first(self, gains: Gains) -> list[float]:
        """How likely each slot is the first one clicked: exactly, without drawing."""
        ...


def _between(ends: tuple[float, float], gain: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * gain


def _first(clicked: Sequence[float]) -> list[float]:
    left, found = 1.0, []
    for chance in clicked:
        found.append(left * chance)
        left *= 1.0 - chance
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """A reader who goes down the list, clicks by relevance and stops by relevance."""

    click: tuple[float, float]
    """Probability of clicking an (irrelevant, relevant) item that is examined."""
    stop: tuple[float, float]
    """Probability of stopping after clicking an (irrelevant, relevant) item."""

    def clicks(self, gains: Gains, rng: Random) -> list[int]:
        """The slots clicked, in order."""
        clicked: list[int] = []
        for slot, gain in enumerate(gains):
            if rng.random() >= _between(self.click, gain):
                continue
            clicked.append(slot)
            if rng.random() < _between(self.stop, gain):
                break
        return clicked

    def first(self, gains: Gains) -> list[float]:
        """How likely each slot is the first one clicked."""
        return _first([_between(self.click, gain) for gain in gains])


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBased:
    """A reader who looks at each slot or not by its position alone, and clicks what was looked at by relevance."""

    click: tuple[float, float]
    """Probability of clicking an (irrelevant, relevant) item that is looked at."""
    decay: float = 1.0
    """The slot of rank r (from 1) is looked at with probability 1 / r^decay."""

    def clicks(self, gains: Gains, rng: Random) -> list[int]:
        """The slots clicked, in order."""
        return [slot for slot, chance in enumerate(self._chances(gains)) if rng.random() < chance]

    def first(self, gains: Gains) -> list[float]:
        """How likely each slot is the first one clicked."""
        return _first(self._chances(gains))

    def _chances(self, gains: Gains) -> list[float]:
        return [_between(self.click, gain) / rank**self.decay for rank, gain in enumerate(gains, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomClicks:
    """Somebody who clicks without looking: no ranker deserves credit for it."""

    rate: float = 0.5

    def clicks(self, gains: Gains, rng: Random) -> list[int]:
        """The slots clicked, in order."""
        return [slot for slot in range(len(gains)) if rng.random() < self.rate]

    def first(self, gains: Gains) -> list[float]:
        """How likely each slot is the first one clicked."""
        return _first([self.rate] * len(gains))


PERFECT = Cascade(click=(0.0, 1.0), stop=(0.0, 0.0))
NAVIGATIONAL = Cascade(click=(0.05, 0.95), stop=(0.2, 0.9))
INFORMATIONAL = Cascade(click=(0.4, 0.9), stop=(0.1, 0.5))
ONE_CLICK = Cascade(click=(0.05, 0.9), stop=(1.0, 1.0))

CLICK_MODELS: dict[str, ClickModel] = {
    "perfect": PERFECT,
    "cascade": ONE_CLICK,
    "position": PositionBased(click=(0.05, 0.9)),
    "navigational": NAVIGATIONAL,
    "informational": INFORMATIONAL,
    "random": RandomClicks(),
}
"""By name; `perfect`, `navigational` and `informational` have the usual parameters of the interleaving literature for
relevant and irrelevant items, and what lies between for grades. `cascade` is Craswell's: one click, and the end."""
