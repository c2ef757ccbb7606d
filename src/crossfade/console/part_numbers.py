"""What /metrics says of Crossfade's own parts: whether they work, the room on the disk, facts on their way, ledgers."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from crossfade import ledger
from crossfade.rim import batches
from crossfade.rim.exposures.halves import RESULTS
from crossfade.rim.store import Store, StoreError

NO_GATEWAY = "no gateway was started"
"""Said where none should run: of what does not exist it is not told whether it works."""

LOOK_AGAIN = 600.0
"""Seconds after which a ledger that has not grown is verified again."""


class PartSeries:
    """The parts' gauges, read at the moment of the scrape."""

    def __init__(
        self,
        store: Store,
        data: Path,
        checks: Callable[[], Mapping[str, Mapping[str, Any]]],
        events: Callable[[], Mapping[str, int]],
    ) -> None:
        self._store, self._data, self._checks, self._events = store, data, checks, events
        self._verified: dict[str, tuple[int, float, bool]] = {}

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        ready = GaugeMetricFamily(
            "crossfade_part_ready",
            "1 while a part works, as /readyz says: store, controller, gateways.",
            labels=["part"],
        )
        for part, found in self._checks().items():
            if found["reason"] != NO_GATEWAY:
                ready.add_metric([part], float(found["ok"]))
        disk = GaugeMetricFamily(
            "crossfade_disk_bytes", "The file system of the data folder: its size, and what is free.", labels=["which"]
        )
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(self._data)
            disk.add_metric(["size"], usage.total)
            disk.add_metric(["free"], usage.free)
        waiting = GaugeMetricFamily(
            "crossfade_journal_facts",
            "Facts in the journals: those on their way to the lake, and a few batches that have just arrived there.",
            labels=["worker"],
        )
        for path in batches.journals(self._data):
            count = facts_in(path)
            if count is not None:
                waiting.add_metric([path.stem], count)
        intact = GaugeMetricFamily(
            "crossfade_ledger_intact",
            "1 while every entry of a ledger is as it was written; looked at when one is added, and every ten minutes.",
            labels=["rollout"],
        )
        for name, whole in self._intact(time.monotonic()):
            intact.add_metric([name], float(whole))
        told = self._events()
        taken = CounterMetricFamily(
            "crossfade_events",
            "CloudEvents taken in, by what became of them; a request and its reply count once, as exposed.",
            labels=["result"],
        )
        for result in RESULTS if told else ():
            taken.add_metric([result], told.get(result, 0))
        halves = GaugeMetricFamily("crossfade_events_waiting", "Requests and replies that wait for each other.")
        if told:
            halves.add_metric([], told["waiting"])
        return ready, disk, waiting, intact, taken, halves

    def _intact(self, now: float) -> Iterable[tuple[str, bool]]:
        for stored in self._store.rollouts():
            seq, at, whole = self._verified.get(stored.name, (-1, 0.0, True))
            if seq != stored.seq or now - at >= LOOK_AGAIN:
                try:
                    found = ledger.verify(self._store.entries(stored.name), self._store.head(stored.name))
                except StoreError:
                    # An entry that cannot even be read; were it the store, nothing else could be told either.
                    yield stored.name, False
                    continue
                whole = found.intact
                self._verified[stored.name] = (stored.seq, now, whole)
            yield stored.name, whole


def facts_in(path: Path) -> int | None:
    """How many facts a journal holds; None where it cannot be read now."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as open_:
            return int(open_.execute("SELECT total(facts) FROM batches").fetchone()[0])
    except sqlite3.Error:
        return None
