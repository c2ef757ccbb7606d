"""A model server that does exactly what a test tells it to, byte for byte, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httptools


@dataclass
class Got:
    """One request as the server saw it."""

    method: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    done: bool = False
    writer: asyncio.StreamWriter | None = None

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True

    def get(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


Behaviour = Callable[[Got, asyncio.StreamWriter], Awaitable[None]]


def sized(body: bytes, status: bytes = b"200 OK", headers: bytes = b"Content-Type: application/json\r\n") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def says(body: bytes, status: bytes = b"200 OK", headers: bytes = b"Content-Type: application/json\r\n") -> Behaviour:
    """Always the same reply."""

    async def behave(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(sized(body, status, headers))

    return behave


def raw(reply: bytes, *, close: bool = False) -> Behaviour:
    """Exactly these bytes."""

    async def behave(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        if close:
            writer.close()

    return behave


def slow(seconds: float, then: Behaviour) -> Behaviour:
    async def behave(got: Got, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(got, writer)

    return behave


async def hangs(_: Got, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def echoes(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(sized(got.body, headers=b"Content-Type: application/octet-stream\r\n"))


class ToyServer:
    """Answers each request by `behaviour`, in order on each connection. `gone` counts clients that left mid-request."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[Got] = []
        self.connections = 0
        self.gone = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> ToyServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """Stop as a killed process does: the port refuses, open connections are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Break all open connections, idle ones too."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._requests(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            got = Got(writer=writer)
            parser = httptools.HttpRequestParser(got)
            while not got.done:
                data = await reader.read(65536)
                if not data:
                    return
                parser.feed_data(data)
            got.method = parser.get_method().decode()
            self.requests.append(got)
            behaving = asyncio.ensure_future(self.behaviour(got, writer))
            watching = asyncio.ensure_future(reader.read(1))
            await asyncio.wait((behaving, watching), return_when=asyncio.FIRST_COMPLETED)
            if not behaving.done():
                self.gone += 1
                behaving.cancel()
                return
            behaving.result()
            watching.cancel()
            try:
                left = await watching
                if not left:
                    return
                raise AssertionError("the gateway pipelined to an upstream")
            except asyncio.CancelledError:
                pass
            await writer.drain()


def free_port() -> int:
    """A port that refuses connections now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
