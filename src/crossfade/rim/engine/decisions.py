"""Every decision that was recorded or named, as a number; and outcomes that name one which nobody recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossfade.rim.engine.columns import Columns
from crossfade.rim.engine.feed import Feed
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.session import Session
from crossfade.rim.lake import Lake


class Decisions:
    """All rollouts of a lake share one."""

    def __init__(self, lake: Lake, threads: int) -> None:
        self.keys = KeyIndex()
        self.orphans = 0
        """Outcomes whose decision is not recorded (yet)."""
        self._session = Session(threads)
        self._feed = Feed(lake, self._session)
        self._about = Columns(recorded=(np.bool_, False), waiting=(np.int32, 0))

    def read(self, versions: Mapping[str, int]) -> None:
        """Take in what is new. Raises Rewritten."""
        for _ in self._feed.batches(versions, {"exposed": "TRUE", "outcome": "decision_id <> ''"}, np.inf):
            rows = self._session.rows("SELECT hash(decision_id) AS key FROM exposed")
            number = np.unique(self.keys.number(rows["key"]))
            self._about.grow(self.keys.count)
            self.orphans -= int(self._about["waiting"][number].sum())
            self._about["recorded"][number] = True
            self._about["waiting"][number] = 0
            rows = self._session.rows("SELECT hash(decision_id) AS key FROM outcome")
            number = self.keys.number(rows["key"])
            self._about.grow(self.keys.count)
            lost = number[~self._about["recorded"][number]]
            np.add.at(self._about["waiting"], lost, 1)
            self.orphans += len(lost)

    def close(self) -> None:
        """Free the memory."""
        self._session.close()
