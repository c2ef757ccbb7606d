"""Load from the other core: wrk for as much as goes, a client of our own for a steady rate."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import LOAD_CORE, placed
from benchmarks.servers import Missing, Server

_SCRIPTS = Path(__file__).with_name("wrk")


@dataclass(frozen=True, slots=True)
class Round:
    """One round against one gateway."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    """CPU the gateway used."""

    @property
    def rate(self) -> float:
        """Requests a second by the clock on the wall, which neighbours on the machine disturb."""
        return self.requests / self.seconds

    @property
    def per_core(self) -> float:
        """Requests per second of the gateway's CPU time: what one undisturbed core would serve."""
        return self.requests / max(self.cpu_seconds, 1e-9)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a request."""
        return 1e6 * self.cpu_seconds / max(self.requests, 1)


def wrk(server: Server, seconds: int, *, connections: int = 32, script: str = "units") -> Round:
    """Drive a server as hard as it goes. Raises Missing without wrk, RuntimeError when it printed no result."""
    binary = shutil.which("wrk")
    if binary is None:
        raise Missing("wrk is not installed: apt-get install wrk")
    before = server.process.cpu_seconds()
    command = [binary, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(_SCRIPTS / f"{script}.lua"), server.url]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=placed(LOAD_CORE))
    used = server.process.cpu_seconds() - before
    server.process.check()
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"wrk against {server.name}: {done.stdout}\n{done.stderr}")
    requests, took, errors, p50, p99 = map(int, line.split()[1:])
    return Round(requests, took / 1e6, errors, p50 / 1000, p99 / 1000, used)


@dataclass(frozen=True, slots=True)
class Steady:
    """What came of a steady rate."""

    requests: int
    missing: int
    """Asked and never answered."""
    errors: int
    rate: float
    p50_ms: float
    p99_ms: float


def steady(server: Server, seconds: int, rate: int, *, connections: int = 32, idle: int = 0) -> Steady:
    """So many requests a second; `idle` more connections ask once at the beginning and once at the end."""
    script = Path(__file__).with_name("steady.py")
    numbers = map(str, (server.port, rate, seconds, connections, idle))
    done = subprocess.run(
        [sys.executable, script, *numbers],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=placed(LOAD_CORE),
    )
    server.process.check()
    return Steady(**json.loads(done.stdout))
