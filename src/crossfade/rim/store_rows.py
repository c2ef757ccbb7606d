"""Rows of the store read as what they mean, inside a transaction that somebody else has begun."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crossfade.ledger import Entry
from crossfade.rim import store_tables as tables
from crossfade.rim.revisions import StoreError
from crossfade.rim.stored import Stored, UnknownRollout
from crossfade.spec.model import Rollout
from crossfade.state import Position


class Rows:
    """Reads one store's rows; a revision is parsed once."""

    def __init__(self, said: str) -> None:
        """`said`: what messages call the store."""
        self._said = said
        self.parsed: dict[str, Rollout] = {}

    def row(self, connection: Connection, name: str) -> sa.Row[Any]:
        """The row of a rollout. Raises UnknownRollout."""
        row = connection.execute(sa.select(tables.rollouts).where(tables.rollouts.c.name == name)).one_or_none()
        if row is None:
            known = (
                connection.execute(sa.select(tables.rollouts.c.name).order_by(tables.rollouts.c.name)).scalars().all()
            )
            raise UnknownRollout(name, known)
        return row

    def stored(self, connection: Connection, row: sa.Row[Any]) -> Stored:
        """A rollout as its row has it."""
        return Stored(
            name=row.name,
            text=self.text(connection, row.name, row.revision),
            revision=row.revision,
            position=self.position(row),
            seq=row.seq,
            rollout=self.rollout(connection, row.name, row.revision),
        )

    def position(self, row: sa.Row[Any]) -> Position:
        """Where a rollout stands. Raises StoreError."""
        try:
            return Position.from_json(json.loads(row.position))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"the position of {row.name} in {self._said} cannot be read: {error!r}") from error

    def text(self, connection: Connection, name: str, revision: str) -> str:
        """The text of a revision. Raises StoreError."""
        wanted = sa.select(tables.specs.c.text).where(
            tables.specs.c.rollout == name, tables.specs.c.revision == revision
        )
        text = connection.execute(wanted).scalar_one_or_none()
        if text is None:
            raise StoreError(f"{self._said} has no revision {revision} of {name}")
        return str(text)

    def rollout(self, connection: Connection, name: str, revision: str) -> Rollout:
        """A revision, parsed."""
        rollout = self.parsed.get(revision)
        if rollout is None:
            from crossfade.spec.parse import parse

            rollout = self.parsed[revision] = parse(self.text(connection, name, revision))
        return rollout

    def last(self, connection: Connection, name: str) -> Entry | None:
        """The last entry of a ledger, None where there is none. Raises StoreError."""
        wanted = (
            sa.select(tables.ledger.c.entry)
            .where(tables.ledger.c.rollout == name)
            .order_by(tables.ledger.c.n.desc())
            .limit(1)
        )
        text = connection.execute(wanted).scalar_one_or_none()
        try:
            return None if text is None else Entry.from_json(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"the last ledger entry of {name} in {self._said} cannot be read: {error!r}") from error
