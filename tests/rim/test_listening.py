"""Clients shared between workers of one socket, and never left waiting for one of them."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from crossfade.live.routes import RouteTable
from crossfade.rim.gateway_process import _shares, serve
from crossfade.rim.listening import Listener, Shares

from .gateway_kit import Client, FixedRoutes, Kept, post, route
from .test_gateway_http_tls import Authority
from .toy_server import ToyServer, echoes


class Party(asyncio.Protocol):
    """Whoever a client is met by: it says its worker's number and stays."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def connection_made(self, transport: Any) -> None:
        self.worker.here.add(self)
        transport.write(b"%d" % self.worker.index)

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.here.discard(self)


class Worker:
    """One worker of several; here they share a loop, and the kernel's queue all the same."""

    def __init__(self, data: Path, sock: socket.socket, index: int, of: int, tls: ssl.SSLContext | None = None) -> None:
        self.index = index
        self.here: set[Party] = set()
        self.shares = Shares(data, index, of)
        self.listener = Listener(
            asyncio.get_running_loop(),
            sock.dup(),
            self.shares,
            protocol=lambda: Party(self),
            clients=lambda: len(self.here),
            tls=tls,
            handshake_seconds=1.0,
        )


@asynccontextmanager
async def bound() -> AsyncIterator[tuple[socket.socket, int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1024)
        sock.setblocking(False)
        yield sock, sock.getsockname()[1]


async def met(port: int, tls: ssl.SSLContext | None = None) -> tuple[int, asyncio.StreamWriter]:
    """By whom a new client is met."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    return int(await asyncio.wait_for(reader.read(10), 10)), writer


@pytest.mark.parametrize("workers", [2, 4])
async def test_a_burst_of_clients_is_shared(tmp_path: Path, workers: int) -> None:
    async with bound() as (sock, port):
        there = [Worker(tmp_path, sock, index, workers) for index in range(workers)]
        clients = await asyncio.gather(*(met(port) for _ in range(50 * workers)))
        counts = [sum(index == worker.index for index, _ in clients) for worker in there]
        assert max(counts) - min(counts) <= 16, counts
        # Those of one leave, and it gets the next ones.
        for index, writer in clients:
            if index == 0:
                writer.close()
        async with asyncio.timeout(10):
            while there[0].here:
                await asyncio.sleep(0.005)
        there[0].listener.look()
        late = [await met(port) for _ in range(20)]
        # On a machine that is busy a moment passes before the one that is meant to gets to it.
        assert sum(index == 0 for index, _ in late) >= 10, late
        clients += late
        for _, writer in clients:
            writer.close()
        for worker in there:
            worker.listener.close()


async def test_nobody_waits_for_a_worker_that_takes_none(tmp_path: Path) -> None:
    async with bound() as (sock, port):
        Shares(tmp_path, 1, 2)  # The other one has none and takes none: it hangs, or starts again.
        worker = Worker(tmp_path, sock, 0, 2)
        began = time.monotonic()
        clients = [await met(port) for _ in range(100)]
        assert {index for index, _ in clients} == {0}
        assert time.monotonic() - began < 100 * 0.05
        for _, writer in clients:
            writer.close()
        worker.listener.close()
        await asyncio.sleep(0)
    with pytest.raises(OSError):
        await met(port)


async def test_tls_is_spoken_and_who_does_not_takes_no_place(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with bound() as (sock, port):
        worker = Worker(tmp_path, sock, 0, 2, authority.server())
        _, plain = await asyncio.open_connection("127.0.0.1", port)
        plain.write(b"GET / HTTP/1.1\r\n\r\n")
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        index, writer = await met(port, ssl.create_default_context(cafile=authority.ca))
        assert index == 0
        async with asyncio.timeout(10):
            while worker.listener._mine > 1:
                await asyncio.sleep(0.01)
        for one in (plain, silent, writer):
            one.close()
        worker.listener.close()


async def test_gateways_of_one_socket_serve_and_drain(tmp_path: Path) -> None:
    async with ToyServer(echoes) as model, bound() as (sock, port):
        feed = FixedRoutes(RouteTable.of([route(model.url, "")]))
        running = [
            await serve(sock.dup(), feed, Kept(), worker=f"gateway-{n}", shares=Shares(tmp_path, n, 2)) for n in (0, 1)
        ]
        assert running[0].port == port
        clients = [await Client.to(port) for _ in range(20)]
        for client in clients:
            client.send(post(b"hello"))
            assert (await client.answer()).body == b"hello"
        counts = [one.gateway.clients for one in running]
        assert sum(counts) == 20
        assert min(counts) >= 5
        await running[0].stop(0.2)
        assert running[0].gateway.clients == 0
        late = await Client.to(port)
        late.send(post(b"still"))
        assert (await late.answer()).body == b"still"
        await running[1].stop(0.2)


def test_what_each_has_survives_the_others_and_new_ones(tmp_path: Path) -> None:
    one, two = Shares(tmp_path, 0, 2), Shares(tmp_path, 1, 2)
    one.tell(7)
    two.tell(3)
    assert (one.fewest(), two.fewest()) == (3, 7)
    more = [Shares(tmp_path, index, 4) for index in (2, 3)]
    assert (tmp_path / "run" / "clients").stat().st_size == 16
    assert [one.fewest() for one in more] == [0, 0]
    more[1].tell(9)
    assert more[0].fewest() == 3, "those of before have kept theirs"
    again = Shares(tmp_path, 0, 2)
    assert (again.fewest(), two.fewest()) == (3, 0), "a worker that starts has none"


def test_without_room_for_it_a_gateway_serves_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("a file where a folder should be")
    assert _shares(tmp_path, "gateway-0", 2) is None
    assert "unevenly" in caplog.text


async def test_without_open_files_clients_wait_until_there_are_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    async with bound() as (sock, port):
        worker = Worker(tmp_path, sock, 0, 2)
        client = socket.socket()
        client.setblocking(False)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        try:
            await loop.sock_connect(client, ("127.0.0.1", port))
            async with asyncio.timeout(10):
                while "no client can be taken" not in caplog.text:
                    await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert await asyncio.wait_for(loop.sock_recv(client, 10), 10) == b"0"
        client.close()
        worker.listener.close()
