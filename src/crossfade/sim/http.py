"""A small HTTP/1.1 client for the demo's users: pooled keep-alive connections, and failures told apart.

It never retries: what a user would have seen is what is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools


class Refused(ConnectionError):
    """No connection could be made."""


class Reset(ConnectionError):
    """The connection ended while an answer was awaited."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Line(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(Reset("the connection ended while an answer was awaited"))

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def send(self, request: bytes) -> asyncio.Future[Answer]:
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._fail(Reset("the connection ended before the request was sent"))
        else:
            self._transport.write(request)
        assert self._answer is not None
        return self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
            self._fail(Reset("the answer was not HTTP/1.1"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), self._headers, b"".join(self._body))
        if not self._parser.should_keep_alive():
            self.close()
        self._begin()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Client:
    """Requests to one host and port. Times are seconds."""

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout
        self._idle: deque[_Line] = deque()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The reply; raises Refused, Reset or TimeoutError."""
        line = await self._line()
        head = [f"POST {path} HTTP/1.1", f"host: {self._host}:{self._port}", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        try:
            answer = await asyncio.wait_for(
                line.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body), self._timeout
            )
        except (TimeoutError, ConnectionError, asyncio.CancelledError):
            line.close()
            raise
        if line.open:
            self._idle.append(line)
        return answer

    async def _line(self) -> _Line:
        while self._idle:
            # The most recently used is the least likely to have been closed meanwhile.
            line = self._idle.pop()
            if line.open:
                return line
        try:
            _, line = await asyncio.wait_for(
                asyncio.get_running_loop().create_connection(_Line, self._host, self._port), self._timeout
            )
        except (OSError, TimeoutError) as error:
            raise Refused(f"cannot connect to {self._host}:{self._port}: {error}") from None
        return line

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()
