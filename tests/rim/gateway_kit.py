"""A gateway in this process, a recorder that keeps facts in a list, and a client that speaks raw HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools
import msgspec

from crossfade.facts import Exposed, Fact
from crossfade.live.routes import Route, RouteTable
from crossfade.rim.gateway_process import Running, serve
from crossfade.rim.limits import Limits
from crossfade.rim.options import Options
from crossfade.rim.routes_feed import FixedRoutes
from crossfade.spec.model import Arm, Field, From, Protocol


@dataclass
class Kept:
    """A recorder that keeps facts in memory."""

    facts: list[Fact] = field(default_factory=list)
    healthy: bool = True

    def record(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def wait(self, kind: type[Any], count: int = 1, seconds: float = 30.0) -> list[Any]:
        """The facts of a kind, once there are that many."""
        async with asyncio.timeout(seconds):
            while len(self.of(kind)) < count:
                await asyncio.sleep(0.005)
        return self.of(kind)


def route(champion: str, challenger: str, **changes: Any) -> Route:
    given: dict[str, Any] = {
        "rollout": "r",
        "revision": "rev",
        "prefix": "/predict",
        "protocol": Protocol.JSON,
        "unit": Field(source=From.HEADER, name="x-user-id"),
        "segments": (),
        "salt": "r",
        "champion": Arm(name="v1", url=champion),
        "challengers": (Arm(name="v2", url=challenger),),
        "mode": "champion",
        "stage": 0,
        "step": 0,
        "weight": 0.0,
    }
    return Route(**(given | changes))


@dataclass
class Gate:
    running: Running
    kept: Kept

    @property
    def port(self) -> int:
        return self.running.port

    async def exposed(self, count: int = 1) -> list[Exposed]:
        return await self.kept.wait(Exposed, count)


@asynccontextmanager
async def gate(
    *routes: Route,
    default: Arm | None = None,
    limits: Limits | None = None,
    options: Options | None = None,
    data: Path | None = None,
) -> AsyncIterator[Gate]:
    """A gateway on a free port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    kept = Kept()
    options = msgspec.structs.replace(options or Options(), **({"limits": limits} if limits else {}))
    running = await serve(sock, FixedRoutes(RouteTable.of(routes, default)), kept, data=data, options=options)
    await asyncio.sleep(0)
    try:
        yield Gate(running, kept)
    finally:
        await running.stop(0.2)


@dataclass
class Answer:
    status: int = 0
    reason: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    done: bool = False

    def get(self, name: bytes) -> bytes | None:
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) < 2, f"{name!r} came twice"
        return found[0] if found else None


class _Collect:
    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def on_message_begin(self) -> None:
        self.answers.append(Answer())

    def on_status(self, reason: bytes) -> None:
        self.answers[-1].reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answers[-1].headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.answers[-1].status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.answers[-1].body += body

    def on_message_complete(self) -> None:
        self.answers[-1].done = True

    parser: httptools.HttpResponseParser


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answers(self, count: int = 1, seconds: float = 30.0) -> list[Answer]:
        """So many whole replies; those that end at the end of the connection are whole then."""
        collect = _Collect()
        collect.parser = httptools.HttpResponseParser(collect)
        async with asyncio.timeout(seconds):
            while sum(answer.done for answer in collect.answers) < count:
                data = await self.reader.read(65536)
                if not data:
                    break
                collect.parser.feed_data(data)
        return collect.answers

    async def answer(self, seconds: float = 30.0) -> Answer:
        return (await self.answers(1, seconds))[0]

    async def closed(self, seconds: float = 30.0) -> bytes:
        """What is left until the gateway closes."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


def post(body: bytes = b"{}", *, path: bytes = b"/predict", headers: bytes = b"X-User-Id: u1\r\n") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: gw\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)


async def ask(port: int, data: bytes, seconds: float = 30.0) -> Answer:
    """One request on a connection of its own."""
    client = await Client.to(port)
    try:
        client.send(data)
        return await client.answer(seconds)
    finally:
        client.close()
