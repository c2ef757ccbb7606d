"""Calls to model servers: connections kept per address, and a second try where a kept one turned out stale."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Sequence
from typing import Final

from crossfade.live.exchange.exposure import EXHAUSTED
from crossfade.rim.endpoints import Endpoint
from crossfade.rim.upload import Upload
from crossfade.rim.upstream_connection import Asking, Connection, Sink

__all__ = ["Asking", "Pool", "Sink"]

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to wait for a connection before it counts as refused."""

MOST_IDLE: Final = 128
"""Kept connections per address; more are closed when they fall idle."""

IDLE_SECONDS: Final = 60.0
"""How long an unused connection is kept."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})

_trusted: ssl.SSLContext | None = None


def trust(context: ssl.SSLContext) -> None:
    """Meet https model servers so, for the whole process and every connection that is opened from now on."""
    global _trusted
    _trusted = context


class Pool:
    """The connections of one purpose (users' calls, or copies), by address."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._loop = loop
        self._connect_timeout = connect_timeout
        self._idle: dict[Endpoint, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._closed = False
        self._tls: ssl.SSLContext | None = None

    def ask(
        self,
        sink: Sink,
        call: int,
        where: Endpoint,
        data: Sequence[bytes],
        *,
        bodyless: bool = False,
        upload: Upload | None = None,
    ) -> Asking:
        """Send a request. The sink hears of it later, never from within this call."""
        asking = Asking(sink, call, where, data, bodyless, upload)
        # A kept connection may turn out stale, and what is passed on as it comes cannot be sent again.
        idle = self._idle.get(where) if upload is None else None
        while idle:
            connection = idle.pop()
            if connection.usable:
                connection.start(asking)
                return asking
        self._connect(asking)
        return asking

    def retry(self, asking: Asking) -> None:
        """Once more, on a new connection: the kept one had been closed by the server in the meantime."""
        asking.retried = True
        asking.connection = None
        self._connect(asking)

    def ready(self, where: Endpoint) -> bool:
        """Whether a call would need no new connection."""
        return any(connection.usable for connection in self._idle.get(where, ()))

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose reply is complete."""
        idle = self._idle.setdefault(connection.where, [])
        if self._closed or len(idle) >= MOST_IDLE:
            connection.close()
        else:
            connection.idle_since = self._loop.time()
            idle.append(connection)

    def opened(self, connection: Connection) -> None:
        """Know of a connection."""
        self._all.add(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._all.discard(connection)
        idle = self._idle.get(connection.where)
        if idle and connection in idle:
            idle.remove(connection)

    def sweep(self) -> None:
        """Close what has been idle for long."""
        before = self._loop.time() - IDLE_SECONDS
        for idle in self._idle.values():
            for connection in [one for one in idle if one.idle_since < before]:
                idle.remove(connection)
                connection.close()

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        for connection in list(self._all):
            connection.close()

    @property
    def open_connections(self) -> int:
        """Connections open now, idle ones included."""
        return len(self._all)

    def _connect(self, asking: Asking) -> None:
        asking.task = self._loop.create_task(self._open(asking))

    async def _open(self, asking: Asking) -> None:
        where = asking.where
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self, where), where.host, where.port, ssl=self._context(where)
                )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            asking.task = None
            if not asking.cancelled:
                asking.sink.failed(asking.call, EXHAUSTED if _ours(error) else "refused")
            return
        asking.task = None
        if asking.cancelled:
            self.keep(connection)
        elif connection.usable:
            connection.start(asking)
        else:
            asking.sink.failed(asking.call, "broken")

    def _context(self, where: Endpoint) -> ssl.SSLContext | None:
        if not where.tls:
            return None
        if _trusted is not None:
            return _trusted
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _ours(error: Exception) -> bool:
    """Whether a connection failed for want of something on this machine, which says nothing of the model server."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED
