"""The store of several hosts: who hangs does not stop the others, and what changes is heard everywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossfade.console import receiving
from crossfade.console.access import Access
from crossfade.ledger.seals import Seal
from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.lake_place import here
from crossfade.rim.leading import Candidate
from crossfade.rim.record import LiveRecord
from crossfade.rim.routes_feed import StoreWatch
from crossfade.rim.standing import NoData, open_store, standing
from crossfade.rim.stop_orders import Order
from crossfade.rim.stopping import carry_out_all, stop_now
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import VARIABLE
from crossfade.rim.store_leader import Deposed
from crossfade.rim.store_server import IDLE_SECONDS
from crossfade.rim.tokens import Tokens
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema
from rim.test_routes_feed import modes
from rim.test_store import SPEC, move

pytestmark = pytest.mark.skipif(INITDB is None, reason=MISSING)


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    with postgres() as where:
        yield where


@pytest.fixture
def address(running: str, monkeypatch: pytest.MonkeyPatch) -> str:
    address = schema(running)
    monkeypatch.setenv(VARIABLE, address)
    return address


@pytest.fixture
def hosts(address: str, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two hosts: what each keeps for itself is in a folder of its own."""
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    one.add(SPEC, parse(SPEC), 100.0)
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def glance(address: str, hosts: object, tmp_path: Path) -> Iterator[ServerGlance]:
    glance = ServerGlance(address, tmp_path / "other")
    yield glance
    glance.close()


def soon(true: Callable[[], object], within: float = 10.0) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within
        time.sleep(0.002)
    return time.monotonic() - began


