"""Users of several gateways, as a program: so many requests a second, each to a gateway that takes connections.

What came of each request is in a file, one record after another; each error is a line on standard output, by its kind.
It ends when standard input does.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
import time
from collections import deque
from typing import Any, BinaryIO

import uvloop

RECORD = struct.Struct("<16sddIBB2x")
"""Decision id, when sent, when answered, unit, gateway, whether the challenger answered."""

USERS = 20_000
CONNECTIONS = 24
PATIENCE = 20.0
"""Seconds until a request counts as never answered."""
CHALLENGER = b"0.75"


class Client(asyncio.Protocol):
    """One connection to one gateway."""

    def __init__(self, users: Users, gateway: int) -> None:
        self.users, self.gateway = users, gateway
        self.unit, self.sent, self.buffer = 0, 0.0, b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, unit: int) -> None:
        self.unit, self.sent = unit, time.time()
        self.transport.write(
            b"POST /alpha HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"X-User-Id: u%d\r\nContent-Length: 2\r\n\r\n{}" % unit
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + size:
            return
        body, self.buffer = self.buffer[end + 4 :], b""
        decision = head.partition(b"x-crossfade-decision:")[2].split(b"\r\n", 1)[0].strip()
        self.users.answered(self, head[9:12], decision, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.users.lost(self)


class Users:
    """All connections, and what came of them."""

    def __init__(self, gateways: list[list[Any]], rate: float, out: BinaryIO) -> None:
        self.gateways, self.rate, self.out = gateways, rate, out
        self.free: list[deque[Client]] = [deque() for _ in gateways]
        self.busy: set[Client] = set()
        self.unsent = self.turn = 0
        self.ending = False

    async def connect(self, gateway: int) -> None:
        """Keep one connection, for ever."""
        loop = asyncio.get_running_loop()
        host, port = self.gateways[gateway]
        while not self.ending:
            try:
                async with asyncio.timeout(PATIENCE):
                    _, client = await loop.create_connection(lambda: Client(self, gateway), host, port)
            except (OSError, TimeoutError) as error:
                self.error(gateway, "refused" if isinstance(error, ConnectionRefusedError) else "no connection", 0.0)
                await asyncio.sleep(random.uniform(0.2, 0.5))
                continue
            self.free[gateway].append(client)
            while not client.transport.is_closing():
                await asyncio.sleep(0.1)
            await asyncio.sleep(random.uniform(0.0, 0.2))

    async def run(self) -> None:
        began, number = time.monotonic(), 0
        while not self.ending:
            now = time.monotonic()
            while began + number / self.rate <= now:
                number += 1
                self._one()
            late = [client for client in self.busy if time.time() - client.sent > PATIENCE]
            for client in late:
                self.busy.discard(client)
                self.error(client.gateway, "never answered", client.sent)
                client.transport.abort()
            await asyncio.sleep(max(0.001, began + number / self.rate - time.monotonic()))

    def _one(self) -> None:
        """A request, to the gateway whose turn it is; to the next where that one takes none."""
        for _ in self.gateways:
            self.turn = (self.turn + 1) % len(self.gateways)
            if self.free[self.turn]:
                client = self.free[self.turn].popleft()
                self.busy.add(client)
                client.send(random.randrange(USERS))
                return
        self.unsent += 1

    def answered(self, client: Client, status: bytes, decision: bytes, body: bytes) -> None:
        self.busy.discard(client)
        self.free[client.gateway].append(client)
        if status != b"200" or b"score" not in body:
            self.error(client.gateway, f"status {status.decode()}", client.sent)
            return
        if not decision:
            self.error(client.gateway, "no decision id", client.sent)
            return
        id_ = bytes.fromhex(decision.replace(b"-", b"").decode())
        self.out.write(RECORD.pack(id_, client.sent, time.time(), client.unit, client.gateway, CHALLENGER in body))

    def lost(self, client: Client) -> None:
        if client in self.busy:
            self.busy.discard(client)
            self.error(client.gateway, "broken", client.sent)
        elif client in self.free[client.gateway]:
            self.free[client.gateway].remove(client)

    def error(self, gateway: int, kind: str, sent: float) -> None:
        print(json.dumps({"at": time.time(), "gateway": gateway, "kind": kind, "sent": sent}), flush=True)


async def main() -> None:
    told = json.loads(sys.argv[1])
    with open(told["out"], "wb", buffering=1 << 16) as out:
        users = Users(told["gateways"], told["rate"], out)
        tasks = [
            asyncio.create_task(users.connect(gateway))
            for gateway in range(len(users.gateways))
            for _ in range(CONNECTIONS)
        ]
        sending = asyncio.create_task(users.run())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        users.ending = True
        await sending
        deadline = time.monotonic() + PATIENCE
        while users.busy and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for client in users.busy:
            users.error(client.gateway, "never answered", client.sent)
        for task in tasks:
            task.cancel()
    print(json.dumps({"unsent": users.unsent}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
