"""The gateway as a process on an inherited socket: real store, real journal, signals."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from crossfade.facts import Exposed, Fact, Lease
from crossfade.rim import batches
from crossfade.rim.metrics_text import read_metrics
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

from .gateway_kit import Client, ask, post
from .toy_server import ToyServer, says, slow

SPEC = """
name: ranker
route: /predict
protocol: json
unit: header:x-user-id
lease: {lease}
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - canary:  {{steps: [98%], hold_for: 10m}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


def facts(data: Path) -> list[Fact]:
    found: list[Fact] = []
    for path in batches.journals(data):
        connection = batches.connect(path)
        found += [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
        connection.close()
    return found


@contextmanager
def worker(data: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        command = [sys.executable, "-m", "crossfade.rim.worker", "gateway", "--data", str(data)]
        process = subprocess.Popen([*command, "--fd", str(sock.fileno())], pass_fds=[sock.fileno()])
        try:
            yield process, sock.getsockname()[1]
        finally:
            process.kill()
            process.wait()


@asynccontextmanager
async def beating(store: Store) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.to_thread(store.beat)
            await asyncio.sleep(0.1)

    task = asyncio.ensure_future(beat())
    yield
    task.cancel()


async def until(port: int, body: bytes, seconds: float = 10.0) -> float:
    """Seconds until the answer is this one."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if (await ask(port, post(), 10)).body == body:
            return time.monotonic() - began
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {body!r} within {seconds} s")


def move(store: Store, what: Move) -> None:
    store.act("ranker", what, actor="ann", rule="person", sentence="So.", at=time.time())


async def test_positions_arrive_within_a_second_and_the_lease_is_kept(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        store = Store(tmp_path)
        text = SPEC.format(one=one.url, two=two.url, lease="2s")
        store.add(text, parse(text), time.time())
        with worker(tmp_path) as (process, port):
            assert await until(port, b'"one"') < 10
            async with beating(store):
                await asyncio.sleep(0.5)
                move(store, Move.START)
                assert await until(port, b'"two"') < 1.0
                move(store, Move.HOLD)
                move(store, Move.ROLLBACK)
                assert await until(port, b'"one"') < 1.0
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 15) == 0
        written = facts(tmp_path)
        assert [fact.held for fact in written if isinstance(fact, Lease)] == [True]
        exposed = [fact for fact in written if isinstance(fact, Exposed)]
        assert len(exposed) == len(one.requests) + len(two.requests)
        assert {fact.mode for fact in exposed} == {"champion", "canary"}
        assert 'crossfade_requests_total{arm="v2",mode="canary",reason="",rollout="ranker"' in read_metrics(tmp_path)


async def test_a_silent_controller_leaves_only_the_champion(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        store = Store(tmp_path)
        text = SPEC.format(one=one.url, two=two.url, lease="1s")
        store.add(text, parse(text), time.time())
        move(store, Move.START)
        with worker(tmp_path) as (process, port):
            # Nothing has beaten yet: a gateway that has never heard of a controller exposes nobody.
            await until(port, b'"one"')
            async with beating(store):
                await until(port, b'"two"')
            assert 0.3 < await until(port, b'"one"') < 3.0
            async with beating(store):
                await until(port, b'"two"')
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 15) == 0
        assert [fact.held for fact in facts(tmp_path) if isinstance(fact, Lease)] == [True, False, True]


async def test_a_told_gateway_ends_what_is_in_flight_and_takes_no_more(tmp_path: Path) -> None:
    async with ToyServer(slow(0.5, says(b'"one"'))) as one:
        store = Store(tmp_path)
        text = SPEC.format(one=one.url, two=one.url, lease="2s")
        store.add(text, parse(text), time.time())
        with worker(tmp_path) as (process, port):
            idle = await Client.to(port)
            idle.send(post())
            assert (await idle.answer(10)).status == 200
            busy = await Client.to(port)
            busy.send(post())
            while len(one.requests) < 2:
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert await idle.closed() == b""
            answer = await busy.answer()
            assert (answer.body, answer.get(b"connection")) == (b'"one"', b"close")
            assert await asyncio.to_thread(process.wait, 5) == 0
        assert len([fact for fact in facts(tmp_path) if isinstance(fact, Exposed)]) == 2


async def test_a_killed_gateway_has_recorded_every_reply_that_left(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one:
        store = Store(tmp_path)
        text = SPEC.format(one=one.url, two=one.url, lease="2s")
        store.add(text, parse(text), time.time())
        seen = []
        with worker(tmp_path) as (process, port):
            client = await Client.to(port)
            for _ in range(300):
                client.send(post())
                seen.append((await client.answer(10)).get(b"x-crossfade-decision"))
            process.kill()
            process.wait()
        with worker(tmp_path) as (process, port):
            # The next process of this name brings home what the last one left behind.
            await ask(port, post(), 10)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 10) == 0
        recorded = [fact.decision_id.encode() for fact in facts(tmp_path) if isinstance(fact, Exposed)]
        assert len(recorded) == len(set(recorded)) == 301
        assert set(seen) <= set(recorded)
