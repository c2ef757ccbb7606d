"""Where rollouts stand, on disk: specs, positions, the ledger and the last view, in one SQLite file.

Every change is one transaction that checks legality, appends to the ledger and writes the position, so no crash
and no race can leave a move that the ledger does not tell. SQLAlchemy Core is used throughout; those who only look many
times a second do so through `glance`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade import ledger, state
from crossfade.ledger import Entry, Seal, Sealed
from crossfade.rim import signing
from crossfade.rim import store_tables as tables
from crossfade.rim.glance import FILE, Glance
from crossfade.rim.parsed import packed
from crossfade.rim.revisions import StoreError, check_revision
from crossfade.rim.software import software
from crossfade.spec.model import Rollout
from crossfade.state import Move, Position

__all__ = ["StaleDecision", "StaleSeal", "Store", "StoreError", "Stored", "Told", "UnknownRollout"]


class UnknownRollout(StoreError):
    """No rollout has that name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        there = ", ".join(known) if known else "none yet; add one with `crossfade serve SPEC`"
        super().__init__(f"no rollout is named {name!r}; known: {there}")
        self.name = name


class StaleSeal(StoreError):
    """A seal was made by somebody who did not know the last one."""


class StaleDecision(StoreError):
    """A decision was taken from a position that is no longer the present one."""

    def __init__(self, name: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{name} has moved on (entry {actual}, decided at entry {expected}): look again and decide anew"
        )
        self.name = name
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One rollout as it stands in the store."""

    name: str
    text: str
    """The spec as written."""
    revision: str
    position: Position
    seq: int
    """Number of the last ledger entry."""
    rollout: Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is recorded of one rollout but its facts, for those who check it."""

    name: str
    entries: Sequence[str | bytes]
    """The ledger as it is stored."""
    head: ledger.Head
    """Where the ledger should end, by what is kept outside it."""
    seals: Sequence[str | bytes]
    seals_head: int
    specs: Mapping[str, str]
    """The text of each revision."""


