"""The answer of a question as sums that are kept: what changed units gave goes off, what they give now goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.rim.engine.columns import Blank, Columns
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.session import Session

KEYS = ("field", "place", "arm", "step", "weight", "bucket", "bin", "closed")
"""Columns that say whose sum it is; all others are sums."""


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
        self._rows = Columns(**blanks)

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
        # A group comes once in an answer.
        for name in self._sums:
            self._rows[name][place] += sign * found[name]
        self._read = None

    def rows(self) -> Rows:
        """The sums; groups in which nothing is counted do not exist."""
        if self._read is None:
            all_ = {name: self._rows[name][: self._rows.count] for name in (*self._keys, *self._sums)}
            some = np.zeros(self._rows.count, dtype=bool)
            for name, real in self._sums.items():
                if not real:
                    some |= all_[name] != 0
            rows = {name: column[some] for name, column in all_.items()}
            if "arm" in rows and rows["arm"].dtype != object:
                rows["arm"] = self._arms[rows["arm"].astype(np.int64)]
            self._read = rows
        return self._read
