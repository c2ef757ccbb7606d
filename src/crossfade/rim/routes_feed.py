"""Keeps a gateway's routes as the store has them, and takes exposure away when the controller falls silent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from crossfade.live.routes import Route, RouteTable, champion_only, routes
from crossfade.rim.route_holders import holders
from crossfade.rim.secrets import SecretError
from crossfade.spec.model import Rollout
from crossfade.state import Position

log = logging.getLogger("crossfade.gateway")

INTERVAL = 0.1
"""Seconds between two looks at the store."""


class Stands(Protocol):
    """A rollout and where it stands."""

    @property
    def rollout(self) -> Rollout:
        """The parsed spec."""
        ...

    @property
    def position(self) -> Position:
        """Where it stands."""
        ...


class Store(Protocol):
    """What the feed reads."""

    def version(self) -> int:
        """Changes whenever a position or a spec does."""
        ...

    def heartbeat(self) -> int:
        """Moves while a controller is alive."""
        ...

    def stopped(self) -> frozenset[str]:
        """Rollouts that somebody has ordered to be stopped at once."""
        ...

    def rollouts(self) -> Sequence[Stands]:
        """Every rollout."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as it is told of something new."""
        ...


@dataclass(frozen=True, slots=True)
class Update:
    """What has changed since the last look."""

    table: RouteTable | None
    """New routes; None when they are as before."""
    lease: bool | None
    """The lease was regained (True) or has run out (False); None when it is as before."""


NOTHING_NEW = Update(None, None)


def no_key(rollout: Rollout) -> bytes:
    """For those who have no keys: units that want one are not recorded."""
    return b""


class Feed(Protocol):
    """A source of routes for a gateway."""

    def start(self, adopt: Callable[[Update], None]) -> None:
        """Begin; `adopt` may be called from any thread."""
        ...

    def stop(self) -> None:
        """End; `adopt` is not called any more."""
        ...


class FixedRoutes:
    """Routes that never change: for programs that hold a table themselves."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    def start(self, adopt: Callable[[Update], None]) -> None:
        """Hand over the table."""
        adopt(Update(self._table, None))

    def stop(self) -> None:
        """Nothing to end."""


Pick = Callable[[Sequence[Stands]], Iterable[Stands]]
"""Of which rollouts routes are made."""


class StoreWatch:
    """One look at a time: what a store says, turned into routes that may be acted on. Time is an argument."""

    def __init__(
        self,
        store: Store,
        healthy: Callable[[], bool],
        only: str = "",
        key: Callable[[Rollout], bytes] = no_key,
        pick: Pick | None = None,
    ) -> None:
        self._store = store
        self._key = key
        self._healthy = healthy
        self._only = only
        self._pick = pick or self._served
        self._version: int | None = None
        self._beat: int | None = None
        self._moved = float("-inf")
        self._routes: tuple[Route, ...] = ()
        self._allowed: tuple[bool, ...] | None = None
        self._stopped: frozenset[str] = frozenset()
        self._held = False
        self._complaint = ""

    def look(self, now: float) -> Update:
        """What is new at `now` (seconds on a monotonic clock). Never raises.

        The lease begins with the first heartbeat seen to move: a gateway that starts while no controller lives
        exposes nobody. Whatever the store cannot tell leaves the routes as they are, and the lease to run out.
        """
        fresh = False
        try:
            # Before the version: an order is taken away once the position has changed.
            self._stopped = self._store.stopped()
            beat = self._store.heartbeat()
            if self._beat is not None and beat != self._beat:
                self._moved = now
            self._beat = beat
            version = self._store.version()
            if version != self._version:
                self._routes = tuple(self._route(one) for one in self._pick(self._store.rollouts()))
                self._version = version
                fresh = True
            self._complaint = ""
        except Exception as error:
            # Locked, missing, half-written: the champion's users do not care, and the lease guards the others.
            self._complain(f"{type(error).__name__}: {error}")
        healthy = self._healthy()
        allowed = tuple(
            healthy
            and now - self._moved <= route.lease
            and route.rollout not in self._stopped
            and not (route.pseudonyms and not route.key)
            for route in self._routes
        )
        held = now - self._moved <= min((route.lease for route in self._routes), default=10.0)
        lease = held if held is not self._held else None
        self._held = held
        if not fresh and allowed == self._allowed:
            return Update(None, lease)
        self._allowed = allowed
        acted = (route if may else champion_only(route) for route, may in zip(self._routes, allowed, strict=True))
        return Update(RouteTable.of(acted), lease)

    def _route(self, one: Stands) -> Route:
        route = routes(one.rollout, one.position)
        if not route.pseudonyms:
            return route
        try:
            return replace(route, key=self._key(one.rollout))
        except SecretError as error:
            log.error("nobody new is exposed by %s: %s", route.rollout, error)
            return route

    def _served(self, stored: Sequence[Stands]) -> Iterable[Stands]:
        return holders(one for one in stored if self._ours(one.rollout))

    def _ours(self, rollout: Rollout) -> bool:
        """A gateway serves what can be called over HTTP and nobody else carries; a program the one it has opened."""
        return rollout.name == self._only if self._only else not rollout.in_process and rollout.router is None

    def _complain(self, error: str) -> None:
        if error != self._complaint:
            self._complaint = error
            log.warning("the store cannot be read, routes stay as they are: %s", error)


class RoutesFeed:
    """A thread that looks at the store every 100 ms; `only` names the one rollout of a program, `pick` chooses others
    than those that a gateway serves."""

    def __init__(
        self,
        store: Store,
        healthy: Callable[[], bool],
        *,
        only: str = "",
        interval: float = INTERVAL,
        key: Callable[[Rollout], bytes] = no_key,
        pick: Pick | None = None,
    ) -> None:
        self._store = store
        self._watch = StoreWatch(store, healthy, only, key, pick)
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, adopt: Callable[[Update], None]) -> None:
        """Look once now, then go on in a thread."""
        adopt(self._watch.look(time.monotonic()))
        self._thread = threading.Thread(target=self._run, args=(adopt,), name="routes-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self, adopt: Callable[[Update], None]) -> None:
        while not self._stop.is_set():
            self._store.wait(self._interval)
            update = self._watch.look(time.monotonic())
            if update != NOTHING_NEW and not self._stop.is_set():
                adopt(update)
