"""What the store asks of the database that holds it: reads that see one moment, writes that are alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade.rim import store_layout
from crossfade.rim import store_tables as tables
from crossfade.rim.revisions import StoreError
from crossfade.rim.stop_orders import Order
from crossfade.rim.store_address import server
from crossfade.rim.store_layout import Step
from crossfade.rim.stored import Deposed


class Place(Protocol):
    """One database. Safe to share between threads and processes."""

    said: str
    """What messages call it."""
    term: int | None
    """The leadership in which everything is written from now on; None for people, who need none."""

    def made(self) -> bool:
        """Whether it is laid out as this program needs it. Only who finds that it is not has to write, and to wait for
        other writers. Raises StoreError, TooNew."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """One moment of the store. Raises StoreError."""
        ...

    def writing(self, *, light: bool = False, unfenced: bool = False) -> AbstractContextManager[Connection]:
        """One change, all or nothing; `light` ones may be lost in a power cut. Raises StoreError, Deposed."""
        ...

    def heartbeat(self) -> int:
        """A number that moves while the controller is alive. Cheap."""
        ...

    def version(self) -> int:
        """A number that changes with every change of a spec or a position. Cheap."""
        ...

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once. Cheap."""
        ...

    def order(self, name: str) -> Order | None:
        """An order to stop as it was given; None where it is gone or was damaged."""
        ...

    def order_done(self, name: str) -> None:
        """Take an order away that the ledger has."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def place(data: Path, busy: float | None = None) -> Place:
    """Where the store of a data folder is. `busy`: seconds to wait for another writer; some if left out."""
    address = server()
    if address is None:
        from crossfade.rim.store_file import StoreFile

        return StoreFile(data, busy)
    from crossfade.rim.store_server import StoreServer

    return StoreServer(address, data, busy)


def make(of: Place) -> list[Step]:
    """Lay the store out as this program needs it, unless it is; the steps that this took. Raises StoreError."""
    try:
        with of.writing(unfenced=True) as connection:
            return store_layout.migrate(connection, of.said)
    except store_layout.TooNew:
        raise
    except StoreError as error:
        if any(words in str(error) for words in store_layout.NO_RIGHT):
            raise store_layout.refused(of.said, error) from error
        raise


def fence(connection: Connection, term: int | None) -> None:
    """Raises Deposed when another leadership than this has begun."""
    if term is None:
        return
    leads = connection.execute(sa.select(tables.leader.c.term, tables.leader.c.held)).one_or_none()
    if leads is None or tuple(leads) != (term, 1):
        raise Deposed(term)


def cause(error: SQLAlchemyError) -> str:
    """What the database itself said, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
