"""The emergency stop with real gateways, while the controller is dead, hangs, or hangs with the store in its hands."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.rim import stop_orders
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from crossfade.state import IllegalMove, Move, Phase

from .gateway_kit import ask, post
from .oversight_kit import beats, begin, controllers, crossfade, gateways
from .toy_server import ToyServer, says

HUNG = """
import sys, time
from pathlib import Path
from crossfade.rim import holder
from crossfade.rim.store import Store
store = Store(Path(sys.argv[1]))
term = store.leaders.take(store.leaders.present(), holder.myself())
with store._place.writing():
    print("holds", flush=True)
    time.sleep(600)
"""


@asynccontextmanager
async def traffic(ports: list[int]) -> AsyncIterator[None]:
    """Requests to every gateway, all the time."""
    ending = False

    async def one(port: int) -> None:
        number = 0
        while not ending:
            number += 1
            await ask(port, post(headers=b"X-User-Id: u%d\r\n" % number), 20)
            await asyncio.sleep(0.005)

    tasks = [asyncio.ensure_future(one(port)) for port in ports]
    try:
        yield
    finally:
        ending = True
        await asyncio.gather(*tasks, return_exceptions=True)


async def served(port: int, body: bytes, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while (await ask(port, post(), 20)).body != body:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def last_exposure(data: Path) -> float:
    """When the challenger served somebody for the last time."""
    lake = Lake(data)
    lake.compact_journals()
    rows = lake.table("exposed").to_pylist()
    lake.close()
    assert rows
    return max(float(row["at"]) for row in rows if row["served_by"] == "v2")


def hang(data: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HUNG, str(data)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_rollback_now_while_the_controller_is_gone(tmp_path: Path, how: str) -> None:
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        store = begin(tmp_path, one.url, two.url)
        with controllers(tmp_path) as judging, gateways(tmp_path, 2) as ports:
            for port in ports:
                await served(port, b'"two"')
            async with traffic(ports):
                await asyncio.sleep(0.5)
                judging.signal(0, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
                told = ("rollback", "ranker", "--now", "--reason", "it lies", "--actor", "ana", "--json")
                ran = await asyncio.to_thread(lambda: crossfade(*told, data=tmp_path))
                assert ran.returncode == 0, ran.stdout + ran.stderr
                await asyncio.sleep(1.5)
            entry = json.loads(ran.stdout)
            assert (entry["move"], entry["actor"], entry["by"]["through"]) == ("rollback", "ana", "command line")
            assert store.get("ranker").position.phase is Phase.ROLLED_BACK
            assert not stop_orders.ordered(tmp_path)
            # It comes back, and finds that there is nothing left to decide.
            judging.signal(0, signal.SIGCONT)
            if judging.dead(0):  # also where it was stopped in the middle of a write, and so was ended by the command
                judging.start(0)
            await beats(store, 3)
            for port in ports:
                assert (await ask(port, post(), 20)).body == b'"one"'
        entries = store.entries("ranker")
        assert [one.move for one in entries if one.move] == ["start", "rollback"]
        assert ledger.verify(entries, store.head("ranker")).intact
        assert last_exposure(tmp_path) - entry["at"] < 1.0


async def test_rollback_now_while_a_hung_controller_keeps_everybody_from_writing(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        store = begin(tmp_path, one.url, two.url)
        with gateways(tmp_path, 2) as ports:
            with controllers(tmp_path) as judging:
                for port in ports:
                    await served(port, b'"two"')
                judging.signal(0, signal.SIGTERM)
                await asyncio.to_thread(judging.running[0].wait, 20)
            hung = hang(tmp_path)
            try:
                async with traffic(ports):
                    await asyncio.sleep(0.5)
                    told = ("rollback", "ranker", "--now", "--reason", "it lies", "--actor", "ana")
                    ran = await asyncio.to_thread(lambda: crossfade(*told, data=tmp_path))
                    await asyncio.sleep(1.5)
                assert ran.returncode == 0, ran.stdout + ran.stderr
                assert "A controller that hung and kept others from writing was ended." in ran.stdout
                assert hung.wait(5) == -signal.SIGKILL
            finally:
                hung.kill()
                hung.wait()
        [entry] = [one for one in store.entries("ranker") if one.move == "rollback"]
        assert ledger.verify(store.entries("ranker"), store.head("ranker")).intact
        assert last_exposure(tmp_path) - entry.at < 1.0


def test_an_order_that_nobody_could_write_down_is_carried_out_by_the_next_controller(tmp_path: Path) -> None:
    store = begin(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:2")
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as holding:
        # Somebody else than a controller holds it, whom nobody may end.
        holding.execute("BEGIN IMMEDIATE")
        ran = crossfade("rollback", "ranker", "--now", "-r", "it lies", "--actor", "ana", data=tmp_path)
        assert ran.returncode == 1
        assert "ranker is stopped and every gateway obeys, but the ledger could not be written" in ran.stderr
        assert stop_orders.ordered(tmp_path) == {"ranker"}
    with controllers(tmp_path):
        deadline = time.monotonic() + 30
        while store.get("ranker").position.phase is not Phase.ROLLED_BACK:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    [entry] = [one for one in store.entries("ranker") if one.move == "rollback"]
    assert (entry.actor, entry.sentence) == ("ana", "Rolled back by ana: it lies")
    assert not stop_orders.ordered(tmp_path)


def test_a_damaged_order_is_obeyed_and_told(tmp_path: Path) -> None:
    from crossfade.rim.stopping import carry_out_all

    store = begin(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:2")
    folder = tmp_path / stop_orders.FOLDER
    folder.mkdir(parents=True)
    (folder / "ranker.json").write_text("{")
    (folder / "nobody.json").write_text("{}")
    assert store.stopped() == {"ranker", "nobody"}
    carry_out_all(store)
    assert store.entries("ranker")[-1].sentence.endswith("an order to stop that could not be read")
    assert not store.stopped()


def test_what_cannot_be_stopped_is_refused_before_anything_is_ordered(tmp_path: Path) -> None:
    store = begin(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:2")
    for name, reason, words in (("rankr", "x", "no rollout is named 'rankr'"), ("ranker", " ", "needs a reason")):
        ran = crossfade("rollback", name, "--now", "-r", reason, data=tmp_path)
        assert ran.returncode == 2
        assert words in ran.stderr
    assert not stop_orders.ordered(tmp_path)
    store.act("ranker", Move.ROLLBACK, actor="ann", rule="manual", sentence="So.", at=time.time())
    ran = crossfade("rollback", "ranker", "--now", "-r", "again", data=tmp_path)
    assert (ran.returncode, "cannot rollback a rollout that is rolled back" in ran.stderr) == (2, True)
    with pytest.raises(IllegalMove):
        store.act("ranker", Move.ADVANCE, actor="ann", rule="manual", sentence="So.", at=time.time())


def test_reading_the_store_does_not_wait_for_who_writes(tmp_path: Path) -> None:
    begin(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:2").close()
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as holding:
        holding.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert Store(tmp_path).get("ranker").name == "ranker"
        assert time.monotonic() - began < 2.0
