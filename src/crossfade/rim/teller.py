"""Tells others what the ledgers say, from threads of its own: no endpoint, however dead, makes the controller wait."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crossfade.ledger import kind_of
from crossfade.rim import registry
from crossfade.rim.channels import Undelivered, deliver
from crossfade.rim.notices import Notice, of_entry, of_faults, of_wanted, wanted
from crossfade.rim.outbox import Outbox, Told
from crossfade.rim.secrets import SecretError
from crossfade.rim.store import Store, Stored, StoreError
from crossfade.spec.model import Channel, Notify, Rollout
from crossfade.view import refreshed

log = logging.getLogger("crossfade.controller")

LOOK = 0.5
"""Seconds between looks at the ledgers."""

AT_ONCE = 8
"""Endpoints that may be waited for at a time."""

FAULTS_EVERY = 60.0
"""Seconds between two notices of faults."""

FAULTS, APPROVAL = "#faults", "#approval"
"""What is told beside the ledger has cursors of its own: a count of faults, and since when an approval is wanted."""

REGISTRY = "registry"


def named(rollout: Rollout) -> list[tuple[str, Notify]]:
    """Whom a rollout tells, each under a name that holds no secret and stays while what is written of it does."""
    found = []
    for notify in rollout.notify:
        digest = hashlib.sha256(repr(sorted(asdict(notify).items())).encode()).hexdigest()[:8]
        found.append((f"{notify.channel} {where(notify)} {digest}", notify))
    return found


def where(notify: Notify) -> str:
    """Where it goes, without what could be a secret."""
    if notify.channel is Channel.EMAIL:
        return ", ".join(notify.to)
    return notify.url if notify.url.startswith(("env:", "file:")) else urlsplit(notify.url).hostname or ""


class Teller:
    """Tells those whom the rollouts of one data folder name."""

    def __init__(self, data: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._store = Store(data)
        self._outbox = Outbox(data)
        self._clock = clock
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="crossfade-tell")
        self._busy: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crossfade-teller", daemon=True)
        self._faults_at: dict[str, float] = {}

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking; what is under way is not waited for, and told again by who comes next."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            try:
                self.turn()
            except (StoreError, sqlite3.Error) as error:
                log.warning("could not look for what others are to be told: %s", error)
            except Exception:
                log.exception("could not look for what others are to be told")

    def turn(self) -> None:
        """Begin whatever is due."""
        for stored in self._store.rollouts():
            for name, notify in named(stored.rollout):
                self._begin(stored, name, partial(self._tell, stored, notify))
                if not notify.on or "fault" in notify.on:
                    self._begin(stored, name + FAULTS, partial(self._tell_faults, stored, notify))
                if not notify.on or "approval" in notify.on:
                    self._begin(stored, name + APPROVAL, partial(self._tell_wanted, stored, notify))
            if stored.rollout.registry is not None:
                self._begin(stored, REGISTRY, partial(self._follow, stored))

    def _begin(self, stored: Stored, target: str, work: Callable[[Told], Any]) -> None:
        key = (stored.name, target)
        with self._lock:
            if key in self._busy:
                return
        told = self._outbox.get(*key)
        if told is None:
            told = self._outbox.begin(*key, 0 if _beside(target) else self._since(stored))
        if told.not_before > self._clock() or (not _beside(target) and told.cursor >= stored.seq):
            return
        with self._lock:
            self._busy.add(key)

        def run() -> None:
            try:
                work(told)
            except Exception:
                log.exception("could not tell %s of %s", target, stored.name)
            finally:
                with self._lock:
                    self._busy.discard(key)

        self._pool.submit(run)

    def _since(self, stored: Stored) -> int:
        """Who is named first by this revision of the spec is told of what comes after it."""
        first = next((e.n for e in self._store.entries(stored.name) if e.revision == stored.revision), 1)
        return first - 1

    def _tell(self, stored: Stored, notify: Notify, told: Told) -> None:
        """Everything that is new, one after the other, up to the first that does not get through."""
        for entry in self._store.entries(stored.name)[told.cursor :]:
            notice = of_entry(entry)
            if notice is None or not wanted(notify, notice):
                self._outbox.skipped(told, entry.n)
            elif not self._sent(notify, notice, told, entry.n):
                return
            told = self._outbox.get(told.rollout, told.target) or told

    def _tell_faults(self, stored: Stored, notify: Notify, told: Told) -> None:
        now = self._clock()
        if now - self._faults_at.get(told.target, 0.0) < FAULTS_EVERY:
            return
        view = self._store.view(stored.name) or {}
        count = int(view.get("counts", {}).get("faults") or 0)
        if count < told.cursor:
            # A stage of its own counts from zero again.
            self._outbox.skipped(told, count)
        elif count > told.cursor:
            self._faults_at[told.target] = now
            self._sent(notify, of_faults(stored.name, told.cursor, count, now), told, count)

    def _tell_wanted(self, stored: Stored, notify: Notify, told: Told) -> None:
        """Once that approval is waited for, and once more when one of several was given."""
        if not any(stage.approve for stage in stored.rollout.stages):
            return
        saved = self._store.view(stored.name)
        if saved is None or saved.get("revision") != stored.revision:
            return
        now, entries = self._clock(), self._store.entries(stored.name)
        n = max((e.n for e in entries if e.move or kind_of(e) in ("revision", "approve")), default=0)
        # A record that was saved before the last of these may wait for what has been given since.
        view = refreshed(saved, stored.rollout, stored.position, entries, now=now)
        notice = of_wanted(stored.name, view, n, now)
        if n > told.cursor and notice is not None:
            self._sent(notify, notice, told, n)

    def _sent(self, notify: Notify, notice: Notice, told: Told, cursor: int) -> bool:
        now = self._clock()
        try:
            deliver(notify, notice, now=now)
        except (Undelivered, SecretError) as error:
            log.warning("%s was not told of %s: %s", told.target, notice.id, error)
            self._outbox.failed(told, cursor, str(error), now)
            return False
        self._outbox.delivered(told, cursor)
        return True

    def _follow(self, stored: Stored, told: Told) -> None:
        now = self._clock()
        try:
            registry.follow(self._store, stored, now)
        except (Undelivered, SecretError) as error:
            log.warning("the registry does not follow %s: %s", stored.name, error)
            self._outbox.failed(told, told.cursor, str(error), now, for_ever=True)
        else:
            self._outbox.delivered(told, stored.seq)


def _beside(target: str) -> bool:
    return target.endswith((FAULTS, APPROVAL))


def standing(data: Path, rollout: Rollout, seq: int) -> list[dict[str, Any]]:
    """How those stand whom a rollout tells, for the page."""
    if not rollout.notify and rollout.registry is None:
        return []
    outbox = Outbox(data)
    known = {one.target: one for one in outbox.all(rollout.name)}
    found = [(name, _line(known, name, seq)) for name, _ in named(rollout)]
    if rollout.registry is not None:
        found.append((REGISTRY, _line(known, REGISTRY, seq)))
    return [{"target": name.rpartition(" ")[0] or name, **line} for name, line in found]


def _line(known: dict[str, Told], name: str, seq: int) -> dict[str, Any]:
    parts: Sequence[Told] = [one for target, one in known.items() if target in (name, name + FAULTS, name + APPROVAL)]
    failing = next((one for one in parts if one.error), None)
    main = known.get(name)
    return {
        "delivered": sum(one.delivered for one in parts),
        "waiting": max(0, seq - main.cursor) if main is not None else None,
        "given_up": sum(one.given_up for one in parts),
        "failing_since": failing.failing_since if failing else None,
        "error": failing.error if failing else "",
    }
