"""Model servers with a character, as a program: one port for each argument, printed as a JSON list once all listen."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from rim.toy_server import Got, ToyServer, hangs, says, slow

CHAMPION = b'{"score": 0.25, "items": [{"id": "a"}, {"id": "b"}]}'
CHALLENGER = b'{"score": 0.75, "items": [{"id": "c"}, {"id": "b"}]}'
BROKEN = b'{"error": "the champion is out of memory"}'


async def floods(_: Got, writer: asyncio.StreamWriter) -> None:
    """A reply without end, as fast as it goes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    with suppress(OSError):
        while True:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()


CHARACTERS = {
    "champion": says(CHAMPION),
    "challenger": says(CHALLENGER),
    "fails": says(BROKEN, b"500 Internal Server Error"),
    "refuses": says(b'{"error": "busy"}', b"503 Service Unavailable"),
    "hangs": hangs,
    "slow": slow(0.2, says(CHALLENGER)),
    "floods": floods,
}


async def main() -> None:
    """Serve until killed."""
    servers = [await ToyServer(CHARACTERS[character]).__aenter__() for character in sys.argv[1:]]
    print(json.dumps([server.port for server in servers]), flush=True)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
