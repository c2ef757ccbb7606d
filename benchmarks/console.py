"""The cases of the console: how long a page takes with fifty rollouts and millions of facts, and what looking costs."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.cases import Effort, Row
from benchmarks.console_made import ROLLOUTS, SHADOWED, make, save

ROOT = Path(__file__).parents[1]

ONE = f"/rollouts/{SHADOWED}"

PAGES = (
    "/",
    "/rollouts.json",
    "/rollouts.csv",
    ONE,
    f"{ONE}.json",
    f"{ONE}/ledger",
    f"{ONE}/ledger/5",
    f"{ONE}/drift",
    f"{ONE}/differences",
    f"{ONE}/differences?kind=order",
    f"{ONE}/differences?segment=header%3Ax-country%3Dde",
    "/health",
    "/sign-in",
)

CLIENTS, LOOKED = 50, 60.0
"""Browsers that look at the list and at single rollouts, and seconds for which they do."""


def console(effort: Effort) -> Iterator[Row]:
    """Each page in turn from a real control port, then many that look at once while everything changes."""
    facts = int(effort.facts * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        made = os.environ.get("CROSSFADE_BENCH_CONSOLE")
        data = Path(made or folder)
        if not made:
            make(data, facts)
        with _port(data) as (port, pid):
            _settled(port)
            told = {page: _asked(port, pid, page, effort.rounds) for page in PAGES}
            grown, events, cpu = _looked(data, port, pid)
    worst = max(told, key=lambda page: told[page][0])
    wall, slowest = told[worst][0], max(one[1] for one in told.values())
    yield Row(
        case=f"console page, {ROLLOUTS} rollouts and {effort.facts:g}M facts",
        peer="",
        ratio=wall,
        ours=wall,
        theirs=None,
        unit="ms",
        rounds=effort.rounds,
        target="≤ 300 ms",
        holds=wall <= 300.0,
        note=f"median of the slowest of {len(PAGES)} pages, {worst}; at most {slowest:.0f} ms of CPU a page; "
        f"load average {os.getloadavg()[0]:.1f}",
    )
    yield Row(
        case=f"console, {CLIENTS} browsers look at {ROLLOUTS} rollouts that change",
        peer="",
        ratio=grown,
        ours=grown,
        theirs=None,
        unit="MB more",
        rounds=1,
        target="≤ 16 MB",
        holds=grown <= 16.0,
        note=f"between the first fifth and the end of {LOOKED:g} s; {events:.1f} events/s a client, "
        f"{100 * cpu:.0f} % of a core",
    )


@contextlib.contextmanager
def _port(data: Path) -> Iterator[tuple[int, int]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        listening.set_inheritable(True)
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(listening.fileno())]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        process = subprocess.Popen(command, pass_fds=(listening.fileno(),), env=env, stderr=subprocess.DEVNULL)
    try:
        _get(port, "/healthz")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered with {answer.status}: {text[:200]}")
    return text


def _settled(port: int) -> None:
    """Wait until what is summed up in the background has been once."""
    for page in PAGES:
        deadline = time.monotonic() + 300.0
        while "being summed up" in _get(port, page):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{page} waits for ever")
            time.sleep(0.5)


def _asked(port: int, pid: int, page: str, rounds: int) -> tuple[float, float]:
    """Milliseconds until the answer is there, in the median, and of the process's CPU on average."""
    took, before = [], _cpu(pid)
    for _ in range(rounds):
        began = time.perf_counter()
        _get(port, page)
        took.append(1000.0 * (time.perf_counter() - began))
    return median(took), 1000.0 * (_cpu(pid) - before) / rounds


def _looked(data: Path, port: int, pid: int) -> tuple[float, float, float]:
    """MB by which the process grows while all look and everything changes, events a second, share of a core."""
    from crossfade.rim.store import Store

    stop, counts = threading.Event(), [0] * CLIENTS
    for n in range(CLIENTS):
        page = "/" if n % 2 else f"/rollouts/ranker-{n % ROLLOUTS:02d}"
        threading.Thread(target=_look, args=(port, page, n, counts, stop), daemon=True).start()
    store, rng = Store(data), random.Random(3)
    began, cpu, first = time.monotonic(), _cpu(pid), 0.0
    heard = 0
    while time.monotonic() - began < LOOKED:
        for n in rng.sample(range(ROLLOUTS), 10):
            save(store, f"ranker-{n:02d}", rng)
        time.sleep(1.0)
        if not first and time.monotonic() - began > LOOKED / 5:
            first, heard = _rss(pid), sum(counts)
    spent, lasted = _cpu(pid) - cpu, time.monotonic() - began
    grown = _rss(pid) - first
    events = (sum(counts) - heard) / CLIENTS / (lasted * 0.8)
    stop.set()
    store.close()
    return max(0.0, grown), events, spent / lasted


def _look(port: int, page: str, n: int, counts: list[int], stop: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", f"/live?page={page.replace('/', '%2F')}")
        answer = connection.getresponse()
        while not stop.is_set() and (line := answer.readline()):
            counts[n] += line.startswith(b"event:")


def _cpu(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> float:
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024.0


CONSOLE = {"console": console}
