"""The control port as an application: its endpoints put together, its security headers, and how it is run."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossfade import __version__
from crossfade.console import (
    acting,
    chart_files,
    differences,
    drift_page,
    events,
    exposures,
    frame,
    health,
    judging,
    ledger_page,
    lists_page,
    models_page,
    pages,
    problems,
    receiving,
    rollouts,
    streaming,
)
from crossfade.console.access import Access, Readers
from crossfade.console.checking import Checks
from crossfade.console.guard import Guard
from crossfade.console.slow_clients import PatientProtocol
from crossfade.rim.certificates import Certificates
from crossfade.rim.control_options import OPEN, ControlOptions
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.standing import all_standing
from crossfade.rim.store import Store, StoreError
from crossfade.rim.tokens import Tokens

log = logging.getLogger("crossfade.console")

DESCRIPTION = """\
Outcomes in, rollouts out, a person's moves. Every error is `{"error", "what_to_do"}`. Outcomes are acknowledged only
once they are on the disk. Moves need a bearer token: a named one with the role for it (`crossfade token add`) or that
in `DATA/run/token`; where others than this machine reach the port, reading needs one as well."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

LOOK = 1.0
"""Seconds between looks at the controller's heartbeat."""

GRACE = 5
"""Seconds that requests in flight get when the process is told to stop."""


def create_app(
    store: Store,
    inbox: OutcomeInbox,
    data: Path,
    *,
    token: str | None,
    private: bool = True,
    options: ControlOptions = OPEN,
) -> FastAPI:
    """The control port over a store and an inbox. Without a token nobody can move a rollout through it.

    `token` is the data folder's own, beside those that have names. Where the port is not `private`, because others
    than this machine reach it, reading takes a token too.
    """
    access = Access(Tokens(data), token, private=private)
    pulse, tally = health.Pulse(store), receiving.Tally()
    checking = Checks(data)
    told = events.Events(data, store)
    checks = partial(health.checks_of, store, data, pulse)
    draw = streaming.drawing(
        partial(pages.shown, store),
        partial(ledger_page.shown, store, checking),
        partial(drift_page.shown, store),
        partial(models_page.shown, store, data, checks),
    )
    live = streaming.Live(draw, store.version)

    @contextlib.asynccontextmanager
    async def watching(_: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(_watch(pulse, told, app.state.certificates))
        warm = asyncio.create_task(run_in_threadpool(_warm, store))
        yield
        warm.cancel()
        watch.cancel()
        told.close()

    app = FastAPI(
        title="Crossfade control port",
        version=__version__,
        description=DESCRIPTION,
        # The bundled documentation pages load scripts from elsewhere, which the content policy rightly forbids.
        docs_url=None,
        redoc_url=None,
        lifespan=watching,
    )
    app.state.live, app.state.certificates = live, Certificates()
    problems.install(app, store)
    door = receiving.Door(tally, options)
    app.include_router(receiving.router(store, inbox, tally, access, door))
    app.include_router(exposures.router(told, access, door))
    app.include_router(events.router(told, access, door))
    app.include_router(rollouts.router(store, access))
    app.include_router(judging.router(store, access))
    app.include_router(health.router(store, data, pulse, tally, told.halves.counts))
    app.include_router(differences.router(store, access))
    app.include_router(lists_page.router(store))
    app.include_router(frame.router())
    app.include_router(streaming.router(live, access))
    app.include_router(acting.router(store, access))
    app.include_router(ledger_page.router(store, access, checking))
    app.include_router(drift_page.router(store))
    app.include_router(models_page.router(store, data, checks))
    app.include_router(chart_files.router(store, data))
    app.include_router(pages.router(store))
    app.add_middleware(Readers, access=access)
    app.add_middleware(Guard)
    app.add_middleware(_SecurityHeaders)
    return app


def run(data: Path, sock_fd: int, options: ControlOptions = OPEN) -> None:
    """Serve on an inherited listening socket until SIGTERM; requests in flight are finished first."""
    store, inbox = Store(data), OutcomeInbox(data)
    secret = data / "run" / "token"
    token = secret.read_text().strip() if secret.is_file() else None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with socket.socket(fileno=os.dup(sock_fd)) as known:
        private = _loopback(known)
    if not (private or options.outcome_token or options.tls_client_ca):
        log.warning(
            "whoever reaches this port can report outcomes, and tilt what is decided by them: --outcome-token asks for"
            " a reporter's token, --control-tls-client-ca for a certificate"
        )
    app = create_app(store, inbox, data, token=token or None, private=private, options=options)
    tls = options.tls.context()
    certificates = Certificates()
    certificates.meet(options.tls, tls)
    app.state.certificates = certificates
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        http=PatientProtocol,
        # Any client may send a header that says where it comes from, so none is believed.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=options.tls_cert or None,
        ssl_keyfile=options.tls_key or None,
    )
    config.load()
    config.ssl = tls
    with socket.socket(fileno=sock_fd) as listening:
        try:
            _Server(config, app.state.live).run(sockets=[listening])
        finally:
            inbox.close()
            store.close()


class _Server(uvicorn.Server):
    """Ends the streams of pages as soon as it is told to stop: they would go on until the grace is over."""

    def __init__(self, config: uvicorn.Config, live: streaming.Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, and finish those in flight."""
        self._live.leave()
        await super().shutdown(sockets)


def _loopback(sock: socket.socket) -> bool:
    """Whether only this machine reaches a socket."""
    return ipaddress.ip_address(str(sock.getsockname()[0]).partition("%")[0]).is_loopback


def _warm(store: Store) -> None:
    """Read the ledgers once, so that who looks first need not wait for it."""
    with contextlib.suppress(StoreError):
        all_standing(store, time.time())


async def _watch(pulse: health.Pulse, told: events.Events, certificates: Certificates) -> None:
    while True:
        for look in (pulse.look, told.sweep):
            try:
                await run_in_threadpool(look)
            except Exception:
                # Nobody would hear of it, and the others are to be looked at all the same.
                log.exception("a look at the control port's own parts failed; trying again")
        certificates.look()
        await asyncio.sleep(LOOK)


class _SecurityHeaders:
    """Sets the headers on every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)
