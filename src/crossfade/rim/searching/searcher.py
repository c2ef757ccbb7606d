"""The searcher: beside the controller, in a thread of its own, it looks now and then. It never moves a rollout."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from crossfade.rim.lake import Lake
from crossfade.rim.searching.kept import keep, kept
from crossfade.rim.searching.look import look
from crossfade.spec.model import Rollout
from crossfade.state import ENDED, Phase, Position

log = logging.getLogger("crossfade.search")

EVERY = 15.0
"""Seconds between two looks at one rollout, at least."""

PART = 20.0
"""How many times as long as a look took it rests afterwards: searching takes at most a twentieth of one core."""


class Searcher:
    """Searches the rollouts of one data folder, one at a time."""

    def __init__(self, data: Path, *, every: float = EVERY, timer: Callable[[], float] = time.monotonic) -> None:
        self._data = data
        self._every, self._timer = every, timer
        self._due: dict[str, float] = {}
        self._rested = 0.0
        self._seen: dict[str, object] = {}
        self._thread: threading.Thread | None = None

    def turn(self, rollout: Rollout, position: Position, now: float) -> None:
        """Begin a look at a rollout, if it is due and none is under way. Returns at once."""
        if not rollout.features or position.phase is Phase.PENDING or position.phase in ENDED:
            return
        moment = self._timer()
        if moment < max(self._due.get(rollout.name, 0.0), self._rested):
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._due[rollout.name] = moment + self._every
        self._thread = threading.Thread(
            target=self._look, args=(rollout, position, now), name="crossfade-search", daemon=True
        )
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Wait for a look that is under way, but not for ever."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _look(self, rollout: Rollout, position: Position, now: float) -> None:
        began = self._timer()
        try:
            lake = Lake(self._data)
            try:
                versions = lake.versions()
                asked = (position.stage, position.stage_since, rollout.revision, tuple(sorted(versions.items())))
                if self._seen.get(rollout.name) == asked:
                    return
                record = look(lake, versions, rollout, position, now, kept(self._data, rollout.name))
                keep(self._data, rollout.name, record)
                self._seen[rollout.name] = asked
            finally:
                lake.close()
        except Exception:
            # Files may be tidied away under it; what was found stays, and the next look comes.
            log.warning("%s could not be searched this time", rollout.name, exc_info=True)
        self._rested = self._timer() + PART * (self._timer() - began)
