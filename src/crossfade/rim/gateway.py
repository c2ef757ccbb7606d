"""The data port: takes clients' connections, finds the route and the arm of each request, and keeps what happened."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from crossfade.facts import Compared, Dropped, Exposed, Fact, Fault, Lease
from crossfade.live import model_names, units
from crossfade.live.assign import assign
from crossfade.live.exchange import Asked, copied, exchange, passing
from crossfade.live.exchange.messages import Compare
from crossfade.live.exchange.mirrored import compared
from crossfade.live.interleave import PLANNED
from crossfade.live.model_list import public_names
from crossfade.live.pages import Turned, turned
from crossfade.live.routes import Route, RouteTable, champion_only, recorded, taken, unmirrored
from crossfade.rim import logs
from crossfade.rim.comparing import Comparing
from crossfade.rim.health import Health
from crossfade.rim.http_request import Request, path_of
from crossfade.rim.http_server import ClientConnection
from crossfade.rim.identity import decision_id
from crossfade.rim.limits import Limits, Refusal
from crossfade.rim.planning import Planning
from crossfade.rim.routes_feed import Update
from crossfade.rim.shadows import Shadows
from crossfade.rim.sketching import Sketching
from crossfade.rim.spending import Spending, at_once
from crossfade.rim.telemetry import Telemetry
from crossfade.rim.timers import Timers
from crossfade.rim.turn import Refused, Turn
from crossfade.rim.upstream import Pool
from crossfade.spec.model import Field, From

if TYPE_CHECKING:
    from crossfade.rim.tracing import Tracing

log = logging.getLogger("crossfade.gateway")

LAST_REQUESTS: Final = 1.0
"""Seconds in which a gateway that was told to stop still takes requests on connections that are open."""

PASSING_DEADLINE: Final = 60.0
"""Seconds for requests outside every route."""

INLINE_COMPARE: Final = 64 * 1024
"""Bytes of answers compared on the event loop; larger ones go to another process."""

MOST_COMPARES: Final = 64
"""Large comparisons waiting for that process."""

MOST_TARGETS: Final = 1000
"""Request targets whose route is remembered."""

LONGEST_TARGET: Final = 512
"""Bytes of a target that is remembered: clients choose them, and none is to fill the memory with them."""

MOST_REFUSALS: Final = 20
"""Different refusals told a second."""

_HEADER: Final = From.HEADER

NOBODY: Final = Refusal(503, "no rollout is served here yet", "start `crossfade serve` with a spec")
BUSY: Final = Refusal(503, "too many requests are being answered", "retry later; --max-in-flight sets how many may be")
CROWDED: Final = Refusal(503, "too many connections", "retry later; --max-connections sets how many may be")


class Recorder(Protocol):
    """Where facts go. Never blocks."""

    @property
    def healthy(self) -> bool:
        """Whether facts reach the disk."""
        ...

    def record(self, fact: Fact) -> None:
        """Keep a fact."""
        ...


class Keeping(Protocol):
    """Where examples of replies that differ go. Never blocks."""

    def offer(self, pair: Compare, fact: Compared) -> None:
        """Keep a pair if it is to be an example."""
        ...


class Gateway:
    """One worker. Everything here runs on its event loop unless it says otherwise."""

    def __init__(self, recorder: Recorder, *, worker: str, limits: Limits | None = None, workers: int = 1) -> None:
        loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.draining = False
        self.worker = worker
        self.table = RouteTable(())
        self._remembered: dict[bytes, Route | None] = {}
        self._remembered_of = self.table
        self.now = time.monotonic
        self.timers = Timers(loop, self.now)
        self.pool = Pool(loop)
        self.shadows = Shadows(loop, most_bytes=self.limits.copy_bytes)
        self.workers = workers
        self.spending = Spending(workers)
        self.health = Health(loop, self.now)
        self.telemetry = Telemetry(worker)
        self._recorder = recorder
        self._loop = loop
        self._connections: set[ClientConnection] = set()
        self._drops: dict[tuple[str, str], int] = {}
        self._faults: dict[tuple[str, str, str], int] = {}
        self.held = 0
        """Bytes of large bodies in memory."""
        self.in_flight = 0
        """Requests being answered."""
        self.access: logs.Access | None = None
        """Where each request is noted, if anywhere."""
        self.tracing: Tracing | None = None
        """Who makes spans of requests, if anybody."""
        self.sketching = Sketching(loop, self.note, worker)
        self.examples: Keeping | None = None
        """Who keeps examples of replies that differ, if anybody."""
        self._refusals: dict[tuple[int, str], int] = {}
        self._failures: dict[tuple[str, str, str], tuple[int, str]] = {}
        self._comparing = 0
        self._large = Comparing()
        self.planning = Planning(loop)

    # -- a request ---------------------------------------------------------------------------------------------------

    def turn(self, connection: ClientConnection, request: Request) -> Turn | Refused:
        """Route, unit, arm: everything that is decided before the request is sent on."""
        if self.in_flight > self.limits.in_flight:
            self.refused(BUSY)
            return Refused(connection, BUSY)
        route = self._route(request.target)
        if route is None:
            return self._elsewhere(connection, request)
        request.protocol = route.protocol
        if request.method == "GET":
            _list_publicly(request, public_names((route,), "GET", request.path))
        if route.dry_run_header:
            _unmark(request, route.dry_run_header)
        if request.upload is not None:
            route = self._without_body(route)
        segments = tuple(_read(field, request) for field in route.segments) if route.segments else ()
        if route.excluded:
            route = taken(route, segments)
        now = time.time()
        decision = decision_id(now)
        unit = decision if route.unit.source is From.REQUEST else _read(route.unit, request)
        searched = _searched(route, request) if route.mode == "interleave" else None
        asked = Asked(
            method=request.method,
            decision_id=decision,
            now=now,
            start=self.now(),
            unit=recorded(route, unit) if route.pseudonyms else unit,
            digest=searched.digest if searched is not None else "",
            segments=segments,
            page=searched.page if searched is not None else None,
        )
        assigned = assign(route, unit)
        challenged = assigned.arm != route.champion.name
        if route.per_day is not None and copied(route, asked, challenged):
            route = self._affordable(route, 1 if challenged else len(route.challengers), now)
        if challenged and searched is not None and searched.page is not None and searched.page.asked_anew:
            request.ask((searched.target, searched.body))
        ejected = challenged and not self.health.admits(route.rollout, assigned.arm)
        served = exchange(route, asked, assigned, ejected=ejected)
        if route.drift is not None:
            served = self.sketching.watch(served, request, route, assigned.arm, unit or decision, decision)
        if self.tracing is not None:
            served = self.tracing.watch(served, request, route, assigned.arm, decision)
        return Turn(self, connection, request, served, route.rollout, decision)

    def _elsewhere(self, connection: ClientConnection, request: Request) -> Turn | Refused:
        """A request outside every route: passed through, and not recorded."""
        upstream = self.table.upstream(request.path)
        if upstream is None:
            return Refused(connection, NOBODY)
        self.telemetry.figures.passed += 1
        for one in self.table.routes:
            if one.dry_run_header:
                _unmark(request, one.dry_run_header)
        if request.method == "GET":
            _list_publicly(request, public_names(self.table.routes, "GET", request.path, upstream.url))
        through = passing(upstream, PASSING_DEADLINE)
        if self.tracing is not None:
            through = self.tracing.watch(through, request, None, "", "")
        return Turn(self, connection, request, through, "", "")

    def _affordable(self, route: Route, copies: int, now: float) -> Route:
        """The route of a request that would be copied, by what was spent on copies today."""
        if self.spending.admits(route, now):
            return route
        self.count_drop(route.rollout, "budget", copies)
        return unmirrored(route)

    def _route(self, target: bytes) -> Route | None:
        """The route of a request target. The same few come again and again, so they are remembered."""
        table = self.table
        if len(target) > LONGEST_TARGET:
            return table.match(path_of(target))
        if table is not self._remembered_of or len(self._remembered) >= MOST_TARGETS:
            self._remembered, self._remembered_of = {}, table
        known = self._remembered
        if target in known:
            return known[target]
        route = known[target] = table.match(path_of(target))
        return route

    def room(self, target: bytes, size: int) -> bool:
        """Whether a body of so many bytes should be held whole: where it may be compared or sent a second time, and
        while there is memory for it. Otherwise it is passed on as it comes."""
        limits = self.limits
        if size <= limits.stream_bytes:
            return self.held <= limits.memory_bytes
        if size > limits.hold_bytes or self.held > limits.memory_bytes:
            return False
        route = self._route(target)
        return route is not None and (route.mode != "champion" or model_names.in_body(route))

    def _without_body(self, route: Route) -> Route:
        """A body that is not held can be neither compared nor sent twice, so its unit stays out of the experiment,
        whatever arm is its own: which bodies are that large does not depend on the arm."""
        self.telemetry.figures.streamed += 1
        if route.mode == "champion":
            return route
        if route.mode == "shadow":
            self.count_drop(route.rollout, "large-body", 1)
        return champion_only(route)

    def note(self, fact: Fact) -> None:
        """Keep a fact and count it."""
        self._recorder.record(fact)
        self.telemetry.count(fact)
        if type(fact) is Exposed:
            self.health.told(fact)
            if fact.failed:
                key = (fact.rollout, fact.arm, fact.reason)
                count, first = self._failures.get(key, (0, fact.decision_id))
                self._failures[key] = (count + 1, first)

    def compare(self, pair: Compare) -> None:
        """Set answers side by side; large ones off the loop, so that nobody waits for it."""
        if pair.size <= INLINE_COMPARE and not (pair.rules and pair.apart) and not pair.swells(INLINE_COMPARE):
            self._keep(pair, compared(pair))
        elif self._comparing >= MOST_COMPARES:
            self.count_drop(pair.rollout, "compare-busy", 1)
        else:
            self._comparing += 1
            asyncio.wrap_future(self._large.submit(pair), loop=self._loop).add_done_callback(
                lambda done: self._compared(pair, done)
            )

    def _keep(self, pair: Compare, fact: Compared) -> None:
        self.note(fact)
        cost = fact.champion_cost if pair.swapped else fact.challenger_cost
        if cost is not None:
            self.spending.cost(fact.rollout, cost, time.time())
        if pair.examples is not None and self.examples is not None:
            self.examples.offer(pair, fact)

    def _compared(self, pair: Compare, done: asyncio.Future[Compared]) -> None:
        self._comparing -= 1
        error = done.exception()
        if error is None:
            self._keep(pair, done.result())
        else:
            self.fault(pair.rollout, "compare", f"{type(error).__name__}: {error}"[:200])

    def count_drop(self, rollout: str, reason: str, count: int) -> None:
        """Copies that will not be compared; told as facts once a second."""
        key = (rollout, reason)
        self._drops[key] = self._drops.get(key, 0) + count

    def fault(self, rollout: str, what: str, detail: str) -> None:
        """A mistake of ours; told as facts once a second."""
        key = (rollout, what, detail)
        self._faults[key] = self._faults.get(key, 0) + 1

    # -- connections and routes --------------------------------------------------------------------------------------

    def joined(self, connection: ClientConnection) -> Refusal | None:
        """A client connected."""
        self._connections.add(connection)
        if len(self._connections) <= self.limits.connections:
            return None
        return CROWDED

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._connections)

    def parted(self, connection: ClientConnection) -> None:
        """A client's connection is gone."""
        self._connections.discard(connection)

    def adopt(self, update: Update) -> None:
        """Act on new routes; requests in flight end as they began."""
        if update.table is not None:
            self.table = update.table
            self.health.adopt(update.table)
            self.shadows.bound(at_once(update.table, self.workers))
            if any(route.method == PLANNED for route in update.table.routes):
                self.planning.begin()
        if update.lease is not None:
            self.telemetry.figures.gauges["lease_held"] = float(update.lease)
            if update.lease:
                log.info("the controller is heard: rollouts go on", extra={"fields": {"event": "lease-held"}})
            else:
                said = "the controller is not heard: only champions serve until it is"
                log.warning(said, extra={"fields": {"event": "lease-lost"}})
            self.note(Lease(at=time.time(), worker=self.worker, held=update.lease))

    # -- every second ------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Tell the counts gathered since the last time, and close what has been silent for too long."""
        now = time.time()
        drops, self._drops = self._drops, {}
        for (rollout, reason), count in drops.items():
            self.note(Dropped(rollout=rollout, at=now, worker=self.worker, reason=reason, count=count))
        self._tell_failures()
        self.sketching.tell(now, whole=self.draining)
        faults, self._faults = self._faults, {}
        for (rollout, what, detail), count in faults.items():
            self.note(Fault(at=now, worker=self.worker, rollout=rollout, what=what, detail=detail, count=count))
        gauges = self.telemetry.figures.gauges
        gauges["client_connections"] = len(self._connections)
        gauges["upstream_connections"] = self.pool.open_connections
        gauges["body_bytes_held"] = self.held
        gauges["copies_waiting"] = self.shadows.queued
        gauges["copy_bytes_kept"] = self.shadows.bytes_kept
        gauges["arms_left_out"] = self.health.out
        gauges["recorder_healthy"] = float(self._recorder.healthy)
        self.pool.sweep()
        self.shadows.pool.sweep()
        monotonic = self.now()
        for connection in list(self._connections):
            connection.sweep(monotonic)

    def _tell_failures(self) -> None:
        """One line a second for each way of failing: a dead model must not fill the disk."""
        failures, self._failures = self._failures, {}
        for (rollout, arm, reason), (count, decision) in failures.items():
            fields = {"event": "arm-failed", "rollout": rollout, "arm": arm, "reason": reason, "count": count}
            log.warning("requests failed at an arm", extra={"fields": fields | {"decision": decision}})
        refusals, self._refusals = self._refusals, {}
        for (status, error), count in refusals.items():
            fields = {"event": "refused", "status": status, "error": error, "count": count}
            log.warning("clients were refused", extra={"fields": fields})

    def refused(self, refusal: Refusal) -> None:
        """A client was answered with an error of ours before anybody was asked."""
        key = (refusal.status, refusal.error if len(self._refusals) < MOST_REFUSALS else "various")
        self._refusals[key] = self._refusals.get(key, 0) + 1
        self.telemetry.refused(str(refusal.status))

    async def drain(self, seconds: float) -> None:
        """Let requests in flight end; what has not ended in time is dropped."""
        self.draining = True
        began = self.now()
        while self._connections and self.now() - began < seconds:
            # A kept connection may carry its next request at any moment: closing it now could meet that request
            # on its way. In this time clients that send one learn from its reply that it was the last.
            if self.now() - began >= min(LAST_REQUESTS, seconds / 2.0):
                for connection in list(self._connections):
                    connection.drain()
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.drop()
        self.health.close()
        self.shadows.close()
        self.pool.close()
        await asyncio.sleep(0)
        self._large.close()
        self.planning.close()
        await asyncio.sleep(0)
        self.tidy()


