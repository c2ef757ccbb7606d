"""Every decision that was recorded or named, as a number; and outcomes that name one which nobody recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Columns
from crossfade.rim.engine.feed import Part, Reader, parts
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.session import Session, reading
from crossfade.rim.lake import Lake


class Decisions:
    """All rollouts of a lake share one."""

    def __init__(self, lake: Lake, threads: int) -> None:
        self.keys = KeyIndex()
        self.orphans = 0
        """Outcomes whose decision is not recorded (yet)."""
        self._session = Session(threads)
        self._reader = Reader(lake)
        self._about = Columns(recorded=(np.bool_, False), waiting=(np.int32, 0))

    def read(self, versions: Mapping[str, int]) -> None:
        """Take in what is new. Raises Rewritten."""
        for part in parts(self._reader.new_files("exposed", versions)):
            number = self._numbers("exposed", part)
            known = self._about["recorded"][number]
            number = number[~known]
            self._about["recorded"][number] = True
            # A decision recorded twice is counted once, as the first of the two has emptied what waited.
            waited = number[self._about["waiting"][number] > 0]
            self.orphans -= int(self._about["waiting"][np.unique(waited)].sum())
            self._about["waiting"][waited] = 0
        for part in parts(self._reader.new_files("outcome", versions)):
            number = self._numbers("outcome", part, "coalesce(corrects, '') = ''")
            lost = number[~self._about["recorded"][number]]
            np.add.at(self._about["waiting"], lost, 1)
            self.orphans += len(lost)

    def close(self) -> None:
        """Free the memory."""
        self._session.close()

    def _numbers(self, kind: str, part: Part, which: str = "TRUE") -> Ints:
        where = part.limited("decision_id <> ''")
        facts = reading(kind, part.files, where, numbered=part.cut)
        number = self.keys.number(
            self._session.rows(f"SELECT hash(decision_id) AS key FROM ({facts}) WHERE {which}")["key"]
        )
        self._about.grow(self.keys.count)
        return number
