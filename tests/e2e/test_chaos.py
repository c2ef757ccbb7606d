"""Fifty kills at random moments under load: nothing acknowledged is lost, nothing is counted twice.

The only witness is the load generator, which notes every reply that reached it whole and every outcome that was
acknowledged to it. Afterwards the lake has to tell the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from crossfade.rim import batches
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.recorder import Recorder
from rim.gateway_kit import Client, post
from rim.toy_server import ToyServer, says

from .test_hot import Serving, serving, written

KILLS = 50
SEED = 20
USERS = 8
VICTIMS = ("gateway-0", "gateway-1", "controller", "console")


@dataclass
class Witness:
    """What the clients saw."""

    delivered: set[str] = field(default_factory=set)
    """Decisions whose whole reply arrived."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Outcomes that were answered with 202, with their decisions."""
    broken: int = 0
    """Connections that a kill cut off."""
    resent: int = 0
    waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    stop: bool = False


async def user(port: int, number: int, witness: Witness) -> None:
    """Asks again and again on a connection that is kept, as clients do."""
    client, n = None, 0
    while not witness.stop:
        n += 1
        try:
            client = client or await Client.to(port)
            client.send(post(path=b"/alpha", headers=b"X-User-Id: u%d-%d\r\n" % (number, n % 200)))
            answer = await client.answer(20.0)
        except (OSError, TimeoutError, IndexError):
            answer = None
        if answer is None or not answer.done:
            witness.broken += 1
            if client is not None:
                client.close()
            client = None
            await asyncio.sleep(0.02)
            continue
        assert answer.status == 200, answer
        decision = (answer.get(b"x-crossfade-decision") or b"").decode()
        assert decision, answer.headers
        assert decision not in witness.delivered
        witness.delivered.add(decision)
        if n % 3 == 0:
            witness.waiting.put_nowait(decision)
        await asyncio.sleep(0.002)
    if client is not None:
        client.close()


async def reporter(port: int, witness: Witness) -> None:
    """Reports outcomes in batches, each until it is acknowledged, under the same ids."""
    while not (witness.stop and witness.waiting.empty()):
        batch = [await witness.waiting.get()] if not witness.waiting.empty() else []
        while not witness.waiting.empty() and len(batch) < 50:
            batch.append(witness.waiting.get_nowait())
        if not batch:
            await asyncio.sleep(0.02)
            continue
        named = {f"outcome-of-{decision}": decision for decision in batch}
        items = [{"outcome_id": key, "decision_id": decision, "name": "click"} for key, decision in named.items()]
        body = json.dumps(items).encode()
        while not await _posted(port, body, len(batch)):
            witness.resent += 1
            await asyncio.sleep(0.05)
        witness.acknowledged.update(named)


async def _posted(port: int, body: bytes, count: int) -> bool:
    try:
        client = await Client.to(port)
    except OSError:
        return False
    try:
        client.send(post(body, path=b"/api/v1/outcomes", headers=b"Content-Type: application/json\r\n"))
        answer = await client.answer(20.0)
    except (OSError, TimeoutError, IndexError):
        return False
    finally:
        client.close()
    if not answer.done or answer.status == 503:
        return False
    assert answer.status == 202, answer
    told = json.loads(answer.body)
    assert told["accepted"] + told["duplicates"] == count, told
    return True


async def kill_some(running: Serving, rng: random.Random, kills: int) -> Counter[str]:
    """kill -9 processes that live, at moments drawn by chance."""
    killed: Counter[str] = Counter()
    seen: dict[str, int] = {}
    while killed.total() < kills:
        await asyncio.sleep(rng.uniform(0.05, 1.2))
        name = rng.choice(VICTIMS)
        pid = _pids(running)[name]
        if pid is None or seen.get(name) == pid:
            # Not back yet.
            continue
        os.kill(pid, signal.SIGKILL)
        seen[name] = pid
        killed[name] += 1
    await _all_back(running, seen)
    return killed


async def _all_back(running: Serving, killed: dict[str, int]) -> None:
    """Until each has a successor."""
    async with asyncio.timeout(120.0):
        while any(_pids(running)[name] in (None, pid) for name, pid in killed.items()):
            await asyncio.sleep(0.1)


def _next_start(data: Path) -> int:
    """What the next start of each worker does first: write what a killed one had left. How many facts.

    A successor does so, too. But one that is told to stop before it got there leaves it to the next.
    """
    left = 0
    for tail in sorted((data / batches.FOLDER).glob("*.tail")):
        recorder = Recorder(Journal(data, tail.stem))
        left += recorder.recovered
        recorder.close()
    return left


def _pids(running: Serving) -> dict[str, int | None]:
    pids: dict[str, int | None] = json.loads((running.data / "run" / "serve.json").read_text())["pids"]
    return pids


async def chaos(tmp_path: Path, kills: int) -> None:
    rng, witness = random.Random(SEED), Witness()
    data = tmp_path / "data"
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        spec = written(tmp_path, "alpha", one.url, two.url, lease="60s")
        async with serving(data, spec, workers=2) as running:
            control = int(json.loads((data / "run" / "serve.json").read_text())["control_port"])
            users = [asyncio.create_task(user(running.port, n, witness)) for n in range(USERS)]
            reports = asyncio.create_task(reporter(control, witness))
            killed = await kill_some(running, rng, kills)
            witness.stop = True
            await asyncio.gather(*users)
            await asyncio.wait_for(reports, 60.0)
    left = _next_start(data)
    told = f"{killed} killed; {len(witness.delivered):,} replies, {len(witness.acknowledged):,} outcomes, "
    told += f"{witness.broken} connections cut off, {witness.resent} batches sent again, {left} facts left over"
    print(told)
    assert len(witness.delivered) > 100 * kills
    assert len(witness.acknowledged) > 20 * kills
    _compare(data, witness)


def _compare(data: Path, witness: Witness) -> None:
    """What the lake says against what the clients saw."""
    lake = Lake(data)
    deadline = time.monotonic() + 60.0
    while lake.compact_journals() and time.monotonic() < deadline:
        pass
    exposed = Counter(row[0] for row in _rows(lake, "exposed", "decision_id"))
    told = _rows(lake, "outcome", "outcome_id, decision_id")
    outcomes, joined = Counter(row[0] for row in told), dict(told)
    lake.close()
    assert witness.delivered - set(exposed) == set(), "replies whose exposure is missing"
    assert [key for key, n in exposed.items() if n > 1] == [], "exposures counted twice"
    assert set(witness.acknowledged) - set(outcomes) == set(), "acknowledged outcomes that are lost"
    assert [key for key, n in outcomes.items() if n > 1] == [], "outcomes counted twice"
    assert set(outcomes) == set(witness.acknowledged), "outcomes that nobody reported"
    assert joined == witness.acknowledged
    # A request that a kill cut off may have been served and not delivered; there can be no more of those.
    assert len(exposed) - len(witness.delivered) <= witness.broken


def _rows(lake: Lake, kind: str, columns: str) -> list[tuple[str, ...]]:
    return duckdb.connect().execute(f"SELECT {columns} FROM read_parquet(?)", [lake.files(kind)]).fetchall()


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_fifty_kills_under_load_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    await chaos(tmp_path, KILLS)
