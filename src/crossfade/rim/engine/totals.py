"""The answer of a question as sums that are kept: what changed units gave goes off, what they give now goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.rim.engine.session import Session

KEYS = ("field", "place", "arm", "step", "weight", "bucket", "bin", "closed")
"""Columns that say whose sum it is; all others are sums."""

SLACK_ROWS = 50_000
"""Rows that may lie unsummed beside as many sums, so that summing up seldom costs."""


class Totals:
    """The sums of one question."""

    def __init__(self, session: Session, name: str, sql: str, arms: Sequence[str]) -> None:
        self._session = session
        self._name = name
        self._sql = sql
        self._arms = np.asarray(arms, dtype="U")  # compared many times faster than objects
        self._read: Rows | None = None
        described = session.connection.execute(f"DESCRIBE {sql}").fetchall()
        types = {row[0]: "DOUBLE" if row[1] == "DOUBLE" else "BIGINT" for row in described if row[0] not in KEYS}
        self._keys = [row[0] for row in described if row[0] in KEYS]
        self._sums = types
        self._rows = 0
        session.table(name, f"SELECT * FROM ({self._signed(1)}) LIMIT 0")

    def add(self, sign: int) -> None:
        """Put on (1) or take off (-1) what the question gives of the tables as they are."""
        found = self._session.connection.execute(f"INSERT INTO {self._name} {self._signed(sign)}").fetchone()
        if found and found[0]:
            self._rows += int(found[0])
            self._read = None

    def rows(self) -> Rows:
        """The sums; groups in which nothing is counted do not exist."""
        if self._read is not None:
            return self._read
        counts = [name for name, type_ in self._sums.items() if type_ == "BIGINT"]
        sums = ", ".join(f"sum({name})::{type_} AS {name}" for name, type_ in self._sums.items())
        some = " OR ".join(f"sum({name}) <> 0" for name in counts)
        keys = ", ".join(self._keys)
        sql = f"SELECT {keys}, {sums} FROM {self._name} GROUP BY {keys} HAVING {some}"
        rows = self._session.rows(sql)
        found = len(rows[self._keys[0]])
        if self._rows > 2 * found + SLACK_ROWS:
            self._session.table(self._name, sql)
            self._rows = found
        if "arm" in rows and rows["arm"].dtype != object:
            rows = {**rows, "arm": self._arms[rows["arm"].astype(np.int64)]}
        self._read = rows
        return rows

    def _signed(self, sign: int) -> str:
        sums = ", ".join(f"({sign} * {name})::{type_} AS {name}" for name, type_ in self._sums.items())
        return f"SELECT {', '.join(self._keys)}, {sums} FROM ({self._sql})"