def test_what_one_host_changes_the_others_hear(hosts: tuple[Store, Store], glance: ServerGlance) -> None:
    one, other = hosts
    (seen,) = glance.rollouts()
    assert seen.position.phase is Phase.PENDING
    took = []
    for what in (Move.START, *[Move.HOLD, Move.RESUME] * 4):
        before = glance.version()
        move(one, what)
        took.append(soon(lambda before=before: glance.version() != before))  # type: ignore[misc]
    assert glance.rollouts()[0].position == other.get("r1").position
    assert sorted(took)[len(took) // 2] < 0.2, "it is told, and not only found when next asked"
    beats = glance.heartbeat()
    one.beat()
    soon(lambda: glance.heartbeat() == beats + 1)


def test_no_lease_outlives_a_server_that_hangs(
    hosts: tuple[Store, Store], glance: ServerGlance, running: str, address: str
) -> None:
    one, _ = hosts
    move(one, Move.START)
    watch = StoreWatch(glance, lambda: True)
    now = time.monotonic()
    watch.look(now)
    one.beat()
    soon(lambda: watch.look(now).lease)
    stopped = _all_stopped(running)
    try:
        began = time.monotonic()
        looks = [watch.look(now + seconds) for seconds in (1.0, 5.0, 60.0)]
        assert time.monotonic() - began < 0.5, "whoever asks does not wait for it"
        assert [look.lease for look in looks] == [None, None, False]
        assert modes(looks[-1].table) == {"r1": "champion"}
    finally:
        for pid in stopped:
            _signalled(pid, signal.SIGCONT)
    beats = one.heartbeat()
    one.beat()
    soon(lambda: glance.heartbeat() == beats + 1)


def _all_stopped(running: str) -> list[int]:
    """The server hangs: its processes, and those of its connections."""
    with psycopg.connect(running, autocommit=True) as asking:
        (folder,) = asking.execute("SHOW data_directory").fetchone()  # type: ignore[misc]
        pids = [
            row[0] for row in asking.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        ]
    postmaster = int(Path(folder, "postmaster.pid").read_text().split()[0])
    return [pid for pid in [postmaster, *pids] if _signalled(pid, signal.SIGSTOP)]


def _signalled(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


HUNG = """
import sys, time
from pathlib import Path
from crossfade.rim.store import Store
store = Store(Path(sys.argv[1]))
with store._place.writing():
    print("holds", flush=True)
    time.sleep(60.0)
"""


def test_who_hangs_in_a_write_loses_it(hosts: tuple[Store, Store], tmp_path: Path) -> None:
    _, other = hosts
    hung = subprocess.Popen([sys.executable, "-c", HUNG, str(tmp_path / "one")], stdout=subprocess.PIPE, text=True)
    try:
        assert hung.stdout is not None
        assert hung.stdout.readline() == "holds\n"
        hung.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(StoreError, match="lock timeout"):
            Store(tmp_path / "other", busy=0.2).beat()
        while True:
            try:
                move(other, Move.START)
                break
            except StoreError:
                assert time.monotonic() - began < IDLE_SECONDS + 10.0
        assert other.get("r1").position.phase is Phase.RUNNING
    finally:
        hung.kill()
        hung.wait()


def test_a_leader_on_another_host_is_followed_when_it_is_silent(hosts: tuple[Store, Store]) -> None:
    one, other = hosts
    first, second = Candidate(one), Candidate(other)
    term = first.seek(0.0)
    assert term == 1
    one.lead(term)
    # Were it on this host, it would be known to live; of another host only its counter tells.
    with other._place.writing(unfenced=True) as connection:
        connection.exec_driver_sql('UPDATE leader SET holder = \'{"pid": 1, "place": "elsewhere"}\'')
    assert [second.seek(now) for now in (0.0, 2.9)] == [None, None]
    one.leaders.renew(term)
    assert [second.seek(now) for now in (3.1, 6.0)] == [None, None]
    assert second.seek(6.2) == 2
    with pytest.raises(Deposed):
        move(one, Move.START)
    other.lead(2)
    move(other, Move.START)


def test_an_order_to_stop_reaches_every_host(hosts: tuple[Store, Store], glance: ServerGlance, tmp_path: Path) -> None:
    one, other = hosts
    move(one, Move.START)
    assert glance.stopped() == frozenset()
    hung = subprocess.Popen([sys.executable, "-c", HUNG, str(tmp_path / "two")], stdout=subprocess.PIPE, text=True)
    try:
        assert hung.stdout is not None
        assert hung.stdout.readline() == "holds\n"
        order = Order(name="r1", actor="ana", reason="it is on fire", at=200.0)
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(stop_now, tmp_path / "one", order)
            soon(lambda: glance.stopped() == {"r1"}, within=2.0)
            assert other.get("r1").position.phase is Phase.RUNNING, "nobody could write that down yet"
            stopping.result()
    finally:
        hung.kill()
        hung.wait()
    carry_out_all(other)
    entry = other.entries("r1")[-1]
    assert (entry.actor, entry.move) == ("ana", "rollback")
    assert "on fire" in entry.sentence
    soon(lambda: glance.stopped() == frozenset())


def test_a_host_that_has_no_facts_tells_where_a_rollout_stands_and_judges_no_files(
    hosts: tuple[Store, Store], tmp_path: Path
) -> None:
    store = open_store(tmp_path / "bare")
    try:
        assert standing(store, parse(SPEC).name, 101.0)["phase"] == "pending"
    finally:
        store.close()
    hosts[0].seal(Seal(at=101.0, why="periodic"), 0)
    with pytest.raises(NoData, match="does not say where they are") as told:
        LiveRecord(tmp_path / "bare", parse(SPEC).name)
    assert "--lake" in told.value.todo
    (tmp_path / "bare" / "lake").mkdir(exist_ok=True)
    (tmp_path / "bare" / "lake" / "location").write_text("s3://facts/crossfade")
    assert here(tmp_path / "bare")


def test_addresses_are_refused_in_words_that_hold_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for told, words in (
        ("mysql://crossfade:s3cret@db/x", "does not name a PostgreSQL"),
        ("postgresql://crossfade:s3cret@[::1/x", "no address that can be read"),
        ("postgresql://crossfade:s3cret/s3cret@db/x", "no address that can be read"),
        ("postgresql://crossfade:s3cret@db:s3cret/x", "no address that can be read"),
        ("postgresql://crossfade:s3cret@127.0.0.1:1/x", r"cannot read the store at 127\.0\.0\.1:1/x"),
    ):
        monkeypatch.setenv(VARIABLE, told)
        with pytest.raises(StoreError, match=words) as refused:
            Store(tmp_path)
        assert "s3cret" not in str(refused.value)


def test_who_could_not_be_heard_was_not_silent(hosts: tuple[Store, Store], running: str) -> None:
    """The server hangs for longer than a leader may be silent; nobody takes over for that."""
    one, other = hosts
    term = Candidate(one).seek(0.0)
    assert term == 1
    with other._place.writing(unfenced=True) as connection:
        connection.exec_driver_sql('UPDATE leader SET holder = \'{"pid": 1, "place": "elsewhere"}\'')
    second = Candidate(other)
    assert second.seek(0.0) is None
    stopped = _all_stopped(running)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(second.seek, 0.3)
        time.sleep(1.5)
        for pid in stopped:
            _signalled(pid, signal.SIGCONT)
        assert asking.result(30.0) is None
    assert [second.seek(now) for now in (30.0, 32.9)] == [None, None]
    one.leaders.renew(term)
    assert second.seek(33.1) is None
    assert second.seek(36.2) == 2


def test_reports_are_taken_while_the_server_hangs(hosts: tuple[Store, Store], running: str, tmp_path: Path) -> None:
    one, _ = hosts
    inbox = OutcomeInbox(tmp_path / "one")
    app = FastAPI()
    tally = receiving.Tally()
    app.include_router(receiving.router(one, inbox, tally, Access(Tokens(one.data), None), receiving.Door(tally)))
    with TestClient(app) as port:
        reported = [{"rollout": "r1", "unit": "u1", "name": "purchase", "value": 1.0}]
        assert port.post("/api/v1/outcomes", json=reported).json()["accepted"] == 1
        stopped = _all_stopped(running)
        try:
            began = time.monotonic()
            reported.append({"rollout": "r1", "unit": "u2", "name": "purchase", "value": 1.0})
            taken = port.post("/api/v1/outcomes", json=reported)
            assert time.monotonic() - began < 5.0
        finally:
            for pid in stopped:
                _signalled(pid, signal.SIGCONT)
    assert (taken.status_code, taken.json()["accepted"], taken.json()["duplicates"]) == (202, 1, 1)
    inbox.close()