def _list_publicly(request: Request, names: Mapping[str, str]) -> None:
    """Names are replaced in a list that can be read as it comes, and is not said to be the one the client knows."""
    if names:
        request.public_names = names
        request.headers[:] = [pair for pair in request.headers if pair[0].lower() not in _LIST_AS_KNOWN]


def _unmark(request: Request, header: str) -> None:
    """Only a copy carries the mark of copies. A client's own, however it is spelt, would have a model leave undone what
    the client is served for, or would stand beside ours where a copy is sent."""
    mark = header.lower().replace("_", "-").encode()
    request.headers[:] = [pair for pair in request.headers if pair[0].lower().replace(b"_", b"-") != mark]


_LIST_AS_KNOWN: Final = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))


def _searched(route: Route, request: Request) -> Turned:
    """What a request on an interleaving route searches, and which page of it."""
    ranking = route.ranking
    if ranking is not None and (ranking.pages is not None or ranking.query):
        found = turned(ranking, route.method, request.target, request.body, request.document)
        if found is not None:
            return found
    return Turned(None, request.target, request.body, request.digest())


def _read(field: Field, request: Request) -> str:
    if field.source is _HEADER:
        # Most units are one header: no need to lower and decode all the others.
        return units.header(request.header(field.name))
    return units.read(field, request.lowered(), request.document)
