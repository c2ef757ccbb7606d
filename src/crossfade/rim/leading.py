"""How one of several controllers comes to lead, stays known to be alive, and steps back when another leads.

A leader is known to live by a counter that a thread of its own moves, so that a long look at many facts is not taken
for death; the thread stops when a look takes so long that nobody would call it life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from crossfade.rim import holder
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_leader import Deposed, Leader
from crossfade.state import ENDED, RULE, Phase

log = logging.getLogger("crossfade.controller")

EVERY = 0.5
"""Seconds between a leader's signs of life."""

SILENT = 3.0
"""Seconds without one after which another takes over; with what it takes to do so, less than five."""

DEAF = 1.0
"""Seconds an answer of the store may take to be heard; what was silent during a longer one may have been alive."""

STUCK = 120.0
"""Seconds a look may take before its leader gives itself up for hung."""

TAKEOVER = "takeover"
"""The rule under which the ledger has that another controller leads."""


class Candidate:
    """A controller that does not lead, watching the one that does. Time is an argument."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: for how long the store takes to answer."""
        self._store, self._clock = store, clock
        self._seen: Leader | None = None
        self._since = 0.0
        self._last = ""

    def seek(self, now: float) -> int | None:
        """Lead, if nobody else does: the number of the leadership, or None. `now` is seconds on a monotonic clock.

        What hangs and keeps the store from being written is ended, where that can be done from here.
        """
        asked = self._clock()
        try:
            leader = self._store.leaders.present()
        except StoreError as error:
            log.warning("cannot tell who leads: %s", error)
            self._seen = None
            return None
        if self._clock() - asked > DEAF:
            # Whoever leads could not be heard meanwhile, so its silence counts from the next answer.
            self._seen = None
            return None
        if self._seen is None or (leader.term, leader.renewals, leader.held) != (
            self._seen.term,
            self._seen.renewals,
            self._seen.held,
        ):
            self._seen, self._since = leader, now
        gone = holder.dead(leader.holder)
        silent = now - self._since
        if leader.held and not gone and silent < SILENT:
            return None
        self._last = _why(leader, gone, silent)
        try:
            return self._store.leaders.take(leader, holder.myself())
        except StoreError as error:
            if leader.held and holder.end(leader.holder):
                log.warning("ended the controller that hangs and holds the store (%s)", error)
            return None

    def tell(self, at: float, store: Store) -> None:
        """Put into the ledger of every rollout under way that this controller has taken over, and why.

        One that followed a leader which had let go, as when serving was begun anew, tells nothing. Raises StoreError.
        """
        if self._seen is None or not self._seen.held:
            return
        about = {"term": self._seen.term + 1, "from": dict(self._seen.holder), "to": holder.myself()}
        for stored in store.rollouts():
            if stored.position.phase is not Phase.PENDING and stored.position.phase not in ENDED:
                store.note(stored.name, actor=RULE, rule=TAKEOVER, sentence=self._last, at=at, about=about)

    def clear_the_way(self, free: Callable[[], bool]) -> None:
        """End who led before, where it still holds what only one may and has not let go when asked by silence."""
        if self._seen is None or free():
            return
        time.sleep(0.5)
        if not free() and holder.end(self._seen.holder):
            log.warning("ended the controller that led before and would not let go of the facts")
            time.sleep(0.1)


class Renewal:
    """The signs of life of a leader."""

    def __init__(self, store: Store, term: int, *, every: float = EVERY, stuck: float = STUCK) -> None:
        self._store, self._term, self._every, self._stuck = store, term, every, stuck
        self._alive = time.monotonic()
        self._stop = threading.Event()
        self.lost = threading.Event()
        """Set when another leads."""
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self._thread.start()

    def progress(self) -> None:
        """The leader has begun another look."""
        self._alive = time.monotonic()

    def stop(self) -> None:
        """No more of them."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            if time.monotonic() - self._alive > self._stuck:
                log.error("a look has taken more than %g s: another controller may take over", self._stuck)
                return
            try:
                self._store.leaders.renew(self._term)
            except Deposed:
                self.lost.set()
                return
            except StoreError as error:
                log.warning("could not say that this controller lives: %s", error)


def _why(leader: Leader, gone: bool, silent: float) -> str:
    was = f"process {leader.holder.get('pid', 'unknown')}"
    how = "had died" if gone else f"had not been heard for {silent:.1f} s"
    return f"Another controller took over: the one before ({was}) {how}. No move was made by that."
