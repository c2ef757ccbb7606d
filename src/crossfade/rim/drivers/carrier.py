"""Carries where rollouts stand to the routers that they name, reads back what those do, and goes on until it is so.

It runs in threads of the controller that leads, so that no router, however slow, makes a look at the facts wait. It
acts on moves, orders to stop, and the silence of its own controller (the lease) like a gateway does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from crossfade.live.routes import champion_only, routes
from crossfade.rim.drivers.known import driver_of
from crossfade.rim.drivers.port import Driver, DriverError, Mark, Order, everything_back, order_of, unable
from crossfade.rim.drivers.standing import Standing
from crossfade.rim.drivers.telling import tell
from crossfade.rim.glance_at import glance_at
from crossfade.rim.route_holders import holders
from crossfade.rim.secrets import SecretError
from crossfade.rim.store import Store, Stored, StoreError
from crossfade.rim.stored import Deposed
from crossfade.spec.model import Rollout
from crossfade.state import ENDED, Phase

log = logging.getLogger("crossfade.controller")

LOOK = 0.05
"""Seconds between two looks at the store."""

AGAIN = 1.0
"""Seconds between two looks at a router that does what it was told."""

SETTLES = 2.0
"""Seconds a router has to show what it was just told."""

AT_ONCE = 16
"""Routers that may be waited for at a time."""

QUIET = 60.0
"""Seconds between two entries of the ledger that somebody else had set the router: two who quarrel must not fill it."""

LONGEST = 5.0
"""Seconds between two attempts at most; one second where the router gives more than it should."""

TOLD = (DriverError, SecretError, StoreError)
"""Errors that say in words what is wrong; of any other the log has where it came from."""


@dataclass(slots=True)
class _Work:
    """One rollout and its router."""

    revision: str
    driver: Driver | None = None
    standing: Standing | None = None
    told: str = ""
    """The order of which the ledger has that it is carried."""
    put_right_at: float = float("-inf")
    """When the ledger was last told that somebody else had set the router."""
    busy: bool = False
    not_before: float = 0.0


class Carrier:
    """Carries every rollout of one data folder that names a router."""

    def __init__(
        self,
        data: Path,
        *,
        term: int | None,
        clock: Callable[[], float] = time.time,
        make: Callable[[Rollout], Driver] = driver_of,
    ) -> None:
        self._store = Store(data)
        self._store.lead(term)
        self._glance = glance_at(data)
        self._known: tuple[int, list[Stored]] = (-1, [])
        self._stopped: frozenset[str] = frozenset()
        self._complaint = ""
        self._term, self._clock, self._make = term, clock, make
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="crossfade-carry")
        self._lock = threading.Lock()
        self._work: dict[str, _Work] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crossfade-carrier", daemon=True)
        self._closed = False
        self._seen = (-1, 0.0)
        """The controller's last sign of life, and when it was seen."""

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def standing(self, name: str) -> Standing | None:
        """How a rollout's router stands; None before the first look at it."""
        with self._lock:
            work = self._work.get(name)
            return None if work is None else work.standing

    def close(self, *, back: bool) -> None:
        """Stop, once. With `back` nobody stays exposed whom nobody watches any more: what is not promoted goes back."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if back:
            for stored in self._known[1]:
                if stored.position.phase in (Phase.RUNNING, Phase.HELD):
                    self._back(stored.rollout, self._work.get(stored.name))
        for work in self._work.values():
            if work.driver is not None:
                work.driver.close()
        self._store.close()

    def _back(self, rollout: Rollout, work: _Work | None) -> None:
        """Tell a router to go back to the champion. Whatever is wrong with one keeps none of the others from it."""
        if work is None or work.standing is None:
            return
        try:
            work.driver = work.driver or self._make(rollout)
            work.driver.carry(everything_back(work.standing.order))
        except Exception as error:
            log.error("%s: the router could not be told to go back to the champion: %s", rollout.name, _said(error))

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self.turn()
                except Exception:
                    log.exception("could not look for what routers are to carry")
                self._glance.wait(LOOK)
        finally:
            self._glance.close()

    def turn(self) -> None:
        """Begin whatever is due. What the store cannot tell leaves orders as they are, and the lease to run out."""
        now, complaint = self._clock(), ""
        try:
            self._look(now)
        except StoreError as error:
            complaint = str(error)
        if complaint and complaint != self._complaint:
            log.warning("could not look for what routers are to carry: %s", complaint)
        self._complaint = complaint
        for stored in self._known[1]:
            alive = now - self._seen[1] <= stored.rollout.lease
            self._begin(stored, exposing=alive and stored.name not in self._stopped, now=now)

    def _look(self, now: float) -> None:
        # Before the version: an order is taken away once the position has changed.
        self._stopped = self._glance.stopped()
        beat = self._glance.heartbeat()
        if beat != self._seen[0]:
            self._seen = (beat, now)
        version = self._glance.version()
        if version != self._known[0]:
            self._known = (version, self._carried(self._store.rollouts()))

    def _carried(self, every: Sequence[Stored]) -> list[Stored]:
        """Those whose routers are told: who has each route, and who had it while its own router has not gone back."""
        ours = [one for one in every if not one.rollout.in_process]
        held = {one.rollout.route: one for one in holders(ours)}
        return [
            one
            for one in ours
            if one.rollout.router is not None
            and (held[one.rollout.route] is one or self._left(one, held[one.rollout.route].rollout))
        ]

    def _left(self, stored: Stored, holder: Rollout) -> bool:
        """Whether a rollout that has lost its route may still be served by a router that the next one does not set."""
        if stored.rollout.router == holder.router or stored.position.phase not in ENDED:
            return False
        standing = self.standing(stored.name)
        if standing is None:
            # As an earlier controller has left it.
            shown = (self._store.view(stored.name) or {}).get("router")
            mark = None if shown is None else Mark.read(shown["told"]["mark"])
            return shown is not None and not (shown["agrees"] and mark is not None and mark.mode == "champion")
        return self._asked(stored, standing, exposing=False, now=standing.since) is not standing or not standing.agrees

    def _begin(self, stored: Stored, *, exposing: bool, now: float) -> None:
        work = self._work.get(stored.name)
        if work is None or (work.revision != stored.revision and not work.busy):
            standing = work.standing if work else None
            if work is not None and work.driver is not None:
                work.driver.close()
            with self._lock:
                work = self._work[stored.name] = _Work(revision=stored.revision, standing=standing)
        if work.busy:
            return
        standing = self._asked(stored, work.standing, exposing=exposing, now=now)
        if standing is work.standing and now < work.not_before:
            return
        with self._lock:
            work.standing, work.busy = standing, True
        self._pool.submit(self._one, stored.rollout, work).add_done_callback(partial(_ended, stored.name))

    def _asked(self, stored: Stored, before: Standing | None, *, exposing: bool, now: float) -> Standing:
        """The same standing where the router is asked for what it was before, else a new one."""
        router = stored.rollout.router
        assert router is not None
        route = routes(stored.rollout, stored.position)
        order = order_of(route if exposing else champion_only(route), router, term=self._term or 0, seq=stored.seq)
        cannot = unable(order)
        if cannot:
            order = everything_back(order)
        if before is not None and _same(before.order, order):
            return before
        carried, read_at = (before.carried, before.read_at) if before else (None, None)
        if cannot:
            log.error("%s: %s; the champion serves everyone", stored.name, cannot)
        return Standing(
            order=order,
            carried=carried,
            read_at=read_at,
            cannot=cannot,
            since=now,
            corrected=before.corrected if before else 0,
        )

    def _one(self, rollout: Rollout, work: _Work) -> None:
        before = work.standing
        assert before is not None
        try:
            after = self._followed(rollout, work, before)
        except Exception as error:
            after = self._failed(rollout.name, before, error)
        now = self._clock()
        if after.agrees != before.agrees:
            after = replace(after, since=now)
        work.not_before = now + _pause(after)
        with self._lock:
            work.standing, work.busy = after, False
        put_right = after.corrected > before.corrected and now - work.put_right_at > QUIET
        if after.agrees and (put_right or work.told != str(after.order.mark)):
            work.put_right_at = now if put_right else work.put_right_at
            try:
                tell(self._store, rollout.name, before, after, now)
                work.told = str(after.order.mark)
            except Deposed:
                log.info("another controller leads; the ledger is its to write")
            except StoreError as error:
                log.warning("could not put into the ledger what the router of %s does: %s", rollout.name, error)

    def _followed(self, rollout: Rollout, work: _Work, before: Standing) -> Standing:
        """Look at the router, tell it where it does otherwise, and look again. Raises DriverError and others."""
        if work.driver is None:
            work.driver = self._make(rollout)
        driver, order = work.driver, before.order
        seen = replace(before, carried=driver.read(), read_at=self._clock(), problem="", failures=0)
        if seen.agrees:
            return seen
        if not self._leads(order):
            return replace(seen, problem="another controller leads")
        moved = before.agrees
        if moved:
            log.warning("%s: somebody else has set the router: %s", rollout.name, seen.why())
        driver.carry(order)
        deadline = time.monotonic() + SETTLES
        while True:
            seen = replace(seen, carried=driver.read(), read_at=self._clock(), corrected=before.corrected + moved)
            if seen.agrees or time.monotonic() > deadline or self._stop.is_set():
                return seen
            time.sleep(0.01)

    def _failed(self, name: str, before: Standing, error: Exception) -> Standing:
        said = _said(error)
        if said != before.problem:
            log.warning("%s: %s", name, said, exc_info=None if isinstance(error, TOLD) else error)
        return replace(before, problem=said, failures=before.failures + 1)

    def _leads(self, order: Order) -> bool:
        """Whether the leadership in which this one writes is still the present one. Raises StoreError."""
        if self._term is None:
            return True
        try:
            leader = self._store.leaders.present()
        except StoreError:
            if order.back:
                # The store that is away must keep nobody exposed; what a later leader has said the router refuses.
                return True
            raise
        return leader.held and leader.term == self._term


def _same(one: Order, other: Order) -> bool:
    """Whether two orders make a router do the same, told by the same leadership: a note in the ledger is no order."""
    return one.digest == other.digest and replace(one.mark, seq=0) == replace(other.mark, seq=0)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, TOLD) and str(error) else f"the driver failed: {error!r}"


def _ended(name: str, look: Future[None]) -> None:
    """A look that broke off must not do so in silence: nobody asks a thread of the pool how it went."""
    if not look.cancelled() and (error := look.exception()) is not None:
        log.error("%s: what its router does could not be noted down: %r", name, error, exc_info=error)


def _pause(standing: Standing) -> float:
    """Seconds until the router is looked at again."""
    if standing.agrees:
        return AGAIN
    longest = 1.0 if standing.order.back or standing.above else LONGEST
    return float(min(longest, 0.1 * 2.0 ** min(standing.failures, 8)))
