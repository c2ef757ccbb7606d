"""One rollout on hosts apart, each in a network namespace of its own, under load while hosts and networks fail.

CROSSFADE_DRILL_SECONDS=600 CROSSFADE_DRILL_RATE=5000 is its full size.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.rim.lake_place import Place
from crossfade.state import Move
from rim.engine.postgres_kit import INITDB, MISSING, restart
from rim.s3_kit import NO_S3, WITHOUT

from . import reckoning
from .drill_kit import LEASE, Drill, Users, drill
from .namespaces_kit import missing

SECONDS = float(os.environ.get("CROSSFADE_DRILL_SECONDS", "90"))
RATE = float(os.environ.get("CROSSFADE_DRILL_RATE", "400"))
PROGRAMS = int(os.environ.get("CROSSFADE_DRILL_PROGRAMS", "2" if RATE > 1500 else "1"))
PAUSE = 30.0 if SECONDS >= 300 else 12.0

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900 + 3 * SECONDS),
    pytest.mark.skipif(INITDB is None, reason=MISSING),
    pytest.mark.skipif(NO_S3, reason=WITHOUT),
]

GATEWAYS = ["g0", "g1", "g2"]


async def a_worker_is_killed(hosts: Drill) -> None:
    await hosts.kill_worker("g0")


async def a_gateways_host_is_lost(hosts: Drill) -> None:
    began = time.time()
    await hosts.lose("g1")
    await hosts.exposing(["g1"])
    hosts.happened.note("exposes again, its host lost and put back after 3 s", time.time() - began)


async def the_leader_is_cut_off(hosts: Drill) -> None:
    leader, term = hosts.leader(), hosts.store.leaders.present().term
    hosts.net.cut(leader, "pg")
    hosts.happened.note("another leads, the first cut off", await hosts.taken_over(term))
    await asyncio.sleep(5.0)
    hosts.net.heal(leader, "pg")
    assert hosts.leader() != leader
    await hosts.exposing(GATEWAYS)


async def the_leaders_host_is_lost(hosts: Drill) -> None:
    leader, term = hosts.leader(), hosts.store.leaders.present().term
    losing = asyncio.create_task(hosts.lose(leader, 6.0))
    hosts.happened.note("another leads, the first one's host lost", await hosts.taken_over(term))
    await losing
    await hosts.exposing(GATEWAYS)


async def postgresql_is_restarted(hosts: Drill) -> None:
    await asyncio.to_thread(restart, hosts.where, hosts.net.network("pg"))
    await hosts.exposing(GATEWAYS)


async def postgresql_hangs(hosts: Drill) -> None:
    with hosts.paused():
        await asyncio.sleep(PAUSE)
    hosts.happened.note("all expose again after PostgreSQL hung", await hosts.exposing(GATEWAYS))


async def a_gateway_is_cut_off(hosts: Drill) -> None:
    async with hosts.deaf("g2"):
        await asyncio.sleep(LEASE + 4.0)
        await hosts.exposing(["g0", "g1"], within=30.0)
    hosts.happened.note("a gateway that was cut off exposes again", await hosts.exposing(["g2"]))


async def it_is_rolled_back(hosts: Drill) -> None:
    """With one gateway cut off."""
    await hosts.exposing(GATEWAYS)
    async with hosts.deaf("g2"):
        await asyncio.sleep(0.5)
        await hosts.act(Move.ROLLBACK)
        hosts.happened.stopped = time.time()
        await asyncio.sleep(LEASE + 3.0)


FAILURES = (
    a_worker_is_killed,
    a_gateways_host_is_lost,
    the_leader_is_cut_off,
    postgresql_is_restarted,
    a_gateway_is_cut_off,
    postgresql_hangs,
    the_leaders_host_is_lost,
)


async def test_users_see_nothing_of_what_fails(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    async with drill(tmp_path) as hosts:
        users, ending = Users(hosts, RATE, PROGRAMS), asyncio.Event()
        token = (tmp_path / "o" / "run" / "token").read_text().strip()
        reporting = asyncio.create_task(hosts.report(token, ending))
        await users.start()
        try:
            began, before = time.monotonic(), reckoning.processors()
            await _everything_fails(hosts, began)
            await it_is_rolled_back(hosts)
            took, busy = time.monotonic() - began, reckoning.busy(before, reckoning.processors())
            ending.set()
            await reporting
            await users.end()
            await hosts.end(*GATEWAYS, "o")
            await _moved(hosts)
            reckoning.settled(hosts)
        finally:
            ending.set()
            users.kill()
        _reckoned(hosts, users, took, busy)


async def _everything_fails(hosts: Drill, began: float) -> None:
    """One thing after another, and again, for as long as is asked."""
    await asyncio.sleep(3.0)
    rounds = 0
    while not rounds or time.monotonic() - began < SECONDS - 20.0:
        for failure in FAILURES:
            print(f"{time.monotonic() - began:6.1f} s  {failure.__name__}", flush=True)
            at = time.time()
            await failure(hosts)
            await asyncio.sleep(2.0)
            hosts.happened.failures.append((failure.__name__, at, time.time()))
            if rounds and time.monotonic() - began > SECONDS - 20.0:
                break
        if not rounds:
            hosts.happened.raised = time.time()
            await hosts.act(Move.ADVANCE)
            await asyncio.sleep(3.0)
        rounds += 1


async def _moved(hosts: Drill) -> None:
    """Until the controller has moved what the gateways have sent."""
    deadline = time.monotonic() + 300.0
    place = Place(hosts.folder / "c0")
    while await asyncio.to_thread(place.names, "journals"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


def _each(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f} s" for one in seconds)


def _reckoned(hosts: Drill, users: Users, took: float, busy: float) -> None:
    happened, said = hosts.happened, reckoning.asked(users)
    median, most, longest = reckoning.lag(said)
    rows: dict[str, object] = {
        "answers": f"{len(said):,} in {took:.0f} s: {len(said) / took:,.0f} a second ({users.rate:,.0f} asked for)",
        "not sent, since no connection was free": f"{users.unsent:,}",
        "to an answer": f"median {median:.1f} ms, 99 % {most:.1f} ms, longest {longest:.0f} ms",
        "processors of this machine": f"{busy:.0%} busy",
        **{what: _each(each) for what, each in happened.measured.items()},
        **{
            f"without the challenger while {what}": _each(each) for what, each in reckoning.gaps(said, happened).items()
        },
    }
    reached, cut = reckoning.after_the_rollback(said, happened, 2)
    rows["rolled back"] = f"{reached:.2f} s, at the gateway that was cut off {cut:.2f} s (lease {LEASE:g} s)"
    rows["outcomes reported"] = dict(hosts.outcomes)
    print(reckoning.table(rows), flush=True)
    rows = {"connections of killed gateways": dict(reckoning.errors(users, happened))}
    rows |= reckoning.exposure(said, happened)
    rows |= reckoning.facts(hosts.folder, hosts.lake, said, happened)
    entries = hosts.store.entries("alpha")
    checked = ledger.verify(entries, hosts.store.head("alpha"))
    rows["ledger"] = f"{len(entries)} entries, {'intact' if checked.intact else checked.reason}"
    print(reckoning.table(rows), flush=True)
    assert checked.intact
    assert [entry.move for entry in entries if entry.actor == "ann"] == ["advance", "rollback"]
    assert set(hosts.outcomes) == {"202"}
    assert reached < 1.0
    assert cut < LEASE + reckoning.HEARD
    for what, each in happened.measured.items():
        if what.startswith("another leads"):
            assert max(each) < 5.0, what
