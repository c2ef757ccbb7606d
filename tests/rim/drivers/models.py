"""Two model servers over real sockets that say who they are, and count who was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httptools


class Model:
    """One arm: it answers its name, with `status`, and remembers what requests it got."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = 200
        self.asked = 0
        self.port = 0

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)


class _Connection(asyncio.Protocol):
    def __init__(self, model: Model) -> None:
        self._model = model
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        model = self._model
        model.asked += 1
        body = model.name.encode()
        head = f"HTTP/1.1 {model.status} Said\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


@contextmanager
def models(*names: str) -> Iterator[dict[str, Model]]:
    """Servers by their names, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = {name: Model(name) for name in names}

    async def listen() -> list[asyncio.Server]:
        servers = []
        for model in found.values():
            server = await loop.create_server(model, "127.0.0.1", 0)
            model.port = server.sockets[0].getsockname()[1]
            servers.append(server)
        return servers

    servers = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield found
    finally:
        for server in servers:
            loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
