"""What a host without a controller does with its journals: each batch goes to the lake's object store, once it is there
from the disk."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from crossfade.rim import batches, parcels
from crossfade.rim.batches import JournalError
from crossfade.rim.lake_place import LakeError, Place

log = logging.getLogger("crossfade.shipping")

EVERY = 0.5
"""Seconds between two looks at the journals."""

MOST_BYTES = 8_000_000
"""Of one parcel; what has piled up goes in several."""


@dataclass(slots=True)
class _Journal:
    connection: sqlite3.Connection
    name: str


class Shipper:
    """Sends what is new in the journals of a data folder. One for each folder."""

    def __init__(self, data: Path) -> None:
        self._data, self._place = data, Place(data)
        self._open: dict[Path, _Journal] = {}

    def turn(self) -> int:
        """Send what is there: how many batches. Raises LakeError, JournalError; what was not sent stays where it is."""
        return sum(self._ship(path) for path in batches.journals(self._data))

    def close(self) -> None:
        """Let go of the journals."""
        for journal in self._open.values():
            journal.connection.close()
        self._open.clear()

    def _ship(self, path: Path) -> int:
        sent = 0
        try:
            journal = self._journal(path)
            while rows := batches.raw(journal.connection, 0, MOST_BYTES):
                parcel = parcels.Parcel(journal.name, rows[0].id, rows[-1].id)
                self._place.write(parcels.PLACE, parcel.name, parcels.packed(rows))
                # Killed before this, the rows are sent again, under the same numbers.
                journal.connection.execute("DELETE FROM batches WHERE id <= ?", (rows[-1].id,))
                sent += len(rows)
        except sqlite3.Error as error:
            raise JournalError(f"cannot read {path}: {error}") from error
        return sent

    def _journal(self, path: Path) -> _Journal:
        if path not in self._open:
            # Losing a deletion in a power cut only sends rows again.
            connection = batches.connect(path, durable=False)
            self._open[path] = _Journal(connection, f"{path.stem}-{batches.identity(connection)}")
        return self._open[path]


def run(data: Path) -> None:
    """Ship until SIGTERM or SIGINT, and then what is left; for a process of its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    shipper, complaint, last = Shipper(data), "", False
    while not last:
        last = stop.wait(EVERY)
        try:
            shipper.turn()
            complaint = ""
        except (LakeError, JournalError) as error:
            if str(error) != complaint:
                log.warning("facts stay on this host until they can be sent: %s", error)
                complaint = str(error)
    shipper.close()
