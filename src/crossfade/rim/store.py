"""Where rollouts stand: specs, positions, the ledger and the last view, in one SQLite file or one PostgreSQL.

Every change is one transaction that checks legality, appends to the ledger and writes the position, so no crash
and no race can leave a move that the ledger does not tell. SQLAlchemy Core is used throughout; those who only look many
times a second do so through `glance`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crossfade import ledger, state
from crossfade.approvals import people
from crossfade.ledger import Entry, Seal, Sealed
from crossfade.rim import signing
from crossfade.rim import store_tables as tables
from crossfade.rim.parsed import packed
from crossfade.rim.revisions import StoreError, check_revision
from crossfade.rim.software import software
from crossfade.rim.stop_orders import Order
from crossfade.rim.store_entries import Entries
from crossfade.rim.store_leader import Leaders
from crossfade.rim.store_place import make, place
from crossfade.rim.store_rows import Rows
from crossfade.rim.stored import StaleDecision, StaleSeal, Stored, Told, UnknownRollout
from crossfade.spec.model import Rollout
from crossfade.state import Move, Position, Suffering

__all__ = ["StaleDecision", "StaleSeal", "Store", "StoreError", "Stored", "Told", "UnknownRollout"]


class Store:
    """The state of every rollout under one data directory. Safe to share between threads and processes."""

    def __init__(self, data: Path, *, busy: float | None = None) -> None:
        """`busy`: seconds to wait for another writer; some if left out."""
        self.data = data
        self._place = place(data, busy)
        self._sign = signing.from_environment()
        self._rows = Rows(self._place.said)
        self._entries = Entries(self._rows, self._sign)
        self.leaders = Leaders(self._place)
        if not self._place.made():
            make(self._place)

    def close(self) -> None:
        """Let go of the file."""
        self._place.close()

    def lead(self, term: int | None) -> None:
        """Write in this leadership from now on; each write raises Deposed once another leads."""
        self._place.term = term

    # -- specs and positions ---------------------------------------------------------------------

    def add(self, text: str, rollout: Rollout, at: float) -> Stored:
        """Record a spec: a new rollout is pending, the same text is a no-op, a changed text is a new revision.

        A revision keeps the position; StoreError when the position does not fit the new stages, or when the
        revision would change who is compared with whom.
        """
        name = rollout.name
        with self._place.writing() as connection:
            row = connection.execute(sa.select(tables.rollouts).where(tables.rollouts.c.name == name)).one_or_none()
            if row is not None and row.revision == rollout.revision:
                return self._rows.stored(connection, row)
            position = Position() if row is None else self._rows.position(row)
            if row is not None:
                check_revision(self._rows.rollout(connection, name, row.revision), rollout, position)
            lapsed = [one.by for one in position.approvals]
            # Who approved has not seen this revision.
            position = replace(position, approvals=())
            last = self._rows.last(connection, name)
            entry = ledger.append(
                last,
                ledger.Body(
                    at=at,
                    rollout=name,
                    revision=rollout.revision,
                    kind="spec",
                    rule="spec",
                    move=None,
                    actor="spec",
                    sentence=_recorded(new=row is None, lapsed=lapsed),
                    from_position=last.to_position if last else None,
                    to_position=position.to_json(),
                    software=software(),
                ),
                self._sign,
            )
            known = sa.select(tables.specs.c.revision).where(
                tables.specs.c.rollout == name, tables.specs.c.revision == rollout.revision
            )
            if connection.execute(known).one_or_none() is None:
                connection.execute(
                    tables.specs.insert().values(rollout=name, revision=rollout.revision, text=text, at=at)
                )
            connection.execute(
                sa.text(
                    "INSERT INTO parsed (rollout, revision, record) VALUES (:rollout, :revision, :record)"
                    " ON CONFLICT (rollout, revision) DO UPDATE SET record = excluded.record"
                ),
                {"rollout": name, "revision": rollout.revision, "record": packed(rollout)},
            )
            self._rows.parsed[rollout.revision] = rollout
            self._entries.put(connection, entry, position, new=row is None)
        return Stored(name=name, text=text, revision=rollout.revision, position=position, seq=entry.n, rollout=rollout)

    def rollouts(self) -> list[Stored]:
        """Every rollout, by name."""
        with self._place.reading() as connection:
            rows = connection.execute(sa.select(tables.rollouts).order_by(tables.rollouts.c.name)).all()
            return [self._rows.stored(connection, row) for row in rows]

    def get(self, name: str) -> Stored:
        """The rollout of that name. Raises UnknownRollout."""
        with self._place.reading() as connection:
            return self._rows.stored(connection, self._rows.row(connection, name))

    def spec(self, name: str, revision: str) -> str:
        """The text of a revision, the present one or an earlier one. Raises StoreError."""
        with self._place.reading() as connection:
            return self._rows.text(connection, name, revision)

    # -- decisions -------------------------------------------------------------------------------

    def act(
        self,
        name: str,
        move: Move,
        *,
        actor: str,
        rule: str,
        sentence: str,
        evidence: Sequence[Mapping[str, Any]] = (),
        at: float,
        expect_seq: int | None = None,
        facts: Mapping[str, int] | None = None,
        sealed: Mapping[str, Any] | None = None,
        by: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
        held_for: tuple[Suffering, ...] = (),
    ) -> Entry:
        """Make a move: check it, write it to the ledger and take the new position, all or nothing.

        `actor` is `rule` or a person. Raises IllegalMove, StaleDecision (when `expect_seq` is not the last entry
        any more), UnknownRollout.
        """
        with self._place.writing() as connection:
            row = self._rows.row(connection, name)
            if expect_seq is not None and expect_seq != row.seq:
                raise StaleDecision(name, expect_seq, row.seq)
            before = self._rows.position(row)
            rollout = self._rows.rollout(connection, name, row.revision)
            after = state.apply(rollout, before, move, at, actor=actor, held_for=held_for)
            return self._entries.decided(
                connection,
                row,
                after,
                at=at,
                rule=rule,
                move=str(move),
                actor=actor,
                sentence=sentence,
                evidence=evidence,
                facts=facts,
                sealed=sealed,
                by=by,
                about=about,
            )

    def note(
        self,
        name: str,
        *,
        actor: str,
        rule: str,
        sentence: str,
        at: float,
        change: Callable[[Rollout, Position], Position] = lambda _, position: position,
        evidence: Sequence[Mapping[str, Any]] = (),
        facts: Mapping[str, int] | None = None,
        by: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
        expect_seq: int | None = None,
        sealed: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Write to the ledger what is no move, with the change of the position that comes with it, all or nothing.

        Raises UnknownRollout, StaleDecision (the rollout was changed since `expect_seq`), and what `change` raises.
        """
        with self._place.writing() as connection:
            row = self._rows.row(connection, name)
            if expect_seq is not None and row.seq != expect_seq:
                raise StaleDecision(name, expect_seq, row.seq)
            after = change(self._rows.rollout(connection, name, row.revision), self._rows.position(row))
            return self._entries.decided(
                connection,
                row,
                after,
                at=at,
                rule=rule,
                move=None,
                actor=actor,
                sentence=sentence,
                evidence=evidence,
                facts=facts,
                by=by,
                about=about,
                sealed=sealed,
            )

    def entries(self, name: str, after: int = 0) -> list[Entry]:
        """The rollout's ledger, oldest first, or what comes after an entry of it. Raises UnknownRollout."""
        with self._place.reading() as connection:
            self._rows.row(connection, name)
            rows = connection.execute(
                sa.select(tables.ledger.c.entry)
                .where(tables.ledger.c.rollout == name, tables.ledger.c.n > after)
                .order_by(tables.ledger.c.n)
            ).scalars()
            try:
                return [Entry.from_json(json.loads(text)) for text in rows]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise StoreError(
                    f"the ledger of {name} in {self._place.said} holds an entry that cannot be read: {error}"
                ) from error

    def head(self, name: str) -> ledger.Head:
        """Where the rollout's ledger should end, by what is kept outside it. Raises UnknownRollout, StoreError."""
        with self._place.reading() as connection:
            row = self._rows.row(connection, name)
            return ledger.Head(row.seq, self._rows.position(row).to_json())

    # -- which facts there are -------------------------------------------------------------------

    def seal(self, seal: Seal, after: int) -> Sealed:
        """Put a seal at the end of the chain of this data folder, which should be number `after`. Raises StaleSeal."""
        with self._place.writing() as connection:
            newest = sa.select(tables.seals.c.seal).order_by(tables.seals.c.n.desc()).limit(1)
            text = connection.execute(newest).scalar_one_or_none()
            try:
                last = None if text is None else Sealed.from_json(json.loads(text))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise StoreError(f"the last seal in {self._place.said} cannot be read: {error!r}") from error
            if (last.n if last else 0) != after:
                raise StaleSeal(f"the seals of {self._place.said} have been gone on with by another controller")
            sealed = ledger.append_seal(last, seal, self._sign)
            text = ledger.canonical(sealed.to_json()).decode()
            connection.execute(tables.seals.insert().values(n=sealed.n, seal=text))
            counter = sa.update(tables.counters).where(tables.counters.c.name == "seals")
            connection.execute(counter.values(value=sealed.n))
            return sealed

    def seals(self) -> list[str]:
        """The chain of seals as it is stored."""
        with self._place.reading() as connection:
            return list(connection.execute(sa.select(tables.seals.c.seal).order_by(tables.seals.c.n)).scalars())

    def told(self, name: str) -> Told:
        """All that is recorded of a rollout, as it is stored and at one moment. Raises UnknownRollout, StoreError."""
        with self._place.reading() as connection:
            row = self._rows.row(connection, name)
            ledger_of = sa.select(tables.ledger.c.entry).where(tables.ledger.c.rollout == name)
            seals = sa.select(tables.seals.c.seal).order_by(tables.seals.c.n)
            count = sa.select(tables.counters.c.value).where(tables.counters.c.name == "seals")
            specs = sa.select(tables.specs.c.revision, tables.specs.c.text).where(tables.specs.c.rollout == name)
            return Told(
                name=name,
                entries=list(connection.execute(ledger_of.order_by(tables.ledger.c.n)).scalars()),
                head=ledger.Head(row.seq, self._rows.position(row).to_json()),
                seals=list(connection.execute(seals).scalars()),
                seals_head=int(connection.execute(count).scalar_one()),
                specs={row.revision: row.text for row in connection.execute(specs)},
            )

    # -- what people look at ---------------------------------------------------------------------

    def save_view(self, name: str, record: Mapping[str, Any]) -> None:
        """Keep the latest view of a rollout; it may be lost in a power cut, never torn."""
        self._save("views", name, record)

    def view(self, name: str) -> dict[str, Any] | None:
        """The latest view, or None before the first."""
        return self._saved(tables.views, name)

    def save_looks(self, name: str, looks: Mapping[str, Any]) -> None:
        """Keep what earlier looks at a rollout found, thinned out for people to see."""
        self._save("looks", name, looks)

    def looks(self, name: str) -> dict[str, Any] | None:
        """What earlier looks found, or None before the first."""
        return self._saved(tables.looks, name)

    def _save(self, table: str, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(ledger.plain(record), separators=(",", ":"))
        with self._place.writing(light=True) as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {table} (name, record) VALUES (:name, :record)"
                    " ON CONFLICT (name) DO UPDATE SET record = excluded.record"
                ),
                {"name": name, "record": text},
            )

    def _saved(self, table: sa.Table, name: str) -> dict[str, Any] | None:
        with self._place.reading() as connection:
            text = connection.execute(sa.select(table.c.record).where(table.c.name == name)).scalar_one_or_none()
        try:
            return None if text is None else dict(json.loads(text))
        except (ValueError, TypeError):
            # It is made anew at the controller's next look; the ledger and the position say the rest.
            return None

    # -- counters that are polled ----------------------------------------------------------------

    def beat(self) -> None:
        """The controller is alive: advance the heartbeat (not flushed to disk; it need not outlive the machine)."""
        with self._place.writing(light=True) as connection:
            connection.execute(
                sa.update(tables.counters)
                .where(tables.counters.c.name == "beats")
                .values(value=tables.counters.c.value + 1)
            )

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive. Cheap."""
        return self._place.heartbeat()

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once. Cheap."""
        return self._place.stopped()

    def order(self, name: str) -> Order | None:
        """An order to stop as it was given; None where it is gone or was damaged."""
        return self._place.order(name)

    def order_done(self, name: str) -> None:
        """Take an order away that the ledger has."""
        self._place.order_done(name)

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, in any process. Cheap."""
        return self._place.version()


def _recorded(*, new: bool, lapsed: Sequence[str]) -> str:
    if new:
        return "Recorded the spec."
    gone = f" What {people(lapsed, 'and')} had approved was another, so that has lapsed." if lapsed else ""
    return f"Recorded a changed spec as a new revision.{gone}"
