"""Where a rollout stood when somebody was served: by the order that the router named, else by the ledger and the time.

What happened while a router was being told otherwise may have been under either order. It is kept, and not analysed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.ledger import Entry
from crossfade.rim.drivers.port import Mark
from crossfade.spec.model import Rollout
from crossfade.state import ROUTER, Position, mode, weight

MOVING = "moving"
"""The reason of exposures of which nobody knows under which order they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a fact says of where the rollout stood."""

    revision: str
    mode: str
    stage: int
    step: int
    weight: float
    reason: str = ""


def by_mark(mark: Mark) -> Placed:
    """As the router said it."""
    return Placed(revision=mark.revision, mode=mark.mode, stage=mark.stage, step=mark.step, weight=mark.weight)


class Places:
    """Where one rollout stood, by time."""

    def __init__(self, rollout: Rollout, entries: Sequence[Entry]) -> None:
        self._times: list[float] = []
        self._places: list[Placed] = []
        for entry in entries:
            if entry.to_position is None:
                continue
            if rollout.router is None:
                self._put(entry.at, _stood(rollout, entry))
            elif entry.rule == ROUTER and entry.about is not None:
                mark = Mark.read(str(entry.about.get("mark")))
                if mark is not None:
                    self._put(float(entry.about.get("read_at") or entry.at), by_mark(mark))
            elif entry.from_position != entry.to_position:
                # From here until the router was read to follow, it did the one or the other.
                self._put(entry.at, _moving(_stood(rollout, entry)))
        self._before = Placed(revision=rollout.revision, mode="champion", stage=0, step=0, weight=0.0)

    def at(self, when: float) -> Placed:
        """Where it stood at a time."""
        place = bisect_right(self._times, when)
        return self._places[place - 1] if place else self._before

    def _put(self, at: float, placed: Placed) -> None:
        # Entries come in the order of the ledger, whatever a clock did meanwhile.
        self._times.append(max(at, self._times[-1]) if self._times else at)
        self._places.append(placed)


def _stood(rollout: Rollout, entry: Entry) -> Placed:
    """A spec that was changed since keeps the stages already reached, so that its present one tells them, too."""
    position = Position.from_json(entry.to_position or {})
    return Placed(
        revision=entry.revision,
        mode=mode(rollout, position),
        stage=position.stage,
        step=position.step,
        weight=weight(rollout, position),
    )


def _moving(placed: Placed) -> Placed:
    return Placed(
        revision=placed.revision, mode="champion", stage=placed.stage, step=placed.step, weight=0.0, reason=MOVING
    )
