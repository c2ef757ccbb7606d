"""Clients that mean harm: each costs little more than what it sends, and none passes for the gateway."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crossfade.rim.limits import Limits

from .gateway_kit import Client, Gate, ask, gate, post, route
from .toy_server import ToyServer, says

CHUNKED = b"POST /predict HTTP/1.1\r\nHost: a\r\nX-User-Id: u\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def memory() -> Iterator[list[int]]:
    """How many bytes more are kept at the end than at the beginning."""
    grown: list[int] = []
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        yield grown
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


async def alone(gw: Gate) -> None:
    """Until nobody is connected any more."""
    async with asyncio.timeout(15):
        while gw.running.gateway.clients:
            await asyncio.sleep(0.02)


async def test_trailers_without_end_are_refused_as_a_head_would_be() -> None:
    # Each is as short as can be, so that there are more of them than bytes in their names and values allow.
    many = b"a:\r\n" * 30_000
    async with ToyServer(says(b"{}")) as v1, gate(route(v1.url, v1.url)) as gw:
        began = time.monotonic()
        answer = await ask(gw.port, CHUNKED + b"2\r\n{}\r\n0\r\n" + many + b"\r\n", 60.0)
        assert answer.status == 431
        assert time.monotonic() - began < 2.0, "each is looked at once, and not again with each that follows"


async def test_a_body_in_the_smallest_chunks_takes_up_what_its_bytes_do() -> None:
    size = 200_000
    async with ToyServer(says(b"{}")) as v1, gate(route(v1.url, v1.url, mode="shadow", mirror=1.0)) as gw:
        client = await Client.to(gw.port)
        with memory() as grown:
            client.send(CHUNKED)
            for _ in range(size // 2_000):
                client.send(b"2\r\nab\r\n" * 1_000)
                await client.writer.drain()
            async with asyncio.timeout(10):
                while gw.running.gateway.held < size:
                    await asyncio.sleep(0.01)
        client.send(b"0\r\n\r\n")
        assert (await client.answer()).status == 200
        assert v1.requests[-1].body == b"ab" * (size // 2)
        client.close()
    assert grown[0] < 3 * size


@pytest.mark.parametrize("target", [b"/predict/%d/", b"/elsewhere/%d/", b"/v2/models/%d/"])
async def test_long_targets_are_not_remembered(target: bytes) -> None:
    async with ToyServer(says(b"{}")) as v1, gate(route(v1.url, v1.url)) as gw:
        await ask(gw.port, post())
        client = await Client.to(gw.port)
        with memory() as grown:
            for n in range(100):
                path = target % n + b"x" * 40_000
                client.send(post(path=path, headers=b""))
                assert (await client.answer()).status == 200
            v1.requests.clear()
        client.close()
    assert grown[0] < 1_000_000


async def test_long_hosts_are_not_remembered() -> None:
    async with ToyServer(says(b"{}")) as v1, gate(route(v1.url, v1.url)) as gw:
        await ask(gw.port, post())
        client = await Client.to(gw.port)
        with memory() as grown:
            for n in range(100):
                client.send(b"GET /x HTTP/1.1\r\nHost: %d%b\r\n\r\n" % (n, b"x" * 40_000))
                assert (await client.answer()).status == 200
            v1.requests.clear()
        client.close()
    assert grown[0] < 1_000_000


def reluctant(port: int, data: bytes, buffer: int = 4096) -> socket.socket:
    """A client that asks, and whose machine keeps little of what nobody reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", port))
    client.sendall(data)
    return client


async def test_who_reads_nothing_does_not_keep_a_connection() -> None:
    large = b"x" * 12_000_000
    limits = Limits(idle_seconds=0.3, request_seconds=0.6)
    async with ToyServer(says(large)) as v1, gate(route(v1.url, v1.url, deadline=0.6), limits=limits) as gw:
        clients = [reluctant(gw.port, post(headers=close)) for close in (b"", b"Connection: close\r\n")]
        async with asyncio.timeout(5):
            while len(v1.requests) < len(clients):
                await asyncio.sleep(0.01)
        await alone(gw)
        for client in clients:
            client.close()


@pytest.mark.full
async def test_who_reads_slowly_gets_everything() -> None:
    large = b"x" * 12_000_000
    limits = Limits(idle_seconds=1.0, request_seconds=3.0)
    async with ToyServer(says(large)) as v1, gate(route(v1.url, v1.url, deadline=5.0), limits=limits) as gw:
        client = reluctant(gw.port, post(headers=b"Connection: close\r\n"), 65_536)
        client.setblocking(False)
        got, loop, began = 0, asyncio.get_running_loop(), time.monotonic()
        async with asyncio.timeout(30):
            while piece := await loop.sock_recv(client, 65_536):
                got += len(piece)
                await asyncio.sleep(0.015)
        client.close()
        assert got > len(large)
        assert time.monotonic() - began > 3.0, "slower than either of the limits"


@pytest.mark.parametrize("spelt", [b"X-Dry-Run", b"x-dry-run", b"X_Dry_Run"])
async def test_a_client_cannot_pass_for_a_copy(spelt: bytes) -> None:
    async with ToyServer(says(b'{"a": 1}')) as v1, ToyServer(says(b'{"a": 1}')) as v2:
        way = route(v1.url, v2.url, mode="shadow", mirror=1.0, dry_run_header="x-dry-run")
        async with gate(way) as gw:
            headers = b"X-User-Id: u\r\n" + spelt + b": false\r\n"
            assert (await ask(gw.port, post(headers=headers))).status == 200
            async with asyncio.timeout(5):
                while not v2.requests:
                    await asyncio.sleep(0.01)

    def marks(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
        return [value for name, value in headers if name.lower().replace(b"_", b"-") == b"x-dry-run"]

    assert marks(v1.requests[0].headers) == [], "this is no copy, and its model is to do what it is asked"
    assert marks(v2.requests[0].headers) == [b"true"]
