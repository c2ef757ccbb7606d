"""Who may decide for a store: one leader at a time, each with a higher number, which every write of its carries.

Whoever leads renews a counter. No clocks are compared: another takes over when it has not seen the counter move for
long enough by its own, and from then on no write of the one before is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crossfade.rim import store_tables as tables
from crossfade.rim.store_place import Place
from crossfade.rim.stored import Deposed

__all__ = ["Deposed", "Leader", "Leaders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who leads, or led last."""

    term: int = 0
    """Grows with each leader."""
    renewals: int = 0
    """Moves while the leader lives."""
    holder: Mapping[str, Any] = field(default_factory=dict)
    held: bool = False
    """False where nobody has led yet, or the last has let go."""


class Leaders:
    """The leadership of one store."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def present(self) -> Leader:
        """Who leads now. Raises StoreError."""
        with self._place.reading() as connection:
            row = connection.execute(sa.select(tables.leader)).one_or_none()
        if row is None:
            return Leader()
        return Leader(term=row.term, renewals=row.renewals, holder=json.loads(row.holder), held=bool(row.held))

    def take(self, seen: Leader, holder: Mapping[str, Any]) -> int | None:
        """Lead from now on, if all is still as it was seen: the number of the leadership, None where it is not.

        Raises StoreError.
        """
        term = seen.term + 1
        values = {"term": term, "renewals": 0, "holder": json.dumps(holder), "held": 1}
        with self._place.writing(unfenced=True) as connection:
            if seen.term == 0:
                insert = sa.text(
                    "INSERT INTO leader (id, term, renewals, holder, held)"
                    " VALUES (1, :term, :renewals, :holder, :held) ON CONFLICT (id) DO NOTHING"
                )
                return term if connection.execute(insert, values).rowcount == 1 else None
            update = tables.leader.update().where(
                tables.leader.c.term == seen.term,
                tables.leader.c.renewals == seen.renewals,
                tables.leader.c.held == int(seen.held),
            )
            return term if connection.execute(update.values(**values)).rowcount == 1 else None

    def check(self, term: int) -> None:
        """Raises Deposed when another leads, or nobody does; StoreError."""
        leader = self.present()
        if (leader.term, leader.held) != (term, True):
            raise Deposed(term)

    def renew(self, term: int) -> None:
        """Say that this leader lives. Raises Deposed, StoreError."""
        self._mine(term, renewals=tables.leader.c.renewals + 1)

    def release(self, term: int) -> None:
        """Let go, so that another need not wait. Raises Deposed, StoreError."""
        self._mine(term, held=0)

    def _mine(self, term: int, **values: Any) -> None:
        with self._place.writing(light=True, unfenced=True) as connection:
            update = tables.leader.update().where(tables.leader.c.term == term, tables.leader.c.held == 1)
            if connection.execute(update.values(**values)).rowcount != 1:
                raise Deposed(term)
