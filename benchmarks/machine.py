"""What is measured and where: cores, processes, their CPU seconds and memory, and the interpreter's own build."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "build" / "native"
"""The package with the request path compiled; `make bench` creates it. Without it the sources are measured."""

PEERS = ROOT / "build" / "bench-peers"
"""The virtual environment of peers that come from PyPI; `make bench` creates it."""

CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE = CORES[0]
LOAD_CORE = CORES[-1]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DEBIAN = "/usr/bin/python3.11"


URGENT: list[bool] = []
"""Not empty while something is measured at a steady rate, which leaves the machine to others most of the time."""


@contextmanager
def urgent() -> Iterator[None]:
    """Processes started within go first on their core."""
    URGENT.append(True)
    try:
        yield
    finally:
        URGENT.pop()


def placed(core: int) -> Callable[[], None]:
    """What a child does before it starts: go to its core and, while `URGENT` is set and where the system lets it, go
    before whatever else runs there, so that latencies are the gateway's and not its neighbours'."""
    urgent = bool(URGENT)

    def place() -> None:
        os.sched_setaffinity(0, {core})
        if urgent:
            with suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    return place


class Process:
    """A child process on one core. Only what was started here is ever stopped here."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        core: int,
        log: Path,
        env: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(env or {})},
                pass_fds=pass_fds,
                preexec_fn=placed(core),
            )
        self._log = log

    @property
    def pid(self) -> int:
        """Its number."""
        return self._child.pid

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far. A noisy neighbour does not change it much."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def check(self) -> None:
        """Raise when it has died."""
        if self._child.poll() is not None:
            raise RuntimeError(f"{self._child.args} ended: {self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it, politely first."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(15)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(port: int, process: Process, seconds: float = 20.0) -> None:
    """Until something listens."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        process.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


@cache
def gateway_python() -> tuple[str, dict[str, str], str]:
    """The interpreter for the gateway, its environment, and a sentence about it.

    The interpreter's own build matters: Debian's is made with profile-guided optimisation, one compiled by pyenv often
    is not, and neither says so reliably. So the faster one is taken, by a short trial; the same packages are given
    to both. `CROSSFADE_BENCH_PYTHON` chooses another.
    """
    here = sys.executable
    asked = os.environ.get("CROSSFADE_BENCH_PYTHON")
    others = [asked] if asked else [here, *([_DEBIAN] if Path(_DEBIAN).exists() else [])]
    # In turns and the best of several: one trial beside a neighbour's work would choose the slower one.
    times = [(python, float(_ask(python, _TRIAL))) for _ in range(5) for python in others]
    trials = {python: min(seconds for other, seconds in times if other == python) for python in others}
    chosen = min(trials, key=lambda python: trials[python])
    packages = sysconfig.get_path("purelib")
    ours = NATIVE if (NATIVE / ".compiled").exists() else ROOT / "src"
    env = {"PYTHONPATH": f"{ours}:{packages}" if chosen != here else str(ours)}
    version = _ask(chosen, "import sys; print(sys.version.split()[0])")
    told = f"CPython {version} at {chosen}"
    if len(trials) > 1:
        told += f", {max(trials.values()) / trials[chosen]:.2f} × as fast as the other one here"
    told += "; request path compiled" if ours is NATIVE else "; request path interpreted"
    return chosen, env, told


_TRIAL = """
import time
def one():
    began, found = time.thread_time(), {}
    for n in range(20000):
        key = b"name-%d" % (n % 50)
        found[key.lower()] = found.get(key, 0) + len(f"{n}:{key!r}".encode())
    return time.thread_time() - began
print(min(one() for _ in range(15)))
"""


def _ask(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
