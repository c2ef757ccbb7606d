"""Load at a steady rate, as a program: so many requests a second whatever comes back, over many connections.

Prints one line of JSON. A request that finds no free connection waits for one, and that wait counts as latency.
"""

import asyncio
import json
import sys
import time
from collections import deque

import uvloop

BODY = b'{"user":"user-%06d","inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1.5,2.5,3.5]}]}'


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.at = 0.0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, number: int, due: float) -> None:
        self.at = due
        body = (BODY % (number % 5000)).ljust(1000)
        self.transport.write(
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: */*\r\n"
            b"X-User-Id: user-%06d\r\nContent-Length: 1000\r\n\r\n%b" % (number % 5000, body)
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lower = self.buffer[:end].lower()
        size = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + size:
            return
        good = self.buffer.startswith(b"HTTP/1.1 200")
        self.buffer = b""
        self.load.done(self, good)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost(self)


class Load:
    """The schedule and what came of it."""

    def __init__(self) -> None:
        self.free: deque[Client] = deque()
        self.waiting: deque[tuple[int, float]] = deque()
        self.latencies: list[float] = []
        self.errors = 0
        self.ending = False

    def due(self, number: int, at: float) -> None:
        if self.free:
            self.free.popleft().send(number, at)
        else:
            self.waiting.append((number, at))

    def done(self, client: Client, good: bool) -> None:
        self.latencies.append(time.perf_counter() - client.at)
        self.errors += not good
        if self.waiting:
            client.send(*self.waiting.popleft())
        else:
            self.free.append(client)

    def lost(self, client: Client) -> None:
        if not self.ending:
            self.errors += 1
            if client in self.free:
                self.free.remove(client)


async def main() -> None:
    port, rate, seconds, connections, idle = map(int, sys.argv[1:6])
    loop = asyncio.get_running_loop()
    load, resting = Load(), Load()
    for kept, count in ((load, connections), (resting, idle)):
        for _ in range(count):
            _, client = await loop.create_connection(lambda kept=kept: Client(kept), "127.0.0.1", port)
            kept.free.append(client)
    for number in range(idle):
        resting.due(number, time.perf_counter())
        if number % 20 == 0:
            await asyncio.sleep(0.02)
    began = time.perf_counter()
    number = 0
    while (now := time.perf_counter()) < began + seconds:
        while began + number / rate <= now:
            load.due(number, now)
            number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
    for again in range(idle):
        resting.due(again, time.perf_counter())
        if again % 20 == 0:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    took = time.perf_counter() - began - 1.0
    load.ending = resting.ending = True
    ordered = sorted(load.latencies) or [float("inf")]
    print(
        json.dumps(
            {
                "requests": len(load.latencies),
                "missing": number - len(load.latencies) + 2 * idle - len(resting.latencies),
                "errors": load.errors + resting.errors,
                "rate": len(load.latencies) / max(took if not idle else seconds, 1e-9),
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
            }
        )
    )


uvloop.run(main())
