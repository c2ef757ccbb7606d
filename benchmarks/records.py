"""The cases of the record: what keeping an exposure costs, outcomes made durable over HTTP, bytes in the lake."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.cases import Effort, Row
from benchmarks.machine import GATEWAY_CORE, LOAD_CORE, placed

BATCH = 1000


def traffic(count: int, *, rate: float = 1000.0, seed: int = 1) -> list[object]:
    """Exposures as a busy canary makes them: random ids and latencies, ten requests a unit, two segments."""
    from crossfade.facts import Exposed
    from crossfade.rim.identity import decision_id

    rng, at, found = random.Random(seed), 1_700_000_000.0, []
    for _ in range(count):
        at += rng.expovariate(rate)
        arm = "v2" if rng.random() < 0.2 else "v1"
        failed = rng.random() < 0.01
        latency = rng.lognormvariate(2.5, 0.5)
        found.append(
            Exposed(
                rollout="ranker-v2",
                revision="6f1ed002ab55",
                decision_id=decision_id(at),
                at=at,
                unit=f"user-{rng.randrange(max(count // 10, 1))}",
                arm=arm,
                served_by=arm,
                mode="canary",
                stage=1,
                step=2,
                weight=0.2,
                status=500 if failed else 200,
                failed=failed,
                reason="status" if failed else "",
                latency_ms=latency,
                total_ms=latency + rng.uniform(0.1, 0.4),
                size=rng.randrange(400, 4000),
                segments=(rng.choice(["de", "fr", "us", "gb"]), rng.choice(["ios", "android", "web"])),
            )
        )
    return list(found)


def journal(effort: Effort) -> Iterator[Row]:
    """`Recorder.record` as the request path calls it: CPU of the calling thread alone, then of the whole process."""
    from crossfade.rim.journal import Journal
    from crossfade.rim.recorder import Recorder

    facts = traffic(50_000)
    own, whole = [], []
    for _ in range(effort.rounds):
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder(Journal(Path(folder), "w0"))
            began = time.process_time()
            for place in range(0, len(facts), 500):
                for fact in facts[place : place + 500]:
                    recorder.record(fact)  # type: ignore[arg-type]
                recorder.flush()
            whole.append((time.process_time() - began) / len(facts) * 1e6)
            thread = time.thread_time()
            for fact in facts:
                recorder.record(fact)  # type: ignore[arg-type]
            own.append((time.thread_time() - thread) / len(facts) * 1e6)
            assert recorder.dropped == 0, "facts were dropped, so the figure means nothing"
            recorder.close()
    cost = median(own)
    yield Row(
        case="journal append, per exposure",
        peer="",
        ratio=cost,
        ours=cost,
        theirs=None,
        unit="µs of CPU",
        rounds=effort.rounds,
        target="≤ 5",
        holds=cost <= 5.0,
        note=f"on the request path; {median(whole):.1f} µs with the commit of groups of 500 behind it",
    )


def outcomes(effort: Effort) -> Iterator[Row]:
    """Batches of 1,000 posted to a control port of its own process on one core; each is answered once it is durable."""
    rates, walls = [], []
    count = 100
    for round_ in range(min(effort.rounds, 5)):
        with tempfile.TemporaryDirectory() as folder:
            bodies = [_body(round_, at) for at in range(count)]
            rate, wall = _posted(Path(folder), bodies)
            rates.append(rate)
            walls.append(wall)
    found = median(rates)
    yield Row(
        case="outcomes over HTTP, batches of 1,000, durable",
        peer="",
        ratio=found,
        ours=found,
        theirs=None,
        unit="outcomes/s of one core",
        rounds=len(rates),
        target="≥ 50,000",
        holds=found >= 50_000.0,
        note=f"{median(walls):,.0f}/s by the clock, one client that waits for each answer",
    )


def lake(effort: Effort) -> Iterator[Row]:
    """Bytes an exposure, as committed once a second at 1,000 requests a second and after files were put together."""
    from crossfade.rim.journal import Journal
    from crossfade.rim.lake import Lake

    facts, batch = traffic(100_000), 1000
    with tempfile.TemporaryDirectory() as folder:
        kept, tables = Journal(Path(folder), "w0"), Lake(Path(folder))
        for place in range(0, len(facts), batch):
            kept.append(facts[place : place + batch])  # type: ignore[arg-type]
            tables.compact_journals()
        loose = _bytes(tables) / len(facts)
        tables.optimize(small_files=1)
        tight = _bytes(tables) / len(facts)
        log = sum(path.stat().st_size for path in (Path(folder) / "lake/exposed/_delta_log").iterdir()) / len(facts)
        tables.close()
    yield Row(
        case="bytes an exposure in the lake",
        peer="",
        ratio=tight,
        ours=tight,
        theirs=None,
        unit="bytes",
        rounds=1,
        target="≤ 60",
        holds=tight <= 60.0,
        note=f"{loose:.1f} before small files are put together; the table's log adds {log:.1f} until it is pruned",
    )


def _bytes(tables: object) -> int:
    return sum(os.path.getsize(file) for file in tables.files("exposed"))  # type: ignore[attr-defined]


def _body(round_: int, place: int) -> bytes:
    rng = random.Random(round_ * 1000 + place)
    items = [
        {
            "outcome_id": f"{rng.getrandbits(128):032x}",
            "decision_id": f"{rng.getrandbits(128):032x}",
            "name": "purchase",
            "value": 1.0,
            "at": 1_700_000_000.0 + n,
        }
        for n in range(BATCH)
    ]
    return json.dumps(items).encode()


def _posted(data: Path, bodies: list[bytes]) -> tuple[float, float]:
    """Outcomes per second of the control port's CPU, and by the clock."""
    from crossfade.rim.store import Store

    Store(data).close()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        fd, port = listening.fileno(), listening.getsockname()[1]
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(fd)]
        server = subprocess.Popen(command, pass_fds=(fd,), stderr=subprocess.DEVNULL, preexec_fn=placed(GATEWAY_CORE))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60.0)
        client.request("GET", "/healthz")
        client.getresponse().read()
        for warm in (True, False):
            some = bodies[:5] if warm else bodies[5:]
            began, cpu = time.perf_counter(), _cpu(server.pid)
            for body in some:
                client.request("POST", "/api/v1/outcomes", body, {"content-type": "application/json"})
                answer = json.loads(client.getresponse().read())
                if answer.get("accepted") != BATCH:
                    raise RuntimeError(f"the control port did not take a batch: {answer}")
        wall, cpu = time.perf_counter() - began, _cpu(server.pid) - cpu
        client.close()
    finally:
        os.sched_setaffinity(0, before)
        server.terminate()
        server.wait(timeout=30.0)
    return len(some) * BATCH / cpu, len(some) * BATCH / wall


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


RECORDS = {"journal": journal, "outcomes": outcomes, "lake": lake}
