"""The store as one SQLite file below the data folder: how its transactions begin and end, and what is said when not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade.rim import stop_orders, store_layout
from crossfade.rim.glance import BUSY_SECONDS, Glance
from crossfade.rim.revisions import StoreError
from crossfade.rim.store_address import FILE
from crossfade.rim.store_place import cause, fence


class StoreFile:
    """Transactions on one SQLite file. Safe to share between threads and processes."""

    def __init__(self, data: Path, busy: float | None = None) -> None:
        """`busy`: seconds to wait for another writer."""
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._data, self._path = data, data / FILE
        self.said = str(self._path)
        self.term: int | None = None
        self._glance = Glance(self._path)
        self._engine = _engine(self._path, "FULL", busy)
        self._light = _engine(self._path, "NORMAL", busy)

    def made(self) -> bool:
        """Whether it is laid out as this program needs it. Raises StoreError, TooNew."""
        if not self._path.exists():
            return False
        with self.reading() as connection:
            return store_layout.present(connection, self.said) == store_layout.NEWEST

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        self._light.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the file. Raises StoreError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot read {self.said}: {cause(error)}") from error

    @contextmanager
    def writing(self, *, light: bool = False, unfenced: bool = False) -> Iterator[Connection]:
        """One change, all or nothing; `light` ones may be lost in a power cut. Raises StoreError, Deposed."""
        engine = self._light if light else self._engine
        try:
            with engine.connect().execution_options(crossfade_begin="IMMEDIATE") as connection, connection.begin():
                if not unfenced:
                    fence(connection, self.term)
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot write {self.said}: {cause(error)}") from error

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive."""
        return self._glance.heartbeat()

    def version(self) -> int:
        """A number that changes with every change of a spec or a position, in any process."""
        return self._glance.version()

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once."""
        return self._glance.stopped()

    def order(self, name: str) -> stop_orders.Order | None:
        """An order to stop as it was given."""
        return stop_orders.read(self._data, name)

    def order_done(self, name: str) -> None:
        """Take an order away that the ledger has."""
        stop_orders.done(self._data, name)


def _engine(path: Path, synchronous: str, busy: float | None = None) -> sa.Engine:
    """Connections to the file in WAL mode; a transaction begins as its `crossfade_begin` option says.

    `busy`: seconds that one waits for another process's.
    """
    timeout = BUSY_SECONDS if busy is None else busy
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": timeout})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would start transactions late and upgrade them, which can deadlock.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get("crossfade_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {how}")

    return engine
