"""Every decision that was recorded or named, as a number; and outcomes that name one which nobody recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crossfade.judge.measure.counts import WAITING
from crossfade.judge.moments import Floats, Ints
from crossfade.rim.engine.columns import Columns
from crossfade.rim.engine.feed import Part, Reader, parts
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.session import Session, reading
from crossfade.rim.lake import Lake


class Decisions:
    """All rollouts of a lake share one."""

    def __init__(self, lake: Lake, threads: int) -> None:
        self.keys = KeyIndex()
        self._lost = (np.zeros(0, dtype=np.int64), np.zeros(0))
        """Outcomes whose decision was not recorded when they came: it, and when they were received."""
        self._session = Session(threads)
        self._reader = Reader(lake)
        self._about = Columns(recorded=(np.bool_, False))

    def read(self, versions: Mapping[str, int], progress: Callable[[], None]) -> None:
        """Take in what is new, and say so after each part. Raises Rewritten."""
        for part in parts(self._reader.new_files("exposed", versions)):
            number, _ = self._numbers("exposed", part, "at")
            self._about["recorded"][number] = True
            progress()
        for part in parts(self._reader.new_files("outcome", versions)):
            number, received = self._numbers("outcome", part, "received_at", "coalesce(corrects, '') = ''")
            lost = ~self._about["recorded"][number]
            self._lost = np.concatenate([self._lost[0], number[lost]]), np.concatenate([self._lost[1], received[lost]])
            progress()

    def lost(self, now: float) -> tuple[int, int]:
        """Outcomes whose decision is not recorded, and those received so shortly ago that it may be on its way."""
        still = ~self._about["recorded"][self._lost[0]]
        self._lost = self._lost[0][still], self._lost[1][still]
        early = int((self._lost[1] > now - WAITING).sum())
        return len(self._lost[0]) - early, early

    def close(self) -> None:
        """Free the memory."""
        self._session.close()

    def _numbers(self, kind: str, part: Part, time: str, which: str = "TRUE") -> tuple[Ints, Floats]:
        where = part.limited("decision_id <> ''")
        facts = reading(kind, part.files, where, numbered=part.cut)
        rows = self._session.rows(f'SELECT hash(decision_id) AS key, "{time}" AS time FROM ({facts}) WHERE {which}')
        number = self.keys.number(rows["key"])
        self._about.grow(self.keys.count)
        return number, np.asarray(rows["time"], dtype=np.float64)
