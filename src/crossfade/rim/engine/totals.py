"""The answer of a question as sums that are kept: what changed units gave goes off, what they give now goes on.

Counts stay exact. Sums of numbers that are not whole keep the rounding of what was put on long after it has been
taken off: 1e17 that is corrected to 10 would leave the sum of everybody else a multiple of 16. So it is known how much
was taken off, and a sum that has seen WORN times what is left has to be made anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.arms import OPEN
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Floats
from crossfade.rim.engine.columns import Blank, Columns
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.session import Session

KEYS = ("field", "place", "arm", "step", "weight", "bucket", "bin", "closed")
"""Columns that say whose sum it is; all others are sums."""

WORN = 1e4
"""How many times what is left may have been taken off: rounding then shows in the twelfth digit at the most."""

PUT, OFF, DROPPED = "put on ", "taken off ", "dropped of "
"""What was put on a sum and taken off it without regard to signs, and what rounding dropped, beside the sum."""


class Totals:
    """The sums of one question. What is added finds its sum by a hash of its keys, so that the others cost nothing."""

    def __init__(self, session: Session, sql: str, arms: Sequence[str]) -> None:
        self._session = session
        self._arms = np.asarray(arms, dtype="U")  # compared many times faster than objects
        self._read: Rows | None = None
        described = session.connection.execute(f"DESCRIBE {sql}").fetchall()
        self._keys = [row[0] for row in described if row[0] in KEYS]
        self._sums = {row[0]: row[1] == "DOUBLE" for row in described if row[0] not in KEYS}
        sums = [f"{name}::{'DOUBLE' if real else 'BIGINT'} AS {name}" for name, real in self._sums.items()]
        self._sql = f"SELECT hash({', '.join(self._keys)}) AS hashed, {', '.join([*self._keys, *sums])} FROM ({sql})"
        self._places = KeyIndex()
        blanks: dict[str, Blank] = {
            name: (column.dtype.type, 0)
            for name, column in session.rows(f"{self._sql} LIMIT 0").items()
            if name != "hashed"
        }
        self._real = [name for name, real in self._sums.items() if real]
        weighed: dict[str, Blank] = {
            side + name: (np.float64, 0.0) for name in self._real for side in (PUT, OFF, DROPPED)
        }
        self._rows = Columns(**blanks, **weighed)

    def add(self, sign: int) -> None:
        """Put on (1) or take off (-1) what the question gives of the tables as they are."""
        found = self._session.rows(self._sql)
        if not len(found["hashed"]):
            return
        known = self._places.count
        place = self._places.number(found["hashed"])
        self._rows.grow(self._places.count)
        new = place >= known
        self._rows.put(place[new], {name: found[name][new] for name in self._keys})
        # A group comes once in an answer. What is infinite makes no number of what is left: such a sum is worn.
        with np.errstate(invalid="ignore", over="ignore"):
            for name in self._real:
                self._rows[(PUT if sign > 0 else OFF) + name][place] += np.abs(found[name])
                self._rows[DROPPED + name][place] += _dropped(self._rows[name][place], sign * found[name])
            for name in self._sums:
                self._rows[name][place] += sign * found[name]
        self._read = None

    @property
    def worn(self) -> bool:
        """Whether rounding may show in a sum that somebody reads."""
        some = self._some()
        for name in self._real:
            off = self._rows[OFF + name][: self._rows.count]
            if not (off > 0.0).any():
                continue
            put, total = self._rows[PUT + name][: self._rows.count], self._rows[name][: self._rows.count]
            with np.errstate(invalid="ignore"):
                left = np.maximum(np.abs(total), put - off)
                # Written so that what is no number is worn, too.
                if (some & (off > 0.0) & ~(off <= WORN * left) & self._read_by_anybody()).any():
                    return True
        return False

    def clear(self) -> None:
        """Nothing was counted yet."""
        for name in (*self._sums, *(side + name for name in self._real for side in (PUT, OFF, DROPPED))):
            self._rows[name][:] = 0
        self._read = None

    def rows(self) -> Rows:
        """The sums; groups in which nothing is counted do not exist."""
        if self._read is None:
            all_ = {name: self._rows[name][: self._rows.count] for name in (*self._keys, *self._sums)}
            some = self._some()
            rows = {name: column[some] for name, column in all_.items()}
            for name in self._real:
                rows[name] = rows[name] + self._rows[DROPPED + name][: self._rows.count][some]
            if "arm" in rows and rows["arm"].dtype != object:
                rows["arm"] = self._arms[rows["arm"].astype(np.int64)]
            self._read = rows
        return self._read

    def _some(self) -> npt.NDArray[np.bool_]:
        """Groups in which something is counted."""
        some = np.zeros(self._rows.count, dtype=bool)
        for name, real in self._sums.items():
            if not real:
                some |= self._rows[name][: self._rows.count] != 0
        return some

    def _read_by_anybody(self) -> npt.NDArray[np.bool_]:
        """Groups of units whose value is settled. Of the others, who leave them one by one, only counts are told."""
        read = np.ones(self._rows.count, dtype=bool)
        if "closed" in self._keys:
            read &= self._rows["closed"][: self._rows.count]
        if "bucket" in self._keys:
            read &= self._rows["bucket"][: self._rows.count] != OPEN
        return read


def _dropped(total: Floats, more: Floats) -> Floats:
    """What rounding drops of `total + more`, exactly (Knuth)."""
    found = total + more
    back = found - total
    return np.asarray((total - (found - back)) + (more - back))
