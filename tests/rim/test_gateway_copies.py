"""Copies beside a canary or an A/B test: what is recorded of both arms, and that no user pays for it."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from crossfade.facts import Compared, Dropped, Exposed
from crossfade.live.assign import assign
from crossfade.live.routes import Route
from crossfade.spec.copies import PerDay
from crossfade.spec.model import Predicted, Protocol

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import ToyServer, echoes, hangs, raw, says, slow

CHAMPIONS = b'{"score": 0.25}'
CHALLENGERS = b'{"score": 0.5}'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def both_ways(one: str, two: str, **changes: Any) -> Route:
    given: dict[str, Any] = {"mode": "ab", "weight": 0.5, "counterfactual": 1.0, "both": True}
    return route(one, two, **(given | changes))


def of_user(name: str, body: bytes = b"{}") -> bytes:
    return post(body, headers=b"X-User-Id: %b\r\n" % name.encode())


async def test_every_request_of_a_drawn_unit_is_paired_whoever_served_it() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        there = both_ways(one.url, two.url, counterfactual=0.5, prediction=Predicted(value="$.score"))
        async with gate(there) as gw:
            for n in range(120):
                unit = f"u{n % 30}"
                mine = CHALLENGERS if assign(there, unit).arm == "v2" else CHAMPIONS
                assert (await ask(gw.port, of_user(unit))).body == mine
            facts = await gw.exposed(120)
            due = {fact.decision_id: fact for fact in facts if fact.copied}
            assert 30 < len(due) < 90
            pairs = await gw.kept.wait(Compared, len(due))
            assert {pair.decision_id for pair in pairs} == due.keys()
            for pair in pairs:
                exposure = due[pair.decision_id]
                assert (pair.served, pair.unit, pair.at) == (exposure.arm, exposure.unit, exposure.at)
                assert (pair.arm, pair.differs, pair.champion_numbers, pair.challenger_numbers) == (
                    *("v2", True),
                    *((0.25,), (0.5,)),
                )
            assert {pair.served for pair in pairs} == {"v1", "v2"}
            units = {fact.unit for fact in facts if fact.copied}
            assert not units & {fact.unit for fact in facts if not fact.copied}, "all requests of a unit, or none"


async def test_copies_in_the_safe_direction_alone_ask_the_champion_nothing_more() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        there = both_ways(one.url, two.url, both=False)
        async with gate(there) as gw:
            for n in range(20):
                await ask(gw.port, of_user(f"u{n}"))
            mine = sum(assign(there, f"u{n}").arm == "v1" for n in range(20))
            pairs = await gw.kept.wait(Compared, mine)
            assert {pair.served for pair in pairs} == {"v1"}
            await asyncio.sleep(0.05)
            assert (len(one.requests), len(two.requests)) == (mine, 20)


@pytest.mark.parametrize("hung", ["champion", "challenger"])
async def test_a_copy_that_hangs_neither_delays_nor_grows(hung: str) -> None:
    """Whose users are served by the other arm wait for nothing; what cannot be copied is counted."""

    async def paced(port: int, mine: bytes) -> float:
        client, took = await Client.to(port), []
        for _ in range(200):
            began = time.perf_counter()
            client.send(of_user("u1"))
            assert (await client.answer()).body == mine
            took.append(time.perf_counter() - began)
        return sorted(took)[100]

    mine = CHALLENGERS if hung == "champion" else CHAMPIONS
    weight = 1.0 if hung == "champion" else 0.0
    behaviours = (hangs, says(CHALLENGERS)) if hung == "champion" else (says(CHAMPIONS), hangs)
    async with ToyServer(behaviours[0]) as one, ToyServer(behaviours[1]) as two:
        async with gate(route(one.url, two.url, mode="ab", weight=weight)) as gw:
            alone = await paced(gw.port, mine)
        async with gate(both_ways(one.url, two.url, weight=weight, at_once=3)) as gw:
            shadows = gw.running.gateway.shadows
            shadows.waiting = 50
            beside = await paced(gw.port, mine)
            assert shadows.queued <= 50
            assert len((one if hung == "champion" else two).requests) <= 3
            async with asyncio.timeout(10):
                while sum(fact.count for fact in gw.kept.of(Dropped)) < 200 - 53:
                    await asyncio.sleep(0.05)
            assert {fact.reason for fact in gw.kept.of(Dropped)} == {"queue-full"}
            assert all(fact.copied for fact in gw.kept.of(Exposed))
        # The machine is shared: this catches waiting on the copy, not a few per cent.
        assert beside < alone * 3 + 0.002


COPIES_OF = {
    "status": (says(b"oh", b"503 No"), "status"),
    "nan": (says(b'{"score": NaN}'), "nan"),
    "cut": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", close=True), "truncated"),
    "garbage": (raw(b"?", close=True), "cut"),
}


@pytest.mark.parametrize("how", COPIES_OF)
async def test_an_arm_that_answers_copies_with_errors_fails_in_the_pair_and_nowhere_else(how: str) -> None:
    behaviour, reason = COPIES_OF[how]
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(behaviour) as two:
        async with gate(both_ways(one.url, two.url, weight=0.0)) as gw:
            answer = await ask(gw.port, post())
            assert (answer.status, answer.body) == (200, CHAMPIONS)
            (pair,) = await gw.kept.wait(Compared)
            assert (pair.challenger_failed, pair.champion_failed, pair.reason) == (True, False, reason)
            (fact,) = await gw.exposed()
            assert (fact.failed, fact.served_by, fact.reason) == (False, "v1", "")


async def test_answers_of_very_different_sizes_are_compared_off_the_loop_or_counted() -> None:
    async with ToyServer(says(json.dumps([0.5] * 40_000).encode())) as one, ToyServer(says(b"[0.5]")) as two:
        async with gate(both_ways(one.url, two.url, weight=1.0)) as gw:
            assert (await ask(gw.port, post())).body == b"[0.5]"
            (pair,) = await gw.kept.wait(Compared, seconds=15.0)
            assert (pair.differs, pair.served) == (True, "v2")
            one.behaviour = says(b"[" + b"0," * 700_000 + b"0]")
            assert (await ask(gw.port, post())).body == b"[0.5]"
            assert [(fact.reason, fact.count) for fact in await gw.kept.wait(Dropped)] == [("large", 1)]
            assert [fact.copied for fact in await gw.exposed(2)] == [True, True]


async def test_streams_are_passed_on_as_they_come_and_compared_when_both_have_ended() -> None:
    def chunk(text: str) -> bytes:
        told = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
        return b"data: %b\n\n" % json.dumps(told).encode()

    def says_slowly(text: str) -> Any:
        async def behave(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(text))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(b"data: [DONE]\n\n")
            await writer.drain()
            writer.close()

        return behave

    async with ToyServer(says_slowly("yes")) as one, ToyServer(says_slowly("no")) as two:
        async with gate(both_ways(one.url, two.url, protocol=Protocol.OPENAI_CHAT)) as gw:
            for unit in ("u1", "u2", "u3", "u4"):
                answer = await ask(gw.port, of_user(unit, b'{"model": "m", "messages": [], "stream": true}'))
                assert answer.body.endswith(b"data: [DONE]\n\n")
            pairs = await gw.kept.wait(Compared, 4)
            assert [(pair.champion_failed, pair.challenger_failed, pair.differs) for pair in pairs] == [
                (False, False, True)
            ] * 4
            assert {pair.served for pair in pairs} == {"v1", "v2"}


async def test_a_days_budget_ends_copies_and_the_record_says_which_are_missing() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        async with gate(both_ways(one.url, two.url, per_day=PerDay(requests=5))) as gw:
            for n in range(20):
                await ask(gw.port, of_user(f"u{n}"))
            assert len(await gw.kept.wait(Compared, 5)) == 5
            assert [fact.copied for fact in await gw.exposed(20)] == [True] * 20
            assert sum(fact.count for fact in await gw.kept.wait(Dropped)) == 15
            assert {fact.reason for fact in gw.kept.of(Dropped)} == {"budget"}


async def test_the_other_arm_killed_in_mid_traffic_fails_no_user() -> None:
    async with ToyServer(slow(0.002, echoes)) as one, ToyServer(slow(0.002, echoes)) as two:
        async with gate(both_ways(one.url, two.url, weight=0.0)) as gw:
            wrong = []

            async def traffic(who: int) -> None:
                client = await Client.to(gw.port)
                for number in range(40):
                    client.send(of_user(f"u{who}", b'"%d-%d"' % (who, number)))
                    answer = await client.answer()
                    if (answer.status, answer.body) != (200, b'"%d-%d"' % (who, number)):
                        wrong.append(answer)

            users = [asyncio.ensure_future(traffic(who)) for who in range(6)]
            await asyncio.sleep(0.05)
            await two.kill()
            await asyncio.gather(*users)
            assert wrong == []
            facts = await gw.exposed(240)
            assert not any(fact.failed for fact in facts)
            async with asyncio.timeout(10):
                while len(gw.kept.of(Compared)) + sum(fact.count for fact in gw.kept.of(Dropped)) < 240:
                    await asyncio.sleep(0.02)
            pairs = gw.kept.of(Compared)
            assert len({pair.decision_id for pair in pairs}) == len(pairs)
            assert {pair.challenger_failed for pair in pairs} == {True, False}
