"""The data port: takes clients' connections, finds the route and the arm of each request, and keeps what happened."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from crossfade.facts import Compared, Dropped, Exposed, Fact, Fault, Lease
from crossfade.live import model_names, units
from crossfade.live.assign import assign
from crossfade.live.exchange import Asked, exchange, passing
from crossfade.live.exchange.messages import Compare
from crossfade.live.exchange.mirrored import compared
from crossfade.live.routes import Route, RouteTable, champion_only
from crossfade.rim import telemetry
from crossfade.rim.health import Health
from crossfade.rim.http_refusals import Limits, Refusal
from crossfade.rim.http_request import Request, path_of
from crossfade.rim.http_server import ClientConnection
from crossfade.rim.identity import decision_id
from crossfade.rim.routes_feed import Feed, RoutesFeed, Update
from crossfade.rim.shadows import Shadows
from crossfade.rim.telemetry import Telemetry
from crossfade.rim.timers import Timers
from crossfade.rim.turn import Refused, Turn
from crossfade.rim.upstream import Pool
from crossfade.spec.model import Field, From

log = logging.getLogger("crossfade.gateway")

DRAIN_SECONDS = 10.0
"""How long requests in flight may take once the gateway is told to stop."""

PASSING_DEADLINE = 60.0
"""Seconds for requests outside every route."""

INLINE_COMPARE = 64 * 1024
"""Bytes of answers compared on the event loop; larger ones go to a thread."""

MOST_COMPARES = 64
"""Large comparisons waiting for that thread."""

BACKLOG = 2048

NOBODY = Refusal(503, "no rollout is served here yet", "start `crossfade serve` with a spec")
BUSY = Refusal(503, "too many requests are being answered", "retry later; --max-in-flight sets how many may be")
CROWDED = Refusal(503, "too many connections", "retry later; --max-connections sets how many may be")


class Recorder(Protocol):
    """Where facts go. Never blocks."""

    @property
    def healthy(self) -> bool:
        """Whether facts reach the disk."""
        ...

    def record(self, fact: Fact) -> None:
        """Keep a fact."""
        ...


class Gateway:
    """One worker. Everything here runs on its event loop unless it says otherwise."""

    def __init__(self, recorder: Recorder, *, worker: str, limits: Limits | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.draining = False
        self.worker = worker
        self.table = RouteTable(())
        self.now = time.monotonic
        self.timers = Timers(loop, self.now)
        self.pool = Pool(loop)
        self.shadows = Shadows(loop)
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
        self._comparing = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compare")

    # -- a request ---------------------------------------------------------------------------------------------------

    def turn(self, connection: ClientConnection, request: Request) -> Turn | Refused:
        """Route, unit, arm: everything that is decided before the request is sent on."""
        if self.in_flight > self.limits.in_flight:
            self.telemetry.refused("in-flight")
            return Refused(connection, BUSY)
        table = self.table
        route = table.match(request.path)
        if route is None:
            upstream = table.upstream(request.path)
            if upstream is None:
                return Refused(connection, NOBODY)
            self.telemetry.figures.passed += 1
            return Turn(self, connection, request, passing(upstream, PASSING_DEADLINE), "")
        request.protocol = route.protocol
        if request.upload is not None:
            route = self._without_body(route)
        now = time.time()
        decision = decision_id(now)
        unit = decision if route.unit.source is From.REQUEST else _read(route.unit, request)
        asked = Asked(
            method=request.method,
            decision_id=decision,
            now=now,
            start=self.now(),
            unit=unit,
            digest=request.digest() if route.mode == "interleave" else "",
            segments=tuple(_read(field, request) for field in route.segments) if route.segments else (),
        )
        assigned = assign(route, unit)
        ejected = assigned.arm != route.champion.name and not self.health.admits(route.rollout, assigned.arm)
        served = exchange(route, asked, assigned, ejected=ejected)
        return Turn(self, connection, request, served, route.rollout)

    def room(self, target: bytes, size: int) -> bool:
        """Whether a body of so many bytes should be held whole: where it may be compared or sent a second time, and
        while there is memory for it. Otherwise it is passed on as it comes."""
        limits = self.limits
        if size <= limits.stream_bytes:
            return self.held <= limits.memory_bytes
        if size > limits.hold_bytes or self.held > limits.memory_bytes:
            return False
        route = self.table.match(path_of(target))
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

    def compare(self, pair: Compare) -> None:
        """Set answers side by side; large ones off the loop, so that nobody waits for it."""
        if pair.size <= INLINE_COMPARE:
            self.note(compared(pair))
        elif self._comparing >= MOST_COMPARES:
            self.count_drop(pair.rollout, "compare-busy", 1)
        else:
            self._comparing += 1
            self._loop.run_in_executor(self._thread, compared, pair).add_done_callback(
                lambda done: self._compared(pair.rollout, done)
            )

    def _compared(self, rollout: str, done: asyncio.Future[Compared]) -> None:
        self._comparing -= 1
        error = done.exception()
        if error is None:
            self.note(done.result())
        else:
            self.fault(rollout, "compare", f"{type(error).__name__}: {error}"[:200])

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
        self.telemetry.refused("connections")
        return CROWDED

    def parted(self, connection: ClientConnection) -> None:
        """A client's connection is gone."""
        self._connections.discard(connection)

    def adopt(self, update: Update) -> None:
        """Act on new routes; requests in flight end as they began."""
        if update.table is not None:
            self.table = update.table
            self.health.adopt(update.table)
        if update.recording is not None:
            self._recording(update.recording)
        if update.lease is not None:
            self.telemetry.figures.gauges["lease_held"] = float(update.lease)
            self.note(Lease(at=time.time(), worker=self.worker, held=update.lease))

    def _recording(self, again: bool) -> None:
        if again:
            log.warning("facts reach the disk again; exposure goes on")
            return
        log.error("facts cannot be written: only the champion serves until they can")
        # It is kept in memory with the facts that wait, and is on the record as soon as anything is.
        detail = "facts could not be written; meanwhile only the champion served"
        self.note(Fault(at=time.time(), worker=self.worker, rollout="", what="journal", detail=detail))

    # -- every second ------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Tell the counts gathered since the last time, and close what has been silent for too long."""
        now = time.time()
        drops, self._drops = self._drops, {}
        for (rollout, reason), count in drops.items():
            self.note(Dropped(rollout=rollout, at=now, worker=self.worker, reason=reason, count=count))
        faults, self._faults = self._faults, {}
        for (rollout, what, detail), count in faults.items():
            self.note(Fault(at=now, worker=self.worker, rollout=rollout, what=what, detail=detail, count=count))
        gauges = self.telemetry.figures.gauges
        gauges["client_connections"] = len(self._connections)
        gauges["upstream_connections"] = self.pool.open_connections
        gauges["body_bytes_held"] = self.held
        gauges["copies_waiting"] = self.shadows.queued
        gauges["arms_left_out"] = self.health.out
        gauges["recorder_healthy"] = float(self._recorder.healthy)
        self.pool.sweep()
        self.shadows.pool.sweep()
        monotonic = self.now()
        for connection in list(self._connections):
            connection.sweep(monotonic)

    async def drain(self, seconds: float) -> None:
        """Let requests in flight end; what has not ended in time is dropped."""
        self.draining = True
        until = self.now() + seconds
        while self._connections and self.now() < until:
            for connection in list(self._connections):
                connection.drain()
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.drop()
        self.health.close()
        self.shadows.close()
        self.pool.close()
        await asyncio.sleep(0)
        self._thread.shutdown(wait=True)
        await asyncio.sleep(0)
        self.tidy()


