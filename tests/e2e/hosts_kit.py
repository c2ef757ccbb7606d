"""Processes of a rollout on several hosts, and what is asked of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from .namespaces_kit import first, processes

SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
lease: 5s
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  purchase: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
stages:
  - canary:  {{steps: [50%], hold_for: 1h}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


class Host:
    """One `crossfade gateway`, `controller` or `console`."""

    def __init__(self, data: Path, process: asyncio.subprocess.Process, told: dict[str, object]) -> None:
        self.data, self.process = data, process
        self.port = int(str(told["data"] or told["control"] or ":0").rpartition(":")[2])
        self.first = first(process.pid)
        """The number of its first process; with that one, a host that has numbers of its own ends."""

    def pids(self) -> dict[str, int]:
        """The numbers of its processes, by name."""
        told = dict(json.loads((self.data / "run" / "serve.json").read_text())["pids"])
        if self.first == self.process.pid:
            return told
        here = processes(self.first)
        return {name: here[pid] for name, pid in told.items()}

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, and wait for that."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, number)
            await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def host(part: str, data: Path, lake: str, *more: str, inside: Sequence[str] = ()) -> AsyncIterator[Host]:
    """Start one. `inside`: what its command begins with, so that it runs on a host of its own."""
    command = [sys.executable, "-m", "crossfade.cli.main", part, "--data", str(data), "--lake", lake, "--json", *more]
    errors = (data.parent / f"{data.name}.err").open("ab")
    process = await asyncio.create_subprocess_exec(*inside, *command, stdout=asyncio.subprocess.PIPE, stderr=errors)
    started: Host | None = None
    try:
        assert process.stdout is not None
        told = b""
        while not told.endswith(b"}\n"):
            line = await asyncio.wait_for(process.stdout.readline(), 240)
            assert line, Path(errors.name).read_text()
            told += line
        started = Host(data, process, json.loads(told))
        yield started
    finally:
        if started is not None:
            await started.end()
        elif process.returncode is None:
            process.kill()
        errors.close()


def purchases(token: str, count: int) -> bytes:
    """A report of outcomes as it goes over the wire."""
    units = [{"unit": f"u{n}", "outcome_id": f"o{n}"} for n in range(count)]
    body = json.dumps([{"rollout": "alpha", "name": "purchase", "value": 1.0, **unit} for unit in units]).encode()
    head = f"POST /api/v1/outcomes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def until(true: Callable[[], Awaitable[bool]], within: float) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not await true():
        assert time.monotonic() - began < within
        await asyncio.sleep(0.02)
    return time.monotonic() - began
