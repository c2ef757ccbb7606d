"""Click models: what a person clicks in a ranked list. Pure; chance comes in as a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """A reader who goes down the list, clicks by relevance and stops by relevance (0 irrelevant, 1 relevant)."""

    click: tuple[float, float]
    """Probability of clicking an (irrelevant, relevant) item that is examined."""
    stop: tuple[float, float]
    """Probability of stopping after clicking an (irrelevant, relevant) item."""

    def clicks(self, relevant: Sequence[bool], rng: Random) -> list[int]:
        """The slots clicked, in order."""
        clicked: list[int] = []
        for slot, good in enumerate(relevant):
            if rng.random() >= self.click[good]:
                continue
            clicked.append(slot)
            if rng.random() < self.stop[good]:
                break
        return clicked


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomClicks:
    """Somebody who clicks without looking: no ranker deserves credit for it."""

    rate: float = 0.5

    def clicks(self, relevant: Sequence[bool], rng: Random) -> list[int]:
        """The slots clicked, in order."""
        return [slot for slot in range(len(relevant)) if rng.random() < self.rate]


PERFECT = Cascade(click=(0.0, 1.0), stop=(0.0, 0.0))
NAVIGATIONAL = Cascade(click=(0.05, 0.95), stop=(0.2, 0.9))
INFORMATIONAL = Cascade(click=(0.4, 0.9), stop=(0.1, 0.5))

CLICK_MODELS: dict[str, Cascade | RandomClicks] = {
    "perfect": PERFECT,
    "navigational": NAVIGATIONAL,
    "informational": INFORMATIONAL,
    "random": RandomClicks(),
}
"""By name; the parameters are the usual ones of the interleaving literature for binary relevance."""
