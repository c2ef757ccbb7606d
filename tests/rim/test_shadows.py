"""Copies against model servers that flood, refuse or come back: what is read, what is tried, what is told."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from crossfade.facts import Compared, Dropped
from crossfade.live.exchange.messages import Head
from crossfade.rim.endpoints import endpoint
from crossfade.rim.limits import Limits
from crossfade.rim.shadows import Copy, Shadows

from .gateway_kit import Client, gate, post, route
from .toy_server import Got, ToyServer, free_port, hangs, says, sized

SMALL = b'{"score": 0.5}'
ASKED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


class Heard:
    """Keeps what became of each copy, and how many bytes were passed on."""

    def __init__(self) -> None:
        self.ends: dict[int, str] = {}
        self.sent: set[int] = set()
        self.bytes = 0

    def started(self, call: int, timeout: float) -> None:
        self.sent.add(call)

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        self.bytes += len(body)
        if ended:
            self.end(call, "whole")

    def failed(self, call: int, kind: str) -> None:
        self.end(call, kind)

    def end(self, call: int, how: str) -> None:
        assert call not in self.ends, "a copy ended twice"
        self.ends[call] = how

    async def all(self, count: int, seconds: float = 10.0) -> list[str]:
        async with asyncio.timeout(seconds):
            while len(self.ends) < count:
                await asyncio.sleep(0.002)
        return [self.ends[call] for call in sorted(self.ends)]


def submit(shadows: Shadows, heard: Heard, url: str, count: int, first: int = 0) -> list[Copy | None]:
    return [shadows.submit(heard, call, endpoint(url), (ASKED,), 5.0) for call in range(first, first + count)]


async def endless(_: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with suppress(OSError):
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()


async def test_a_flood_is_read_at_a_bounded_rate_and_cut() -> None:
    async with ToyServer(endless) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), read=2_000_000, burst=1_000_000, waiting=1000), Heard()
        submit(shadows, heard, server.url, 500)
        began = time.monotonic()
        await asyncio.sleep(1.5)
        took = time.monotonic() - began
        # What is read in one go is what the loop's buffer holds, so that each copy under way may pass by one read.
        assert heard.bytes < 1_000_000 + took * 2_000_000 + 32 * 256_000
        assert set(heard.ends.values()) == {"flood"}
        assert len(heard.sent) < 60, "a flood is asked less often"
        assert len(heard.ends) > 400
        assert shadows.queued <= 16, "what would have to wait for long is let go"
        assert submit(shadows, heard, server.url, 20, first=500)[-1] is None
        shadows.close()


async def test_a_flood_does_not_keep_another_address_from_being_asked() -> None:
    async with ToyServer(endless) as flood, ToyServer(says(SMALL)) as well:
        shadows, heard, other = Shadows(asyncio.get_running_loop(), read=1_000_000, burst=500_000), Heard(), Heard()
        submit(shadows, heard, flood.url, 200)
        await asyncio.sleep(0.2)
        submit(shadows, other, well.url, 200)
        assert set(await other.all(200, 2.0)) == {"whole"}
        shadows.close()


async def test_a_server_that_stops_flooding_is_asked_as_before() -> None:
    async with ToyServer(endless) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), read=4_000_000, burst=1_000_000), Heard()
        submit(shadows, heard, server.url, 40)
        async with asyncio.timeout(5):
            while "flood" not in heard.ends.values():
                await asyncio.sleep(0.002)
        server.behaviour = says(SMALL)
        await heard.all(40)
        later = Heard()
        began = time.monotonic()
        submit(shadows, later, server.url, 400)
        assert set(await later.all(400)) == {"whole"}
        assert time.monotonic() - began < 3.0
        shadows.close()


async def test_what_is_not_too_much_is_never_cut() -> None:
    async with ToyServer(says(bytes(20_000))) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), read=1, burst=20_000 * 101), Heard()
        submit(shadows, heard, server.url, 100)
        assert await heard.all(100) == ["whole"] * 100
        shadows.close()


async def test_a_reply_that_says_it_is_too_long_is_cut_at_its_head() -> None:
    async def announced(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n" + bytes(100))
        await asyncio.sleep(3600)

    async with ToyServer(announced) as server:
        shadows, heard = Shadows(asyncio.get_running_loop()), Heard()
        submit(shadows, heard, server.url, 3)
        assert await heard.all(3) == ["large"] * 3
        async with asyncio.timeout(5):
            while server.gone < 3:
                await asyncio.sleep(0.002)
        assert shadows.pool.open_connections == 0
        shadows.close()


async def test_an_address_that_refused_is_not_tried_for_every_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    loop = asyncio.get_running_loop()
    shadows, heard = Shadows(loop), Heard()
    connect = loop.create_connection
    monkeypatch.setattr(
        loop, "create_connection", lambda *what, **how: tried.append(time.monotonic()) or connect(*what, **how)
    )
    url = f"http://127.0.0.1:{free_port()}"
    for call in range(100):
        submit(shadows, heard, url, 1, first=call)
        await asyncio.sleep(0.004)
    assert await heard.all(100) == ["refused"] * 100
    assert heard.sent == set(range(100)), "each was sent as far as anybody can tell"
    assert 2 <= len(tried) <= 12, "one attempt in a tenth of a second"
    shadows.close()


async def test_an_address_that_accepts_again_is_found_soon() -> None:
    shadows, heard, port = Shadows(asyncio.get_running_loop()), Heard(), free_port()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(sized(SMALL))
        writer.close()

    submit(shadows, heard, f"http://127.0.0.1:{port}", 1)
    assert await heard.all(1) == ["refused"]
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        began, call = time.monotonic(), 1
        while "whole" not in heard.ends.values():
            assert time.monotonic() - began < 2.0
            submit(shadows, heard, f"http://127.0.0.1:{port}", 1, first=call)
            call += 1
            await asyncio.sleep(0.01)
        shadows.close()


async def test_a_copy_withdrawn_from_a_flooded_lane_frees_its_place() -> None:
    async with ToyServer(hangs) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), concurrent=1, waiting=3), Heard()
        submit(shadows, heard, server.url, 1)
        await asyncio.sleep(0.05)
        waiting = submit(shadows, heard, server.url, 4, first=1)
        assert [copy is None for copy in waiting] == [False, False, False, True]
        for copy in waiting[:3]:
            assert copy is not None
            copy.cancel()
        assert (shadows.queued, shadows.bytes_kept) == (0, len(ASKED))
        assert heard.ends == {}
        shadows.close()


async def test_copies_that_the_end_of_the_gateway_cuts_off_are_no_failures() -> None:
    async with ToyServer(hangs) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), concurrent=2), Heard()
        submit(shadows, heard, server.url, 5)
        async with asyncio.timeout(5):
            while len(server.requests) < 2:
                await asyncio.sleep(0.002)
        shadows.close()
        assert await heard.all(5) == ["shutdown"] * 5
        await asyncio.sleep(0.02)
        assert shadows.queued == 0


# -- as facts ----------------------------------------------------------------------------------------------------------


async def test_users_get_their_answers_beside_a_flood_and_every_copy_is_accounted_for() -> None:
    async with ToyServer(says(SMALL)) as one, ToyServer(endless) as two:
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0)) as gw:
            gw.running.gateway.shadows.burst = 500_000
            client = await Client.to(gw.port)
            for _ in range(700):
                client.send(post())
                assert (await client.answer()).body == SMALL
            async with asyncio.timeout(10):
                while sum(fact.count for fact in gw.kept.of(Dropped)) < 60:
                    await asyncio.sleep(0.05)
            assert {fact.reason for fact in gw.kept.of(Dropped)} <= {"flood", "large", "queue-full"}
            assert "flood" in {fact.reason for fact in gw.kept.of(Dropped)}
            assert gw.kept.of(Compared) == [], "what was cut by us is no failure of the challenger"


async def test_every_copy_that_is_refused_is_a_failure_of_the_challenger() -> None:
    async with ToyServer(says(SMALL)) as one:
        async with gate(route(one.url, f"http://127.0.0.1:{free_port()}", mode="shadow", mirror=1.0)) as gw:
            client = await Client.to(gw.port)
            for _ in range(100):
                client.send(post())
                assert (await client.answer()).body == SMALL
            facts = await gw.kept.wait(Compared, 100)
            assert {(fact.challenger_failed, fact.champion_failed, fact.reason) for fact in facts} == {
                (True, False, "refused")
            }
            assert gw.kept.of(Dropped) == []


async def test_what_a_hung_arm_keeps_in_memory_is_bounded_by_bytes() -> None:
    async with ToyServer(hangs) as server:
        shadows, heard = Shadows(asyncio.get_running_loop(), most_bytes=10 * len(ASKED)), Heard()
        copies = submit(shadows, heard, server.url, 12)
        assert [copy is None for copy in copies] == [False] * 10 + [True] * 2
        async with asyncio.timeout(5):
            while len(server.requests) < 10:
                await asyncio.sleep(0.002)
        # They have been sent, and are kept all the same: a connection may turn out stale, an answer will be compared.
        assert shadows.bytes_kept == 10 * len(ASKED)
        assert submit(shadows, heard, server.url, 1, first=20) == [None]
        one, two, *others = [copy for copy in copies if copy is not None]
        one.cancel()
        assert submit(shadows, heard, server.url, 1, first=21) != [None]
        two.cancel()
        assert others[0].keep(len(ASKED)), "the champion's answer takes the room that became free"
        assert not others[1].keep(1), "and there is none for another"
        assert heard.ends == {3: "dropped"}
        waits = Shadows(asyncio.get_running_loop(), concurrent=1, most_bytes=2 * len(ASKED))
        _, waiting = submit(waits, heard, server.url, 2, first=30)
        assert waiting is not None
        await asyncio.sleep(0.05)
        assert not waiting.keep(1), "one that has not been sent leaves its queue"
        assert (waits.queued, waits.bytes_kept, heard.ends[31]) == (0, len(ASKED), "dropped")
        waits.close()
        shadows.close()
        assert shadows.bytes_kept == 0


async def test_champions_answers_kept_for_a_hung_arm_are_bounded_and_drops_are_told() -> None:
    body, answer = bytes(2_000), bytes(30_000)
    async with ToyServer(says(answer)) as one, ToyServer(hangs) as two:
        limits = Limits(copy_bytes=100_000)
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0), limits=limits) as gw:
            client = await Client.to(gw.port)
            for _ in range(40):
                client.send(post(body))
                assert (await client.answer()).body == answer
                assert gw.running.gateway.shadows.bytes_kept <= 100_000
            # Three are kept with their answers; the others' had no room, whether their copies had been sent or not.
            dropped = await gw.kept.wait(Dropped, 1)
            assert {fact.reason for fact in dropped} == {"queue-full"}
            gw.running.gateway.tidy()
            assert sum(fact.count for fact in gw.kept.of(Dropped)) == 37
            client.close()
