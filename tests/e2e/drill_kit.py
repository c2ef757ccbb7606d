"""A rollout on hosts apart, users of it, and what is done to the hosts meanwhile; `reckoning` says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.live.assign import bucket
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import VARIABLE
from crossfade.state import Move
from rim.engine.postgres_kit import postgres, schema
from rim.s3_kit import environment, made, s3

from .hosts_kit import Host, host, until
from .namespaces_kit import Network, network, stopped

LEASE = 5.0
STEPS = (0.2, 0.5)

SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
lease: {lease:g}s
champion:   {{name: v1, url: "http://{models}:9001"}}
challenger: {{name: v2, url: "http://{models}:9002"}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  purchase: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
stages:
  - canary:  {{steps: [20%, 50%], hold_for: 10h}}
  - promote: {{holdback: 2%, watch: 30d}}
"""

EXPOSED = next(n for n in range(1000) if bucket("alpha", f"u{n}") < STEPS[0])
"""A user who is the challenger's from the first step on."""

WINDOW = tuple[float, float]


@dataclass
class Happened:
    """What was done, and when, in seconds since the epoch."""

    killed: list[tuple[int, float, float]] = field(default_factory=list)
    """Gateways, from the kill until they served again: connections may break, and none be taken."""
    deaf: list[tuple[frozenset[int], float, float]] = field(default_factory=list)
    """Gateways that heard nothing of the store meanwhile."""
    raised: float = float("inf")
    """When the second step was asked for."""
    stopped: float = float("inf")
    """When the rollback was in the ledger."""
    failures: list[tuple[str, float, float]] = field(default_factory=list)
    """What failed, from when until all was well again."""
    measured: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, seconds: float) -> None:
        self.measured.setdefault(what, []).append(seconds)