class Running:
    """A gateway that serves a socket."""

    def __init__(self, gateway: Gateway, server: asyncio.Server, feed: Feed, data: Path | None) -> None:
        self.gateway = gateway
        self._server = server
        self._feed = feed
        self._data = data
        self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Accept nothing more, let requests in flight end."""
        self._server.close()
        await asyncio.get_running_loop().run_in_executor(None, self._feed.stop)
        await self.gateway.drain(seconds)
        self._tidying.cancel()
        self._write()

    async def _tidy(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            self.gateway.tidy()
            if self._data is not None:
                where = telemetry.path(self._data, self.gateway.worker)
                await loop.run_in_executor(None, telemetry.write, where, self.gateway.telemetry.encoded())

    def _write(self) -> None:
        if self._data is not None:
            where = telemetry.path(self._data, self.gateway.worker)
            telemetry.write(where, self.gateway.telemetry.encoded())


async def serve(
    sock: socket.socket,
    feed: Feed,
    recorder: Recorder,
    *,
    worker: str = "gateway-0",
    data: Path | None = None,
    limits: Limits | None = None,
) -> Running:
    """Serve clients on a bound socket until `stop`. Figures are written below `data` when it is given."""
    loop = asyncio.get_running_loop()
    gateway = Gateway(recorder, worker=worker, limits=limits)

    def adopt(update: Update) -> None:
        loop.call_soon_threadsafe(gateway.adopt, update)

    feed.start(adopt)
    server = await loop.create_server(lambda: ClientConnection(gateway), sock=sock, backlog=BACKLOG)
    return Running(gateway, server, feed, data)


def run(data: Path, sock_fd: int, worker: str, *, workers_hint: int = 1) -> None:
    """Serve an inherited listening socket until SIGTERM or SIGINT; for a process of its own. Returns once drained."""
    import uvloop

    from crossfade.rim.journal import Journal
    from crossfade.rim.journal import Recorder as JournalRecorder
    from crossfade.rim.store import Store

    sock = socket.socket(fileno=sock_fd)
    sock.setblocking(False)
    recorder = JournalRecorder(Journal(data, worker))
    feed = RoutesFeed(Store(data), lambda: recorder.healthy)
    # What was imported lives as long as the process: walking over it again and again would only make users wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        running = await serve(sock, feed, recorder, worker=worker, data=data)
        log.info("%s serves port %d, one of %d", worker, running.port, workers_hint)
        await stopping.wait()
        await running.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    finally:
        recorder.close()


def _read(field: Field, request: Request) -> str:
    # Most units are one header: no need to lower and decode all the others.
    headers = request.header(field.name) if field.source is From.HEADER else request.lowered()
    return units.read(field, headers, request.document)
