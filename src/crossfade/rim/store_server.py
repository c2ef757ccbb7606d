"""The store in a PostgreSQL that several hosts share: writers take turns, and those who wait for changes are told.

All writers hold one advisory lock for the length of their transaction, so that what was read in it is still so when
it commits, as with one file. The server itself ends a transaction whose owner has stopped in the middle of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade.rim import stop_orders, store_layout
from crossfade.rim import store_tables as tables
from crossfade.rim.glance import BUSY_SECONDS
from crossfade.rim.revisions import StoreError
from crossfade.rim.store_address import spoken
from crossfade.rim.store_place import cause, fence

CHANNEL = "crossfade"
"""Where the server says that something has changed; the message is the schema it changed in."""

IDLE_SECONDS = 3.0
"""How long a transaction may do nothing before the server ends it, so that one who hangs does not keep all others."""

PATIENCE: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How soon a server that has gone is noticed, in seconds (the last in milliseconds)."""

_ALONE = sa.text("SELECT pg_advisory_xact_lock(1129465414, hashtext(current_schema()))")
_TELL = sa.text("SELECT pg_notify(:channel, current_schema())").bindparams(channel=CHANNEL)


class StoreServer:
    """Transactions on one schema of a PostgreSQL: the first of its search path."""

    def __init__(self, address: str, data: Path, busy: float | None = None) -> None:
        """`data`: what this host keeps for itself. `busy`: seconds to wait for another writer."""
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._data = data
        self.said = spoken(address)
        self.term: int | None = None
        self._engine = _engine(address, self.said, BUSY_SECONDS if busy is None else busy)

    def made(self) -> bool:
        """Whether it is laid out as this program needs it. Raises StoreError, TooNew."""
        with self.reading() as connection:
            return store_layout.present(connection, self.said) == store_layout.NEWEST

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the store. Raises StoreError."""
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        except SQLAlchemyError as error:
            raise StoreError(f"cannot read {self.said}: {cause(error)}") from error

    @contextmanager
    def writing(self, *, light: bool = False, unfenced: bool = False) -> Iterator[Connection]:
        """One change, all or nothing; `light` ones may be lost with the server. Raises StoreError, Deposed."""
        with self._changing() as connection:
            connection.execute(_ALONE)
            if light:
                connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
            if not unfenced:
                fence(connection, self.term)
            yield connection
            if not light:
                connection.execute(_TELL)

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive."""
        return self._counter("beats")

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, on any host."""
        return self._counter("changes")

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once, here or on another host."""
        with self.reading() as connection:
            return frozenset(connection.execute(sa.select(tables.stop_orders.c.name)).scalars()) | stop_orders.ordered(
                self._data
            )

    def give(self, order: stop_orders.Order) -> None:
        """Stop a rollout on every host. Waits for nobody who writes. Raises StoreError."""
        text = json.dumps(asdict(order))
        with self._changing() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO stop_orders (name, told) VALUES (:name, :told)"
                    " ON CONFLICT (name) DO UPDATE SET told = excluded.told"
                ),
                {"name": order.name, "told": text},
            )
            connection.execute(_TELL)

    def order(self, name: str) -> stop_orders.Order | None:
        """An order to stop as it was given; None where it is gone or was damaged."""
        with self.reading() as connection:
            wanted = sa.select(tables.stop_orders.c.told).where(tables.stop_orders.c.name == name)
            told = connection.execute(wanted).scalar_one_or_none()
        return stop_orders.parsed(name, told) if told is not None else stop_orders.read(self._data, name)

    def order_done(self, name: str) -> None:
        """Take an order away that the ledger has. Raises StoreError, Deposed."""
        with self.writing() as connection:
            connection.execute(tables.stop_orders.delete().where(tables.stop_orders.c.name == name))
        stop_orders.done(self._data, name)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """One transaction, whoever else writes. Raises StoreError."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot write {self.said}: {cause(error)}") from error

    def _counter(self, name: str) -> int:
        with self.reading() as connection:
            wanted = sa.select(tables.counters.c.value).where(tables.counters.c.name == name)
            return int(connection.execute(wanted).scalar_one())


def _engine(address: str, said: str, busy: float) -> sa.Engine:
    try:
        url = sa.make_url(address).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=dict(PATIENCE), hide_parameters=True)
    except ImportError as error:
        from crossfade.rim.extras import install

        raise StoreError(f"{said} is a PostgreSQL, for which psycopg is needed: {install('postgres')}") from error
    except (SQLAlchemyError, ValueError) as error:
        raise StoreError(f"{said} cannot be reached by its address: {error}") from error

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {int(busy * 1000)}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_SECONDS * 1000)}")
        connection.autocommit = False

    return engine
