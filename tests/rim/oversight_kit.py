"""Controllers and gateways as processes on one data folder, to be killed, stopped and gone on with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossfade.facts import Exposed, Fact
from crossfade.rim import batches
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

SPEC = """
name: ranker
route: /predict
protocol: json
unit: header:x-user-id
lease: {lease}
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 20pp}}}}
stages:
  - canary:  {{steps: {steps}, hold_for: {hold_for}}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


def begin(data: Path, one: str, two: str, *, lease: str = "60s", steps: str = "[98%]", hold_for: str = "10m") -> Store:
    """A started rollout."""
    store = Store(data)
    text = SPEC.format(one=one, two=two, lease=lease, steps=steps, hold_for=hold_for)
    store.add(text, parse(text), time.time())
    store.act("ranker", Move.START, actor="ann", rule="manual", sentence="Started by ann: a test.", at=time.time())
    return store


@dataclass
class Controllers:
    """Processes that judge, by number, each with its log."""

    data: Path
    tick: float = 0.2
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    born: dict[int, int] = field(default_factory=dict)

    def log(self, number: int) -> Path:
        return self.data / f"controller-{number}-{self.born.get(number, 0)}.log"

    def start(self, number: int) -> None:
        self.born[number] = self.born.get(number, 0) + 1
        command = [sys.executable, "-m", "crossfade.rim.worker", "controller", "--data", str(self.data)]
        with self.log(number).open("wb") as out:
            self.running[number] = subprocess.Popen([*command, "--tick", str(self.tick)], stdout=out, stderr=out)

    def ready(self, number: int) -> bool:
        return "ready to lead" in self.log(number).read_text()

    def wait_ready(self, number: int, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.ready(number):
            assert time.monotonic() < deadline, self.log(number).read_text()
            time.sleep(0.05)

    def dead(self, number: int) -> bool:
        return self.running[number].poll() is not None

    def signal(self, number: int, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.running[number].send_signal(what)

    def number_of(self, holder: Any) -> int | None:
        return next((n for n, process in self.running.items() if process.pid == holder.get("pid")), None)

    def said(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.data.glob("controller-*.log"))
        )

    def end(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()


async def beats(store: Store, count: int, seconds: float = 60.0) -> None:
    """Wait until whoever leads has judged so many times from now."""
    wanted, deadline = store.heartbeat() + count, time.monotonic() + seconds
    while store.heartbeat() < wanted:
        assert time.monotonic() < deadline, "no controller judges"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def model(body: bytes) -> AsyncIterator[str]:
    """The URL of a server that gives every request the same answer."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(reply)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.contextmanager
def controllers(data: Path, count: int = 1, *, tick: float = 0.2) -> Iterator[Controllers]:
    """So many controllers, ready."""
    kept = Controllers(data, tick)
    try:
        for number in range(count):
            kept.start(number)
        for number in range(count):
            kept.wait_ready(number)
        yield kept
    finally:
        kept.end()


@contextlib.contextmanager
def gateways(data: Path, count: int) -> Iterator[list[int]]:
    """So many gateways, each on a port of its own."""
    with contextlib.ExitStack() as stack:
        ports = []
        for number in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            sock.listen(128)
            command = [sys.executable, "-m", "crossfade.rim.worker", "gateway", "--data", str(data)]
            command += ["--fd", str(sock.fileno()), "--worker", f"gateway-{number}"]
            with (data / f"gateway-{number}.log").open("wb") as out:
                process = subprocess.Popen(command, pass_fds=[sock.fileno()], stdout=out, stderr=out)
            stack.callback(process.wait)
            stack.callback(process.kill)
            ports.append(int(sock.getsockname()[1]))
        yield ports


def exposures(data: Path) -> list[Exposed]:
    """What the gateways have recorded and nobody has moved to the lake."""
    found: list[Fact] = []
    for path in batches.journals(data):
        connection = batches.connect(path)
        found += [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
        connection.close()
    return [fact for fact in found if isinstance(fact, Exposed)]


def crossfade(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "crossfade.cli.main", *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False)
