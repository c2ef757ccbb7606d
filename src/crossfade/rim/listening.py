"""A listening socket that several workers share: each takes its part of the clients, and none waits for another.

All workers wake for a new client, and the quickest would take every one of a burst: a load balancer's or a pool's kept
connections then stay with it, and the other cores idle. So each tells in shared memory how many it has, and one that
has more than another leaves the next client to the others for a moment. Whatever nobody took by then it takes, so that
a worker that hangs, or has just died, delays clients by that moment and no more.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("crossfade.gateway")

FILE = Path("run") / "clients"
"""Below the data folder."""

MOMENT = 0.001
"""Seconds for which a client is left to the others."""

AFTER_A_MOMENT = 4
"""Clients taken together when the others had their chance."""

AT_ONCE = 16
"""Clients taken before the loop turns to those that it has."""

WITHOUT_FILES = 0.1
"""Seconds until the next try when this machine gives no more open files."""

_SLOT = 4
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Shares:
    """How many clients each worker of a host has, as each told last. What is old misleads nobody for long.

    Raises OSError where there is no room for it.
    """

    def __init__(self, data: Path, index: int, workers: int) -> None:
        self._index = index
        self._others = [other for other in range(workers) if other != index]
        where = data / FILE
        where.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = max(workers, index + 1) * _SLOT
            missing = size - os.fstat(descriptor).st_size
            if missing > 0:
                # Written and not only promised: on a full disk this fails, and no write to the memory does later.
                os.pwrite(descriptor, bytes(missing), size - missing)
            self._told = memoryview(mmap.mmap(descriptor, size)).cast("I")
        finally:
            os.close(descriptor)
        self.tell(0)

    def tell(self, clients: int) -> None:
        """Say how many this worker has."""
        self._told[self._index] = clients

    def fewest(self) -> int:
        """The fewest that another worker has."""
        return min(self._told[other] for other in self._others)


class Listener:
    """Takes clients from the shared socket. Stands for the server that an event loop would make of it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        shares: Shares,
        *,
        protocol: Callable[[], asyncio.Protocol],
        clients: Callable[[], int],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self.sockets = (sock,)
        self._loop = loop
        self._sock = sock
        self._shares = shares
        self._protocol = protocol
        self._clients = clients
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls is not None else None
        self._arriving: set[asyncio.Task[None]] = set()
        self._pausing: asyncio.TimerHandle | None = None
        self._closed = False
        self._listen(waited=False)

    def close(self) -> None:
        """Take no more."""
        if not self._closed:
            self._closed = True
            if self._pausing is not None:
                self._pausing.cancel()
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def look(self) -> None:
        """Tell the others what has become of the clients that left."""
        self._shares.tell(self._mine)

    @property
    def _mine(self) -> int:
        return self._clients() + len(self._arriving)

    def _listen(self, *, waited: bool) -> None:
        self._pausing = None
        self._loop.add_reader(self._sock, self._take, waited)

    def _pause(self, seconds: float, *, waited: bool) -> None:
        self._loop.remove_reader(self._sock)
        self._pausing = self._loop.call_later(seconds, lambda: self._listen(waited=waited))

    def _take(self, waited: bool) -> None:
        mine, fewest = self._mine, self._shares.fewest()
        room = max(fewest - mine + 1, AFTER_A_MOMENT if waited else 0)
        if room <= 0:
            self._shares.tell(mine)
            self._pause(MOMENT, waited=True)
            return
        taken = 0
        try:
            while taken < min(room, AT_ONCE):
                client, _ = self._sock.accept()
                taken += 1
                self._welcome(client)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            log.warning("no client can be taken for a moment: %s", error.strerror)
            self._pause(WITHOUT_FILES, waited=waited)
            return
        finally:
            if taken:
                self._shares.tell(mine + taken)
        if waited:
            self._loop.add_reader(self._sock, self._take, False)

    def _welcome(self, client: socket.socket) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(client))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, client, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        except (OSError, ssl.SSLError, TimeoutError):
            # It left, or spoke no TLS that we speak.
            client.close()