class Drill:
    """The hosts: three gateways, two controllers, a console, PostgreSQL, an S3 server, models and users."""

    def __init__(self, folder: Path, net: Network, lake: str, where: str) -> None:
        self.folder, self.net, self.lake, self.where = folder, net, lake, where
        self.hosts: dict[str, Host] = {}
        self.happened = Happened()
        self.store = Store(folder / "look")
        self.outcomes: Counter[str] = Counter()
        self._stacks: dict[str, AsyncExitStack] = {}

    async def start(self, name: str, *more: str) -> None:
        """Put a host to work, or again after it was lost, with the folder that it had."""
        part = {"g": "gateway", "c": "controller", "o": "console"}[name[0]]
        address = self.net.address(name)
        told = {
            "gateway": ["--host", address, "--port", "8080"],
            "console": ["--control-host", address, "--control-port", "8090"],
        }.get(part, [])
        self._stacks[name] = AsyncExitStack()
        self.hosts[name] = await self._stacks[name].enter_async_context(
            host(part, self.folder / name, self.lake, *told, *more, inside=self.net.inside(name))
        )

    async def end(self, *names: str) -> None:
        """Stop hosts as a service manager does."""
        for name in names:
            await self._stacks.pop(name).aclose()
            del self.hosts[name]

    async def lose(self, name: str, seconds: float = 3.0) -> None:
        """Kill everything on a host at once, and start it again after a while."""
        began = time.time()
        await self.hosts[name].end(signal.SIGKILL)
        await self.end(name)
        await asyncio.sleep(seconds)
        await self.start(name)
        if name.startswith("g"):
            self.happened.killed.append((int(name[1]), began, time.time()))

    async def kill_worker(self, name: str) -> None:
        """Kill the process that serves; the socket outlives it."""
        began = time.time()
        pid = next(pid for part, pid in self.hosts[name].pids().items() if "gateway" in part)
        os.kill(pid, signal.SIGKILL)
        self.happened.note("exposes again after its worker was killed", await self.exposing([name]))
        self.happened.killed.append((int(name[1]), began, time.time()))

    @asynccontextmanager
    async def deaf(self, *names: str) -> AsyncIterator[None]:
        """Cut gateways off from the store and the facts' place."""
        which = frozenset(int(name[1]) for name in names)
        began = time.time()
        for name in names:
            self.net.cut(name, "pg", "s3")
        yield
        self.happened.deaf.append((which, began, time.time()))
        for name in names:
            self.net.heal(name, "pg", "s3")

    async def act(self, move: Move) -> None:
        """What a person does; again, where the machine was so slow that the server ended it."""
        for attempt in range(5):
            try:
                await asyncio.to_thread(
                    self.store.act, "alpha", move, actor="ann", rule="manual", sentence="So.", at=time.time()
                )
                return
            except StoreError:
                if attempt == 4:
                    raise

    def leader(self) -> str:
        """The host whose controller leads."""
        place = str(self.store.leaders.present().holder["place"]).split()[-1]
        for name in ("c0", "c1"):
            if name in self.hosts and os.readlink(f"/proc/{self.hosts[name].first}/ns/pid") == place:
                return name
        raise AssertionError("nobody here leads")

    async def taken_over(self, since: int) -> float:
        """Seconds until another leads."""

        async def another() -> bool:
            with contextlib.suppress(StoreError):
                return (await asyncio.to_thread(self.store.leaders.present)).term > since
            return False

        return await until(another, 60.0)

    async def exposing(self, names: list[str], within: float = 60.0) -> float:
        """Seconds until each of some gateways gives a user of the challenger the challenger's answer."""

        async def all_do() -> bool:
            return all([await self._answer(name) == b"0.75" for name in names])

        return await until(all_do, within)

    async def _answer(self, name: str) -> bytes:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(5.0):
                reader, writer = await asyncio.open_connection(self.net.address(name), 8080)
                head = f"POST /alpha HTTP/1.1\r\nHost: x\r\nX-User-Id: u{EXPOSED}\r\nConnection: close\r\n"
                writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
                answer = await reader.read()
                writer.close()
                return b"0.75" if b"0.75" in answer else b"0.25" if b"0.25" in answer else b""
        return b""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let PostgreSQL hang: it takes connections and answers nothing."""
        with psycopg.connect(self.where, autocommit=True) as asking:
            (data,) = asking.execute("SHOW data_directory").fetchone() or ("",)
        first = int(Path(data, "postmaster.pid").read_text().split()[0])
        began = time.time()
        stopped(first, signal.SIGSTOP)
        try:
            yield
        finally:
            self.happened.deaf.append((frozenset(range(3)), began, time.time()))
            stopped(first, signal.SIGCONT)

    async def report(self, token: str, ending: asyncio.Event) -> None:
        """Outcomes, whatever happens to the others; every fifth report is said twice."""
        number = 0
        while not ending.is_set():
            number += 1
            units = [{"unit": f"u{n}", "outcome_id": f"o{number}-{n}"} for n in range(20)]
            body = json.dumps([{"rollout": "alpha", "name": "purchase", "value": 1.0, **unit} for unit in units])
            for _ in range(2 if number % 5 == 0 else 1):
                self.outcomes[await self._reported(token, body)] += 1
            await asyncio.sleep(0.5)

    async def _reported(self, token: str, body: str) -> str:
        try:
            async with asyncio.timeout(20.0):
                reader, writer = await asyncio.open_connection(self.net.address("o"), 8090)
                head = f"POST /api/v1/outcomes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())
                answer = await reader.read()
                writer.close()
                return answer.split(b" ", 2)[1].decode()
        except (OSError, IndexError, TimeoutError) as error:
            return type(error).__name__


class Users:
    """The programs that ask, and what they said."""

    def __init__(self, drill: Drill, rate: float, programs: int) -> None:
        self._drill, self.rate, self.programs = drill, rate, programs
        self.files = [drill.folder / f"asked-{n}" for n in range(programs)]
        self.errors: list[dict[str, Any]] = []
        self.unsent = 0
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        gateways = [[self._drill.net.address(f"g{n}"), 8080] for n in range(3)]
        program = str(Path(__file__).with_name("steady_users.py"))
        for file in self.files:
            told = json.dumps({"gateways": gateways, "rate": self.rate / self.programs, "out": str(file)})
            self._running.append(
                await asyncio.create_subprocess_exec(
                    *self._drill.net.network("users"),
                    *(sys.executable, program, told),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=file.with_suffix(".said").open("wb"),
                )
            )

    async def end(self) -> None:
        for process in self._running:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._running:
            assert await asyncio.wait_for(process.wait(), 90) == 0
        for file in self.files:
            for line in file.with_suffix(".said").read_text().splitlines():
                said = json.loads(line)
                self.unsent += said.pop("unsent", 0)
                if said:
                    self.errors.append(said)

    def kill(self) -> None:
        for process in self._running:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def drill(folder: Path) -> AsyncIterator[Drill]:
    """All hosts, up to the point where every gateway exposes; nothing is left of them afterwards."""
    with network() as net, pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as servers:
        for name in ("pg", "s3", "models", "users", "g0", "g1", "g2", "c0", "c1", "o"):
            net.host(name)
        where = servers.enter_context(postgres(net.address("pg"), net.network("pg")))
        url = servers.enter_context(s3(net.address("s3"), net.network("s3")))
        patch.setenv(VARIABLE, schema(where))
        for name, value in environment(url).items():
            patch.setenv(name, value)
        lake = f"{made(url, folder.name)}/crossfade"
        (folder / "spec.yaml").write_text(SPEC.format(lease=LEASE, models=net.address("models")))
        models = await asyncio.create_subprocess_exec(
            *net.network("models"),
            *(sys.executable, str(Path(__file__).with_name("quick_models.py")), net.address("models")),
            *('9001={"score": 0.25}', '9002={"score": 0.75}'),
            stdout=asyncio.subprocess.PIPE,
        )
        assert models.stdout is not None
        assert await asyncio.wait_for(models.stdout.readline(), 60) == b"ready\n"
        made_ = Drill(folder, net, lake, where)
        try:
            await made_.start("c0", str(folder / "spec.yaml"))
            await asyncio.gather(*(made_.start(name) for name in ("c1", "o", "g0", "g1", "g2")))
            await made_.exposing(["g0", "g1", "g2"], within=120.0)
            yield made_
        finally:
            for name in list(made_.hosts):
                await made_.end(name)
            made_.store.close()
            models.kill()
            await models.wait()
