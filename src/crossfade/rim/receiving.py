"""Journals of other hosts, put together again on the controller's from what they sent to the lake's object store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from crossfade.rim import batches, parcels
from crossfade.rim.batches import JournalError
from crossfade.rim.lake_place import Place
from crossfade.rim.parcels import PLACE, Parcel

AT_ONCE = 200
"""Parcels taken in one turn, so that a look is not kept waiting for ever after an outage."""


class Received:
    """The journals of other hosts below a data folder, with the identities and row numbers that they have there.

    So the tables say of each row whether they have it, whichever controller moves it.
    """

    def __init__(self, data: Path) -> None:
        self._data, self._place = data, Place(data)
        self._open: dict[str, sqlite3.Connection] = {}
        self._unpacked: set[Parcel] = set()

    def turn(self) -> None:
        """Unpack what has come. Raises LakeError, JournalError."""
        if self._place.url is None:
            return
        waiting = sorted({parcel for name in self._place.names(PLACE) if (parcel := parcels.parcel(name)) is not None})
        self._unpacked &= set(waiting)
        for parcel in [one for one in waiting if one not in self._unpacked][:AT_ONCE]:
            self._unpack(parcel)
            self._unpacked.add(parcel)

    def done(self, moved: Callable[[Path], int]) -> None:
        """Delete parcels that are in the tables whole: `moved` says up to which row those have a journal."""
        for parcel in sorted(self._unpacked):
            if parcel.last <= moved(self._path(parcel.journal)):
                self._place.remove(PLACE, parcel.name)
                self._unpacked.discard(parcel)

    def close(self) -> None:
        """Let go of the journals."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _path(self, journal: str) -> Path:
        return self._data / batches.FOLDER / f"{journal}.db"

    def _unpack(self, parcel: Parcel) -> None:
        rows = parcels.unpacked(parcel.name, self._place.read(PLACE, parcel.name))
        try:
            batches.add(self._journal(parcel.journal), rows)
        except sqlite3.Error as error:
            raise JournalError(f"cannot write {self._path(parcel.journal)}: {error}") from error

    def _journal(self, journal: str) -> sqlite3.Connection:
        if journal not in self._open:
            self._open[journal] = batches.connect(self._path(journal), named=journal.rpartition("-")[2])
        return self._open[journal]
