"""One rollout on several hosts: gateways, a control port and two controllers, with PostgreSQL and S3 between them.

A host is a data folder and processes that share nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.rim.lake import Lake
from crossfade.rim.lake_place import settle
from crossfade.rim.store import Store
from crossfade.rim.store_address import VARIABLE
from crossfade.state import Move
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema
from rim.gateway_kit import ask, post
from rim.s3_kit import NO_S3, WITHOUT, environment, made, s3
from rim.toy_server import ToyServer, says

from .hosts_kit import SPEC, Host, host, purchases, until

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(400),
    pytest.mark.skipif(INITDB is None, reason=MISSING),
    pytest.mark.skipif(NO_S3, reason=WITHOUT),
]

ONE, TWO = b'{"score": 0.25}', b'{"score": 0.75}'


@contextmanager
def shared(folder: Path) -> Iterator[str]:
    """What hosts share, in the environment; gives the lake's URL."""
    with postgres() as where, s3() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, schema(where))
        for name, value in environment(url).items():
            patch.setenv(name, value)
        yield f"{made(url, folder.name)}/crossfade"


async def served(gateway: Host, number: int) -> bytes:
    answer = await ask(gateway.port, post(path=b"/alpha", headers=b"X-User-Id: u%d\r\n" % number), 30)
    assert answer.status == 200
    return answer.body


async def shares(gateways: list[Host], counted: Counter[bytes], stop: asyncio.Event) -> None:
    """Users, each on the gateway that a balancer happens to give it."""
    number = 0
    while not stop.is_set():
        number += 1
        counted[await served(gateways[number % len(gateways)], number)] += 1
        await asyncio.sleep(0.004)


async def test_a_rollout_on_five_hosts(tmp_path: Path) -> None:
    with shared(tmp_path) as lake:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(ToyServer(says(ONE)))
            two = await stack.enter_async_context(ToyServer(says(TWO)))
            spec = tmp_path / "spec.yaml"
            spec.write_text(SPEC.format(one=one.url, two=two.url))
            first = await stack.enter_async_context(host("controller", tmp_path / "c0", lake, str(spec)))
            await stack.enter_async_context(host("controller", tmp_path / "c1", lake))
            console = await stack.enter_async_context(host("console", tmp_path / "o", lake, "--control-port", "0"))
            gateways = [
                await stack.enter_async_context(host("gateway", tmp_path / f"g{n}", lake, "--port", "0"))
                for n in range(2)
            ]
            counted: Counter[bytes] = Counter()
            stop = asyncio.Event()
            users = asyncio.create_task(shares(gateways, counted, stop))

            async def both_exposed() -> bool:
                return all([{await served(gateway, n) for n in range(20)} == {ONE, TWO} for gateway in gateways])

            await until(both_exposed, 30)
            token = (console.data / "run" / "token").read_text().strip()
            answer = await ask(console.port, purchases(token, 50), 30)
            assert answer.status == 202, answer.body

            store = Store(tmp_path / "look")
            term = store.leaders.present().term
            # A gateway's process and then the host that decides are lost.
            os.kill(next(pid for name, pid in gateways[0].pids().items() if "gateway" in name), signal.SIGKILL)
            await asyncio.sleep(3.0)
            for pid in [first.process.pid, *first.pids().values()]:
                os.kill(pid, signal.SIGKILL)
            taken_over = await until(lambda: asyncio.to_thread(lambda: store.leaders.present().term > term), 30)
            await until(both_exposed, 30)

            store.act("alpha", Move.ROLLBACK, actor="ann", rule="manual", sentence="So.", at=time.time())

            async def nobody_exposed() -> bool:
                return all([{await served(gateway, n) for n in range(20)} == {ONE} for gateway in gateways])

            rolled_back = await until(nobody_exposed, 10)
            stop.set()
            await users
        assert taken_over < 8.0
        assert rolled_back < 2.0
        assert ledger.verify(store.entries("alpha"), store.head("alpha")).intact
        store.close()
        _each_fact_once(tmp_path, lake, counted)
        print(f"taken over in {taken_over:.1f} s, rolled back in {rolled_back:.2f} s, {sum(counted.values())} answers")


def _each_fact_once(folder: Path, lake: str, counted: Counter[bytes]) -> None:
    settle(folder / "look", lake)
    tables = Lake(folder / "look")
    ids = tables.table("exposed")["decision_id"].to_pylist()
    outcomes = tables.table("outcome")["outcome_id"].to_pylist()
    tables.close()
    assert len(ids) == len(set(ids))
    assert len(ids) >= sum(counted.values())
    assert sorted(outcomes) == sorted(f"o{n}" for n in range(50))
