"""A challenger that keeps failing is left alone, its users are served at once, and it comes back by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from crossfade.facts import Exposed, Shown
from crossfade.live.health import FAILURES
from crossfade.spec.model import Arm, Probe, Ranking

from .gateway_kit import Gate, ask, gate, post, route
from .toy_server import Got, ToyServer, free_port, hangs, says

WELL = says(b'{"x": 2}')
BROKEN = says(b"no", b"503 Service Unavailable")


def canary(one: ToyServer, two: str, **changes: Any) -> Any:
    return route(one.url, two, **({"mode": "canary", "weight": 1.0, "deadline": 10.0} | changes))


async def asked(there: Gate, count: int) -> list[Exposed]:
    """The exposures of so many requests, one after the other."""
    before = len(there.kept.of(Exposed))
    for _ in range(count):
        assert (await ask(there.port, post())).status == 200
    return (await there.exposed(before + count))[before:]


async def test_after_a_row_of_failures_the_champion_serves_at_once_and_the_units_stay() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(BROKEN) as two, gate(canary(one, two.url)) as there:
        failing = await asked(there, FAILURES)
        assert {(fact.served_by, fact.reason) for fact in failing} == {("v1", "status")}
        out = await asked(there, 10)
        assert {(f.arm, f.served_by, f.failed, f.reason, f.status) for f in out} == {("v2", "v1", True, "ejected", 200)}
        assert len(two.requests) == FAILURES, "no connect is wasted on it"
        two.behaviour = WELL
        await asyncio.sleep(1.1)
        back = await asked(there, 3)
        assert {(fact.served_by, fact.failed) for fact in back} == {("v2", False)}


async def test_while_it_is_tried_everybody_else_gets_the_champion() -> None:
    async with (
        ToyServer(says(b'{"x": 1}')) as one,
        ToyServer(BROKEN) as two,
        gate(canary(one, two.url, deadline=1.0)) as there,
    ):
        await asked(there, FAILURES)
        two.behaviour = hangs
        await asyncio.sleep(1.05)
        trial = asyncio.ensure_future(ask(there.port, post()))
        while len(two.requests) == FAILURES:
            await asyncio.sleep(0.005)
        began = time.monotonic()
        others = await asked(there, 5)
        assert time.monotonic() - began < 0.4
        assert {fact.reason for fact in others} == {"ejected"}
        assert (await trial).status == 200
        await there.kept.wait(Exposed, FAILURES + 6)
        assert there.kept.of(Exposed)[-1].reason == "timeout"
        # The trial failed: it is out again, and for longer.
        await asyncio.sleep(1.2)
        assert {fact.reason for fact in await asked(there, 2)} == {"ejected"}


async def test_failures_that_the_champion_shares_are_the_requests_own() -> None:
    async with ToyServer(BROKEN) as one, ToyServer(BROKEN) as two, gate(canary(one, two.url)) as there:
        for _ in range(3 * FAILURES):
            assert (await ask(there.port, post())).status == 503
        facts = await there.exposed(3 * FAILURES)
        assert {fact.reason for fact in facts} == {"status"}
        assert len(two.requests) == 3 * FAILURES


async def test_a_hidden_arm_is_asked_however_often_it_fails() -> None:
    hidden: dict[str, Any] = {"mode": "shadow", "weight": 0.0, "mirror": 1.0}
    async with (
        ToyServer(says(b'{"x": 1}')) as one,
        ToyServer(BROKEN) as two,
        gate(canary(one, two.url, **hidden)) as there,
    ):
        facts = await asked(there, 3 * FAILURES)
        assert not any(fact.failed for fact in facts)
        async with asyncio.timeout(5):
            while len(two.requests) < 3 * FAILURES:
                await asyncio.sleep(0.01)


async def test_interleaving_goes_on_with_the_champions_list_which_is_no_evidence() -> None:
    listed = says(b'{"items": ["a", "b"]}')
    changes: dict[str, Any] = {
        "mode": "interleave",
        "method": "team-draft",
        "ranking": Ranking(items="$.items", id="$"),
    }
    async with ToyServer(listed) as one, ToyServer(BROKEN) as two, gate(canary(one, two.url, **changes)) as there:
        await asked(there, FAILURES + 2)
        reasons = [fact.excluded for fact in await there.kept.wait(Shown, FAILURES + 2)]
        assert reasons == ["one-ranker"] * FAILURES + ["ejected"] * 2
        assert len(two.requests) == FAILURES


async def test_a_probe_finds_it_down_before_many_users_do_and_brings_it_back() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(BROKEN) as two:
        arm = Arm(name="v2", url=two.url, probe=Probe(path="/ready", every=0.05))
        async with gate(canary(one, two.url, challengers=(arm,))) as there:
            async with asyncio.timeout(5):
                while there.running.gateway.health.out == 0:
                    await asyncio.sleep(0.01)
            assert {(got.method, got.target) for got in two.requests} == {("GET", b"/ready")}
            assert {fact.reason for fact in await asked(there, 3)} == {"ejected"}
            two.behaviour = WELL
            async with asyncio.timeout(5):
                while there.running.gateway.health.out:
                    await asyncio.sleep(0.01)
            assert {fact.served_by for fact in await asked(there, 3)} == {"v2"}


async def test_a_probe_that_is_an_inference_wants_a_prediction() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(says(b'{"x": NaN}')) as two:
        arm = Arm(name="v2", url=two.url, probe=Probe(path="/predict", every=0.05, body='{"probe": 1}'))
        async with gate(canary(one, two.url, challengers=(arm,))) as there:
            async with asyncio.timeout(5):
                while there.running.gateway.health.out == 0:
                    await asyncio.sleep(0.01)
            first: Got = two.requests[0]
            assert (first.method, first.target, first.body) == ("POST", b"/predict", b'{"probe": 1}')


async def test_probes_of_a_hung_or_absent_arm_end_and_users_notice_nothing() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(hangs) as two:
        arms = (
            Arm(name="v2", url=two.url, probe=Probe(path="/ready", every=0.05)),
            Arm(name="v3", url=f"http://127.0.0.1:{free_port()}", probe=Probe(path="/ready", every=0.05)),
        )
        async with gate(canary(one, two.url, challengers=arms, weight=0.5)) as there:
            async with asyncio.timeout(5):
                while there.running.gateway.health.out < 2:
                    await asyncio.sleep(0.01)
            assert {fact.served_by for fact in await asked(there, 5)} == {"v1"}
            assert two.gone >= FAILURES - 1, "what is given up is closed"