class Store:
    """The state of every rollout under one data directory. Safe to share between threads and processes."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.path = data / FILE
        self._sign = signing.from_environment()
        self._parsed: dict[str, Rollout] = {}
        self._glance = Glance(self.path)
        self._engine = tables.engine(self.path, "FULL")
        self._light = tables.engine(self.path, "NORMAL")
        with self._writing() as connection:
            tables.TABLES.create_all(connection)
            for name in ("changes", "beats", "seals"):
                connection.execute(
                    sa.text("INSERT OR IGNORE INTO counters (name, value) VALUES (:name, 0)"), {"name": name}
                )

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        self._light.dispose()

    # -- specs and positions ---------------------------------------------------------------------

    def add(self, text: str, rollout: Rollout, at: float) -> Stored:
        """Record a spec: a new rollout is pending, the same text is a no-op, a changed text is a new revision.

        A revision keeps the position; StoreError when the position does not fit the new stages, or when the
        revision would change who is compared with whom.
        """
        name = rollout.name
        with self._writing() as connection:
            row = connection.execute(sa.select(tables.rollouts).where(tables.rollouts.c.name == name)).one_or_none()
            if row is not None and row.revision == rollout.revision:
                return self._stored(connection, row)
            position = Position() if row is None else self._position(row)
            if row is not None:
                check_revision(self._rollout(connection, name, row.revision), rollout, position)
            last = self._last(connection, name)
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
                    sentence="Recorded the spec." if row is None else "Recorded a changed spec as a new revision.",
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
                sa.insert(tables.parsed)
                .prefix_with("OR REPLACE")
                .values(rollout=name, revision=rollout.revision, record=packed(rollout))
            )
            self._parsed[rollout.revision] = rollout
            self._put(connection, entry, position, new=row is None)
        return Stored(name=name, text=text, revision=rollout.revision, position=position, seq=entry.n, rollout=rollout)

    def rollouts(self) -> list[Stored]:
        """Every rollout, by name."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(tables.rollouts).order_by(tables.rollouts.c.name)).all()
            return [self._stored(connection, row) for row in rows]

    def get(self, name: str) -> Stored:
        """The rollout of that name. Raises UnknownRollout."""
        with self._reading() as connection:
            return self._stored(connection, self._row(connection, name))

    def spec(self, name: str, revision: str) -> str:
        """The text of a revision, the present one or an earlier one. Raises StoreError."""
        with self._reading() as connection:
            return self._text(connection, name, revision)

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
    ) -> Entry:
        """Make a move: check it, write it to the ledger and take the new position, all or nothing.

        `actor` is `rule` or a person. Raises IllegalMove, StaleDecision (when `expect_seq` is not the last entry
        any more), UnknownRollout.
        """
        with self._writing() as connection:
            row = self._row(connection, name)
            if expect_seq is not None and expect_seq != row.seq:
                raise StaleDecision(name, expect_seq, row.seq)
            before = self._position(row)
            rollout = self._rollout(connection, name, row.revision)
            after = state.apply(rollout, before, move, at, actor=actor)
            return self._decided(
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
            )

    def note(
        self,
        name: str,
        *,
        actor: str,
        rule: str,
        sentence: str,
        at: float,
        change: Callable[[Rollout, Position], Position],
    ) -> Entry:
        """Write to the ledger what is no move and changes the position all the same, all or nothing.

        Raises UnknownRollout, and what `change` raises.
        """
        with self._writing() as connection:
            row = self._row(connection, name)
            after = change(self._rollout(connection, name, row.revision), self._position(row))
            return self._decided(connection, row, after, at=at, rule=rule, move=None, actor=actor, sentence=sentence)

    def entries(self, name: str) -> list[Entry]:
        """The rollout's ledger, oldest first. Raises UnknownRollout."""
        with self._reading() as connection:
            self._row(connection, name)
            rows = connection.execute(
                sa.select(tables.ledger.c.entry).where(tables.ledger.c.rollout == name).order_by(tables.ledger.c.n)
            ).scalars()
            try:
                return [Entry.from_json(json.loads(text)) for text in rows]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise StoreError(
                    f"the ledger of {name} in {self.path} holds an entry that cannot be read: {error}"
                ) from error

    def head(self, name: str) -> ledger.Head:
        """Where the rollout's ledger should end, by what is kept outside it. Raises UnknownRollout, StoreError."""
        with self._reading() as connection:
            row = self._row(connection, name)
            return ledger.Head(row.seq, self._position(row).to_json())

    # -- which facts there are -------------------------------------------------------------------

    def seal(self, seal: Seal, after: int) -> Sealed:
        """Put a seal at the end of the chain of this data folder, which should be number `after`. Raises StaleSeal."""
        with self._writing() as connection:
            newest = sa.select(tables.seals.c.seal).order_by(tables.seals.c.n.desc()).limit(1)
            text = connection.execute(newest).scalar_one_or_none()
            try:
                last = None if text is None else Sealed.from_json(json.loads(text))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise StoreError(f"the last seal in {self.path} cannot be read: {error!r}") from error
            if (last.n if last else 0) != after:
                raise StaleSeal(f"the seals of {self.path} have been gone on with by another controller")
            sealed = ledger.append_seal(last, seal, self._sign)
            text = ledger.canonical(sealed.to_json()).decode()
            connection.execute(tables.seals.insert().values(n=sealed.n, seal=text))
            counter = sa.update(tables.counters).where(tables.counters.c.name == "seals")
            connection.execute(counter.values(value=sealed.n))
            return sealed

    def seals(self) -> list[str]:
        """The chain of seals as it is stored."""
        with self._reading() as connection:
            return list(connection.execute(sa.select(tables.seals.c.seal).order_by(tables.seals.c.n)).scalars())

    def told(self, name: str) -> Told:
        """All that is recorded of a rollout, as it is stored and at one moment. Raises UnknownRollout, StoreError."""
        with self._reading() as connection:
            row = self._row(connection, name)
            ledger_of = sa.select(tables.ledger.c.entry).where(tables.ledger.c.rollout == name)
            seals = sa.select(tables.seals.c.seal).order_by(tables.seals.c.n)
            count = sa.select(tables.counters.c.value).where(tables.counters.c.name == "seals")
            specs = sa.select(tables.specs.c.revision, tables.specs.c.text).where(tables.specs.c.rollout == name)
            return Told(
                name=name,
                entries=list(connection.execute(ledger_of.order_by(tables.ledger.c.n)).scalars()),
                head=ledger.Head(row.seq, self._position(row).to_json()),
                seals=list(connection.execute(seals).scalars()),
                seals_head=int(connection.execute(count).scalar_one()),
                specs={row.revision: row.text for row in connection.execute(specs)},
            )

    # -- what people look at ---------------------------------------------------------------------

    def save_view(self, name: str, record: Mapping[str, Any]) -> None:
        """Keep the latest view of a rollout; it may be lost in a power cut, never torn."""
        text = json.dumps(ledger.plain(record), separators=(",", ":"))
        with self._writing(light=True) as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO views (name, record) VALUES (:name, :record)"
                    " ON CONFLICT (name) DO UPDATE SET record = excluded.record"
                ),
                {"name": name, "record": text},
            )

    def view(self, name: str) -> dict[str, Any] | None:
        """The latest view, or None before the first."""
        with self._reading() as connection:
            text = connection.execute(
                sa.select(tables.views.c.record).where(tables.views.c.name == name)
            ).scalar_one_or_none()
        try:
            return None if text is None else dict(json.loads(text))
        except (ValueError, TypeError):
            # It is made anew at the controller's next look; the ledger and the position say the rest.
            return None

    # -- counters that are polled ----------------------------------------------------------------

    def beat(self) -> None:
        """The controller is alive: advance the heartbeat (not flushed to disk; it need not outlive the machine)."""
        with self._writing(light=True) as connection:
            connection.execute(
                sa.update(tables.counters)
                .where(tables.counters.c.name == "beats")
                .values(value=tables.counters.c.value + 1)
            )

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive. Cheap."""
        return self._glance.heartbeat()

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, in any process. Cheap."""
        return self._glance.version()

    # -- inside a transaction --------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot read {self.path}: {tables.cause(error)}") from error

    @contextmanager
    def _writing(self, *, light: bool = False) -> Iterator[Connection]:
        engine = self._light if light else self._engine
        try:
            with engine.connect().execution_options(crossfade_begin="IMMEDIATE") as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot write {self.path}: {tables.cause(error)}") from error

    def _row(self, connection: Connection, name: str) -> sa.Row[Any]:
        row = connection.execute(sa.select(tables.rollouts).where(tables.rollouts.c.name == name)).one_or_none()
        if row is None:
            known = (
                connection.execute(sa.select(tables.rollouts.c.name).order_by(tables.rollouts.c.name)).scalars().all()
            )
            raise UnknownRollout(name, known)
        return row

    def _stored(self, connection: Connection, row: sa.Row[Any]) -> Stored:
        return Stored(
            name=row.name,
            text=self._text(connection, row.name, row.revision),
            revision=row.revision,
            position=self._position(row),
            seq=row.seq,
            rollout=self._rollout(connection, row.name, row.revision),
        )

    def _position(self, row: sa.Row[Any]) -> Position:
        try:
            return Position.from_json(json.loads(row.position))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"the position of {row.name} in {self.path} cannot be read: {error!r}") from error

    def _text(self, connection: Connection, name: str, revision: str) -> str:
        wanted = sa.select(tables.specs.c.text).where(
            tables.specs.c.rollout == name, tables.specs.c.revision == revision
        )
        text = connection.execute(wanted).scalar_one_or_none()
        if text is None:
            raise StoreError(f"{self.path} has no revision {revision} of {name}")
        return str(text)

    def _rollout(self, connection: Connection, name: str, revision: str) -> Rollout:
        rollout = self._parsed.get(revision)
        if rollout is None:
            from crossfade.spec.parse import parse

            rollout = self._parsed[revision] = parse(self._text(connection, name, revision))
        return rollout

    def _last(self, connection: Connection, name: str) -> Entry | None:
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
            raise StoreError(f"the last ledger entry of {name} in {self.path} cannot be read: {error!r}") from error

    def _decided(
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
    ) -> Entry:
        """Write the next entry, and the position that it leads to."""
        last = self._last(connection, row.name)
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
                software=software(),
            ),
            self._sign,
        )
        self._put(connection, entry, after, new=False)
        return entry

    def _put(self, connection: Connection, entry: Entry, position: Position, *, new: bool) -> None:
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
