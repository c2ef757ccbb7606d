"""The file of the store: how its transactions begin and end, and what is said when it cannot be read or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade.rim import store_tables as tables
from crossfade.rim.revisions import StoreError
from crossfade.rim.stored import Deposed


class StoreFile:
    """Transactions on one SQLite file. Safe to share between threads and processes."""

    def __init__(self, path: Path, busy: float | None = None) -> None:
        """`busy`: seconds to wait for another writer."""
        self.path = path
        self.term: int | None = None
        """The leadership in which everything is written from now on; None for people, who need none."""
        self._engine = tables.engine(path, "FULL", busy)
        self._light = tables.engine(path, "NORMAL", busy)

    def made(self) -> bool:
        """Whether all tables are there. Only who finds one missing has to write, and to wait for other writers."""
        if not self.path.exists():
            return False
        with self.reading() as connection:
            if set(tables.TABLES.tables) - set(sa.inspect(connection).get_table_names()):
                return False
            return set(tables.COUNTERS) <= set(connection.execute(sa.select(tables.counters.c.name)).scalars())

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
            raise StoreError(f"cannot read {self.path}: {tables.cause(error)}") from error

    @contextmanager
    def writing(self, *, light: bool = False, unfenced: bool = False) -> Iterator[Connection]:
        """One change, all or nothing; `light` ones may be lost in a power cut. Raises StoreError, Deposed."""
        engine = self._light if light else self._engine
        try:
            with engine.connect().execution_options(crossfade_begin="IMMEDIATE") as connection, connection.begin():
                if self.term is not None and not unfenced:
                    leads = connection.execute(sa.select(tables.leader.c.term, tables.leader.c.held)).one_or_none()
                    if leads is None or tuple(leads) != (self.term, 1):
                        raise Deposed(self.term)
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"cannot write {self.path}: {tables.cause(error)}") from error
