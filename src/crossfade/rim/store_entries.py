"""Writes the next entry of a rollout's ledger together with the position that it leads to, so that neither is without
the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crossfade import ledger
from crossfade.ledger import Entry, Sign
from crossfade.rim import store_tables as tables
from crossfade.rim.software import software
from crossfade.rim.store_rows import Rows
from crossfade.state import Position


class Entries:
    """Appends to the ledgers of one store, inside a transaction that somebody else has begun."""

    def __init__(self, rows: Rows, sign: Sign | None) -> None:
        self._rows, self._sign = rows, sign

    def decided(
        self,
        connection: Connection,
        row: sa.Row[Any],
        after: Position,
        *,
        at: float,
        rule: str,
        move: str | None,
        actor: str,
        sentence: str,
        evidence: Sequence[Mapping[str, Any]] = (),
        facts: Mapping[str, int] | None = None,
        sealed: Mapping[str, Any] | None = None,
        by: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Write the next entry, and the position that it leads to."""
        last = self._rows.last(connection, row.name)
        entry = ledger.append(
            last,
            ledger.Body(
                at=at,
                rollout=row.name,
                revision=row.revision,
                kind="decision",
                rule=rule,
                move=move,
                actor=actor,
                sentence=sentence,
                from_position=last.to_position if last else None,
                to_position=after.to_json(),
                evidence=evidence,
                facts=facts,
                sealed=sealed,
                by=by,
                about=about,
                software=software(),
            ),
            self._sign,
        )
        self.put(connection, entry, after, new=False)
        return entry

    def put(self, connection: Connection, entry: Entry, position: Position, *, new: bool) -> None:
        """Write an entry, and the position that it leads to; `new` for the first of a rollout."""
        values = {
            "revision": entry.revision,
            "position": json.dumps(position.to_json()),
            "seq": entry.n,
        }
        if new:
            connection.execute(tables.rollouts.insert().values(name=entry.rollout, **values))
        else:
            connection.execute(tables.rollouts.update().where(tables.rollouts.c.name == entry.rollout).values(**values))
        text = ledger.canonical(entry.to_json()).decode()
        connection.execute(tables.ledger.insert().values(rollout=entry.rollout, n=entry.n, entry=text))
        connection.execute(
            sa.update(tables.counters)
            .where(tables.counters.c.name == "changes")
            .values(value=tables.counters.c.value + 1)
        )
