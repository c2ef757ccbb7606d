"""A controller that does not lead takes in the facts all the same, so that it can judge as soon as it leads.

Otherwise the users of a challenger would get the champion after each takeover for as long as reading everything takes,
which grows with the facts. It writes nothing, and takes no more than a fifth of a processor when it has caught up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from crossfade.rim.engine import Engine
from crossfade.rim.engine.elsewhere import HERE, chosen
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from crossfade.state import ENDED, Position

log = logging.getLogger("crossfade.controller")

EVERY = 5.0
"""Seconds between two readings of what is new."""

REST = 4.0
"""Times as long as a reading took, until the next one at the soonest."""

LINGER = 600.0
"""Seconds a rollout that has ended is still looked at, so that late outcomes complete its account of harm."""


def looked_at(position: Position, now: float) -> bool:
    """Whether a rollout is measured at all."""
    return position.phase not in ENDED or now - position.step_since <= LINGER


class Known:
    """The facts as one process has taken them in: the lake that it reads, and the engine that has read them."""

    def __init__(self, data: Path) -> None:
        self.lake = Lake(data)
        self.engine = Engine(self.lake, engine=chosen(None))

    def close(self) -> None:
        """Free what is open."""
        self.engine.close()
        self.lake.close()


class Following:
    """Keeps up with the facts of one data folder until its process leads."""

    def __init__(self, data: Path, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells the time of day, as the look of a leader takes it."""
        self._data, self._store, self._clock = data, store, clock
        self._known: Known | None = None
        self._next = 0.0

    def turn(self) -> bool:
        """Take in what is new, if it is time to; whether it was done. What goes wrong is told, and begun anew."""
        began = time.monotonic()
        # Other engines keep nothing between two looks.
        if began < self._next or chosen(None) != HERE:
            return False
        try:
            if self._known is None:
                self._known = Known(self._data)
            for stored in self._store.rollouts():
                now = self._clock()
                if looked_at(stored.position, now):
                    self._known.engine.measure(stored.rollout, stored.position, now)
        except Exception as error:
            log.warning("could not keep up with the facts, which are read anew: %s", error)
            self.close()
        self._next = time.monotonic() + max(EVERY, REST * (time.monotonic() - began))
        return self._known is not None

    def handed_over(self) -> Known:
        """What is known, for who leads now and has to close it."""
        known, self._known, self._next = self._known or Known(self._data), None, 0.0
        return known

    def close(self) -> None:
        """Forget everything."""
        if self._known is not None:
            self._known.close()
            self._known = None
