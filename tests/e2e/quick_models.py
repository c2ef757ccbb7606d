"""Model servers that answer at once, as a program: a host, and `PORT=REPLY` for each."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop


class Quick(asyncio.Protocol):
    """One connection; requests are short and not pipelined."""

    def __init__(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.reply, self.buffer = head + body, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if end:
            size = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            if len(body) >= int(size or 0):
                self.buffer = b""
                self.transport.write(self.reply)


async def main() -> None:
    loop = asyncio.get_running_loop()
    for told in sys.argv[2:]:
        port, _, body = told.partition("=")
        await loop.create_server(lambda body=body: Quick(body.encode()), sys.argv[1], int(port), backlog=1024)  # type: ignore[misc]
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
