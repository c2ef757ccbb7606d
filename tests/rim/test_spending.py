"""What shadows may spend: copies under way, requests and cost a day; and texts compared by a function of the user's."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Compared, Dropped
from crossfade.live.routes import RouteTable
from crossfade.rim.endpoints import endpoint
from crossfade.rim.spending import DAY, Spending, at_once
from crossfade.spec.model import Comparator, Comparison, Field, From, PerDay, Priced

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import Got, ToyServer, says

TOKENS = Priced(place=Field(source=From.JSON, name="$.tokens"), price=0.5)


def shadow(one: str, two: str, **changes: Any) -> Any:
    return replace(route(one, two, mode="shadow", mirror=1.0), **changes)


def test_a_budget_is_each_day_s_and_shared_by_workers() -> None:
    one = shadow("http://a", "http://b", per_day=PerDay(requests=5, cost=8.0))
    spending = Spending(workers=2)
    assert [spending.admits(one, 10.0) for _ in range(4)] == [True, True, True, False]
    assert spending.admits(one, DAY + 10.0)
    spending.cost("r", 3.9, DAY + 11.0)
    assert spending.admits(one, DAY + 12.0)
    spending.cost("r", 0.1, DAY + 13.0)
    assert not spending.admits(one, DAY + 14.0)
    assert spending.admits(shadow("http://a", "http://b"), DAY + 14.0)


def test_fewer_copies_at_once_are_shared_by_workers_too() -> None:
    table = RouteTable.of([shadow("http://a", "http://b", at_once=7), shadow("http://c", "http://d")])
    assert at_once(table, 2) == {endpoint("http://a"): 3, endpoint("http://b"): 3}
    assert set(at_once(table, 8).values()) == {1}


async def test_what_the_budget_does_not_allow_is_counted_and_served() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(says(b'{"x": 1}')) as two:
        async with gate(shadow(one.url, two.url, per_day=PerDay(requests=3))) as gw:
            answers = [await ask(gw.port, post()) for _ in range(10)]
            assert [answer.status for answer in answers] == [200] * 10
            await gw.kept.wait(Compared, 3)
            gw.running.gateway.tidy()
            (drop,) = gw.kept.of(Dropped)
            assert (drop.reason, drop.count) == ("budget", 7)
            assert len(two.requests) == 3
            assert len(await gw.exposed(10)) == 10


async def test_a_budget_of_cost_ends_when_it_is_spent() -> None:
    async with ToyServer(says(b'{"tokens": 2}')) as one, ToyServer(says(b'{"tokens": 4}')) as two:
        async with gate(shadow(one.url, two.url, per_day=PerDay(cost=5.0), cost=(TOKENS,))) as gw:
            for n in range(6):
                await ask(gw.port, post())
                await gw.kept.wait(Compared, min(n + 1, 3))
            facts = gw.kept.of(Compared)
            # Two dollars each: the third reply reaches the five.
            assert [(fact.champion_cost, fact.challenger_cost) for fact in facts] == [(1.0, 2.0)] * 3
            gw.running.gateway.tidy()
            assert [(drop.reason, drop.count) for drop in gw.kept.of(Dropped)] == [("budget", 3)]


async def test_no_more_copies_are_under_way_than_is_said() -> None:
    under_way = most = 0

    async def counts(_: Got, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    async with ToyServer(says(b"{}")) as one, ToyServer(counts) as two:
        async with gate(shadow(one.url, two.url, at_once=2)) as gw:
            clients = [await Client.to(gw.port) for _ in range(12)]
            for client in clients:
                client.send(post())
            await gw.kept.wait(Compared, 12)
            assert most == 2
            for client in clients:
                client.close()


EMBED = """
def embed(texts):
    return [[float("cat" in text), float("dog" in text), 0.5] for text in texts]

def slow(texts):
    import time
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["embed", "absent"])
async def test_texts_are_compared_by_the_user_s_function_apart_from_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "own_embed.py").write_text(EMBED)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    rule = Comparison(path="$.answer", how=Comparator.TEXT, by="embedding", embedding=f"own_embed:{name}", within=0.1)
    async with ToyServer(says(b'{"answer": "a cat"}')) as one, ToyServer(says(b'{"answer": "the cat"}')) as two:
        async with gate(shadow(one.url, two.url, compare=(rule,))) as gw:
            assert (await ask(gw.port, post())).status == 200
            (fact,) = await gw.kept.wait(Compared, 1, 60.0)
            assert (fact.differs, fact.fields) == (False, ())
            if name == "embed":
                assert fact.unmeasured == ()
            else:
                assert fact.unmeasured[0].startswith("$.answer: own_embed:absent cannot be loaded: AttributeError")
