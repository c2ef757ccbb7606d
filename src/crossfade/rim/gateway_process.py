"""A gateway on a socket: from the listening to the last reply, inside a program or as a process of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import ssl
from pathlib import Path

from crossfade import __version__
from crossfade.rim import figures, logs
from crossfade.rim.build_kind import request_path
from crossfade.rim.certificates import Certificates
from crossfade.rim.examples import Examples
from crossfade.rim.gateway import Gateway, Recorder
from crossfade.rim.http_server import ClientConnection
from crossfade.rim.listening import Listener, Shares
from crossfade.rim.options import PLAIN, Options
from crossfade.rim.routes_feed import Feed, RoutesFeed, Update
from crossfade.rim.upstream import trust

log = logging.getLogger("crossfade.gateway")

DRAIN_SECONDS = 10.0
"""How long requests in flight may take once the gateway is told to stop."""

BACKLOG = 2048

HANDSHAKE_SECONDS = 10.0


class Running:
    """A gateway that serves a socket."""

    def __init__(
        self,
        gateway: Gateway,
        server: asyncio.Server | Listener,
        feed: Feed,
        data: Path | None,
        certificates: Certificates,
    ) -> None:
        self.gateway = gateway
        self._certificates = certificates
        self._server = server
        self._feed = feed
        self._data = data
        self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.sockets[0].getsockname()[1])

    def reread(self) -> None:
        """Look at once whether certificates have changed; otherwise that is done every second."""
        self._certificates.look()

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Accept nothing more, let requests in flight end."""
        self._server.close()
        await asyncio.get_running_loop().run_in_executor(None, self._feed.stop)
        await self.gateway.drain(seconds)
        if self.gateway.tracing is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.gateway.tracing.close)
        if isinstance(self.gateway.examples, Examples):
            await asyncio.get_running_loop().run_in_executor(None, self.gateway.examples.close)
        self._tidying.cancel()
        self._write()

    async def _tidy(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            self.gateway.tidy()
            self.reread()
            if isinstance(self._server, Listener):
                self._server.look()
            if self._data is not None:
                where = figures.path(self._data, self.gateway.worker)
                await loop.run_in_executor(None, figures.write, where, self.gateway.telemetry.encoded())
            if self.gateway.access is not None:
                await loop.run_in_executor(None, self.gateway.access.write)

    def _write(self) -> None:
        if self.gateway.access is not None:
            self.gateway.access.write()
        if self._data is not None:
            where = figures.path(self._data, self.gateway.worker)
            figures.write(where, self.gateway.telemetry.encoded())


async def serve(
    sock: socket.socket,
    feed: Feed,
    recorder: Recorder,
    *,
    worker: str = "gateway-0",
    data: Path | None = None,
    options: Options = PLAIN,
    shares: Shares | None = None,
    workers: int = 1,
) -> Running:
    """Serve clients on a bound socket until `stop`; with other workers, where `shares` says what each has. Figures and
    logs are written below `data` when it is given."""
    loop = asyncio.get_running_loop()
    tls = options.tls()
    upstream = options.upstream()
    if upstream is not None:
        trust(upstream)
    gateway = Gateway(recorder, worker=worker, limits=options.limits, workers=workers)
    gateway.telemetry.figures.version, gateway.telemetry.figures.request_path = __version__, request_path()
    if options.tracing(os.environ):
        from crossfade.rim.tracing import Tracing

        gateway.tracing = Tracing(worker)
    if options.access_log and data is not None:
        gateway.access = logs.Access(data / "logs" / f"access-{worker}.jsonl")

    if data is not None:
        gateway.examples = Examples(data, worker)

    def adopt(update: Update) -> None:
        loop.call_soon_threadsafe(gateway.adopt, update)

    feed.start(adopt)
    server: asyncio.Server | Listener
    if shares is not None:
        sock.listen(BACKLOG)
        server = Listener(
            loop,
            sock,
            shares,
            protocol=lambda: ClientConnection(gateway),
            clients=lambda: gateway.clients,
            tls=tls,
            handshake_seconds=HANDSHAKE_SECONDS,
        )
    else:
        server = await loop.create_server(
            lambda: ClientConnection(gateway),
            sock=sock,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls is not None else None,
        )
    return Running(gateway, server, feed, data, _certificates(options, tls))


def _certificates(options: Options, tls: ssl.SSLContext | None) -> Certificates:
    certificates = Certificates()
    certificates.meet(options.met, tls)
    paths = (options.upstream_ca, options.upstream_cert, options.upstream_key)

    def renew() -> str:
        upstream = options.upstream()
        assert upstream is not None
        trust(upstream)
        return "new connections to https models go by what is"

    certificates.watch(paths, renew)
    return certificates


def _shares(data: Path, worker: str, workers: int) -> Shares | None:
    try:
        return Shares(data, int(worker.rpartition("-")[2]), workers)
    except OSError as error:
        log.warning("clients may be shared unevenly between workers: %s", error)
        return None


def run(data: Path, sock_fd: int, worker: str, *, workers_hint: int = 1, options: Options = PLAIN) -> None:
    """Serve an inherited listening socket until SIGTERM or SIGINT; for a process of its own. Returns once drained."""
    import uvloop

    from crossfade.rim.glance_at import glance_at
    from crossfade.rim.journal import Journal
    from crossfade.rim.pseudonym_keys import Keys
    from crossfade.rim.recorder import Recorder as JournalRecorder

    logs.begin(worker)
    options, told = options.within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if told:
        log.warning(told)
    sock = socket.socket(fileno=sock_fd)
    sock.setblocking(False)
    recorder = JournalRecorder(Journal(data, worker))
    shares = _shares(data, worker, workers_hint) if workers_hint > 1 else None
    feed = RoutesFeed(glance_at(data), lambda: recorder.healthy, key=Keys(data).of)
    # What was imported lives as long as the process: walking over it again and again would only make users wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        running = await serve(
            sock, feed, recorder, worker=worker, data=data, options=options, shares=shares, workers=workers_hint
        )
        loop.add_signal_handler(signal.SIGHUP, running.reread)
        how = request_path()
        log.info(
            "%s serves port %d, one of %d; the request path is %s",
            worker,
            running.port,
            workers_hint,
            how,
            extra={"fields": {"event": "serving", "version": __version__, "request_path": how}},
        )
        await stopping.wait()
        await running.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    finally:
        recorder.close()
