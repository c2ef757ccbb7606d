"""Model servers with a character, as a program: `slow` answers after 5 ms, `hung` never, `flood` never stops.

`ranks` and `outranks` answer after 5 ms with lists of 20 items, half of them in both.
"""

import asyncio
import json
import sys

import uvloop

ANSWER = b'{"model_name":"m","outputs":[{"name":"y","shape":[1,2],"datatype":"FP64","data":[0.25,0.75]}]}'.ljust(1000)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + ANSWER
RANKED = {"ranks": range(20), "outranks": range(29, 9, -1)}


def ranked(numbers: range) -> bytes:
    items = [{"id": f"item-{number}", "score": number / 64.0, "title": f"Item number {number}"} for number in numbers]
    body = json.dumps({"model_name": "m", "took": 5, "items": items}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


class Toy(asyncio.Protocol):
    """One connection; requests have a Content-Length and are not pipelined."""

    def __init__(self, character: str) -> None:
        self.character = character
        self.reply = ranked(RANKED[character]) if character in RANKED else REPLY
        self.loop = asyncio.get_running_loop()
        self.left = 0
        self.head = b""
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=65536)
        self.writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.flood()

    def data_received(self, data: bytes) -> None:
        if not self.left:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lower = self.head[:end].lower()
            at = lower.find(b"content-length:")
            size = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.left, data, self.head = size, self.head[end + 4 :], b""
        self.left -= len(data)
        if self.left > 0:
            return
        self.left = 0
        if self.character in ("slow", *RANKED):
            self.loop.call_later(0.005, self.answer)
        elif self.character == "flood":
            self.transport.write(ENDLESS)
            self.flood()

    def answer(self) -> None:
        if self.open:
            self.transport.write(self.reply)

    def flood(self) -> None:
        if self.character == "flood" and self.open and self.writable:
            self.transport.write(CHUNK)
            self.loop.call_later(0.001, self.flood)


async def main() -> None:
    character, port = sys.argv[1], int(sys.argv[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Toy(character), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


uvloop.run(main())
