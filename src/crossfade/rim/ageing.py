"""Effects by days since first exposure, asked anew once in a while: they change by the day, and ask all facts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from crossfade.judge.day import Day
from crossfade.judge.measure.cohorts import DAY
from crossfade.rim.engine import Engine
from crossfade.spec.model import Ab, Promote, Rollout
from crossfade.state import ENDED, Phase, Position

log = logging.getLogger("crossfade.controller")

EVERY = 3600.0
"""Seconds between two askings of one rollout."""


class Ageing:
    """What was last found of each rollout."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[tuple[str, int, float], float, Sequence[Day]]] = {}

    def days(self, rollout: Rollout, position: Position, now: float) -> Sequence[Day]:
        """The effect by day of the present stage, at most an hour old; none while no day of it is over.

        Only where each unit has one arm for the whole stage: in an A/B test, and after promotion.
        """
        fixed = isinstance(rollout.stages[position.stage], Ab | Promote) and position.phase is not Phase.PENDING
        if not fixed or now - position.stage_since < DAY:
            self._known.pop(rollout.name, None)
            return ()
        stage = (rollout.revision, position.stage, position.stage_since)
        known = self._known.get(rollout.name)
        if known is not None and known[0] == stage and (now - known[1] < EVERY or position.phase in ENDED):
            return known[2]
        try:
            found: Sequence[Day] = self._engine.days(rollout, position, now)
        except Exception:
            # It is only shown: what cannot be shown must not take the judgement with it.
            log.exception("could not tell the effect of %s by days", rollout.name)
            found = known[2] if known is not None and known[0] == stage else ()
        self._known[rollout.name] = stage, now, found
        return found
