"""Bodies too large to hold, trailers, and what the gateway refuses because there is too much of it."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from crossfade.facts import Dropped, Exposed
from crossfade.rim.limits import Limits
from crossfade.spec.model import Arm

from .gateway_kit import Client, Gate, ask, gate, post, route
from .toy_server import Got, ToyServer, echoes, hangs, raw, says, sized

MIB = 1 << 20


class RawModel:
    """A model server that sees every byte as it comes and does with it what a test says."""

    def __init__(self, behave: Callable[[RawModel, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]):
        self.behave = behave
        self.head = b""
        self.got = 0
        self.body = b""
        self.cut = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> RawModel:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=8 * MIB)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.head = await reader.readuntil(b"\r\n\r\n")
            await self.behave(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.cut.set()
        finally:
            writer.close()

    async def read(self, reader: asyncio.StreamReader, size: int) -> None:
        while self.got < size:
            piece = await reader.read(65536)
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            self.got += len(piece)
            self.body += piece

    async def until(self, size: int) -> None:
        async with asyncio.timeout(5):
            while self.got < size:
                await asyncio.sleep(0.005)


async def swallow(model: RawModel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = int(model.head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await model.read(reader, size)
    writer.write(sized(b"%d" % size))


async def never_reads(_: RawModel, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def head(size: int, extra: bytes = b"") -> bytes:
    return b"POST /predict HTTP/1.1\r\nHost: a\r\nX-User-Id: u\r\nContent-Length: %d\r\n%b\r\n" % (size, extra)


async def released(gw: Gate) -> None:
    async with asyncio.timeout(5):
        while gw.running.gateway.held or gw.running.gateway.in_flight:
            await asyncio.sleep(0.01)


async def test_a_large_body_is_passed_on_while_it_arrives() -> None:
    async with RawModel(swallow) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        body = bytes(range(256)) * (4 * 4096)
        client.send(head(len(body)) + body[: 2 * MIB])
        await model.until(2 * MIB)
        assert b"Content-Length: %d\r\n" % len(body) in model.head
        assert gw.running.gateway.held == 0
        client.send(body[2 * MIB :] + post(b"next")[:0])
        assert (await client.answer()).body == b"%d" % len(body)
        assert model.body == body
        (fact,) = await gw.exposed()
        assert (fact.status, fact.failed, fact.unit, fact.mode) == (200, False, "u", "champion")
        await released(gw)


async def test_the_connection_is_good_for_more_after_an_upload() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        body = bytes(3 * MIB)
        client.send(post(b"1") + post(body) + post(b"2") + post(body) + post(b"3"))
        answers = await client.answers(5, 20)
        assert [len(answer.body) for answer in answers] == [1, 3 * MIB, 1, 3 * MIB, 1]
        assert [len(got.body) for got in model.requests] == [1, 3 * MIB, 1, 3 * MIB, 1]
        await released(gw)


async def test_a_model_that_does_not_read_stops_the_client() -> None:
    async with RawModel(never_reads) as model:
        impatient = replace(route(model.url, ""), champion=Arm(name="v1", url=model.url, timeout=1.0))
        async with gate(impatient) as gw:
            await _flooded(gw)


async def _flooded(gw: Gate) -> None:
    client = await Client.to(gw.port)
    client.send(head(512 * MIB))
    sent = 0

    async def push() -> None:
        nonlocal sent
        while True:
            client.send(bytes(MIB))
            await client.writer.drain()
            sent += MIB

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(push(), 0.7)
    # What the kernel's buffers of four sockets take, and a few reads of ours.
    assert sent < 40 * MIB
    client.writer.transport.abort()
    (fact,) = await gw.exposed()
    assert fact.reason in ("client-left", "timeout")
    await released(gw)


async def test_chunks_of_unknown_length_leave_as_chunks_with_their_trailers() -> None:
    async def to_the_end(model: RawModel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        model.body = await reader.readuntil(b"\r\n0\r\n")
        model.body += await reader.readuntil(b"\r\n\r\n")
        writer.write(sized(b"ok"))

    async with RawModel(to_the_end) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        client.send(b"0\r\nX-Sum: 42\r\nHost: b\r\n\r\n")
        assert (await client.answer()).body == b"ok"
        assert b"Transfer-Encoding: chunked\r\n" in model.head
        assert b"content-length" not in model.head.lower()
        assert model.body.count(b"x") == 40 * 65536
        assert model.body.endswith(b"\r\n0\r\nX-Sum: 42\r\n\r\n")


async def test_trailers_of_a_reply_travel_on() -> None:
    reply = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n"
    async with ToyServer(raw(reply + b"Set-Cookie: a=b\r\n\r\n")) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        for _ in range(2):
            client.send(post(headers=b"TE: trailers\r\n"))
            answer = await asyncio.wait_for(client.reader.readuntil(b"0\r\nX-Sum: 1\r\n\r\n"), 5)
            assert b"\r\nTrailer: X-Sum\r\n" in answer
            assert b"Set-Cookie" not in answer
        assert model.requests[0].get(b"te") == [b"trailers"]


async def test_a_large_body_is_mirrored_up_to_a_size() -> None:
    limits = Limits(hold_bytes=3 * MIB)
    async with ToyServer(echoes) as champion, ToyServer(echoes) as shadow:
        mirrored = route(champion.url, shadow.url, mode="shadow", mirror=1.0)
        async with gate(mirrored, limits=limits) as gw:
            assert len((await ask(gw.port, post(bytes(2 * MIB)))).body) == 2 * MIB
            async with asyncio.timeout(5):
                while not shadow.requests:
                    await asyncio.sleep(0.01)
            assert len((await ask(gw.port, post(bytes(4 * MIB)))).body) == 4 * MIB
            dropped = await gw.kept.wait(Dropped, 2)
            # The answers to the first were too large to be compared, but the shadow did get its copy.
            assert {(fact.reason, fact.count) for fact in dropped} == {("large", 1), ("large-body", 1)}
            assert [len(got.body) for got in shadow.requests] == [2 * MIB]
            await released(gw)


async def test_a_body_too_large_for_a_second_try_stays_out_of_the_experiment() -> None:
    limits = Limits(hold_bytes=2 * MIB)
    async with ToyServer(echoes) as champion, ToyServer(says(b"no", b"500 Oops")) as challenger:
        async with gate(route(champion.url, challenger.url, mode="canary", weight=1.0), limits=limits) as gw:
            # Held: the challenger is asked, fails, and the champion answers from the same bytes.
            assert len((await ask(gw.port, post(bytes(3 * MIB // 2)))).body) == 3 * MIB // 2
            assert len((await ask(gw.port, post(bytes(3 * MIB)))).body) == 3 * MIB
            first, second = await gw.exposed(2)
            assert (first.mode, first.arm, first.served_by, first.failed) == ("canary", "v2", "v1", True)
            assert (second.mode, second.arm, second.served_by, second.weight) == ("champion", "v1", "v1", 0.0)
            assert len(challenger.requests) == 1


async def test_memory_for_bodies_is_bounded_and_given_back() -> None:
    limits = Limits(memory_bytes=3 * MIB)
    async with ToyServer(echoes) as champion, ToyServer(echoes) as shadow:
        async with gate(route(champion.url, shadow.url, mode="shadow", mirror=1.0), limits=limits) as gw:
            clients = [await Client.to(gw.port) for _ in range(6)]
            most = 0
            for client in clients:
                client.send(post(bytes(2 * MIB))[:-1])
            for _ in range(20):
                await asyncio.sleep(0.02)
                most = max(most, gw.running.gateway.held)
            for client in clients:
                client.send(b"\0")
                assert len((await client.answer(20)).body) == 2 * MIB
            assert 2 * MIB - 1 <= most <= 6 * MIB
            await released(gw)
            assert sum(fact.mode == "shadow" for fact in await gw.exposed(6)) < 6


async def test_a_client_that_leaves_in_mid_upload_cuts_the_models_request() -> None:
    async with RawModel(swallow) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(head(8 * MIB) + bytes(2 * MIB))
        await model.until(MIB)
        client.writer.transport.abort()
        await asyncio.wait_for(model.cut.wait(), 5)
        (fact,) = await gw.exposed()
        assert (fact.reason, fact.status) == ("client-left", 0)
        await released(gw)


async def test_a_chunk_that_cannot_be_read_in_mid_upload_cuts_the_models_request() -> None:
    async with RawModel(lambda model, reader, _: model.read(reader, 1 << 40)) as model:
        async with gate(route(model.url, "")) as gw:
            client = await Client.to(gw.port)
            client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"200000\r\n" + bytes(2 * MIB))
            await model.until(MIB)
            client.send(b"zz\r\n0\r\n\r\nGET /predict/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.get(b"connection")) == (400, b"close")
            await asyncio.wait_for(model.cut.wait(), 5)
            assert b"smuggled" not in model.body
            assert not model.body.endswith(b"0\r\n\r\n")


async def test_a_body_that_grows_too_large_on_its_way() -> None:
    async with RawModel(lambda model, reader, _: model.read(reader, 1 << 40)) as model:
        async with gate(route(model.url, ""), limits=Limits(body_bytes=3 * MIB)) as gw:
            client = await Client.to(gw.port)
            client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"400000\r\n" + bytes(4 * MIB))
            assert (await client.answer()).status == 413
            await asyncio.wait_for(model.cut.wait(), 5)


async def test_a_model_that_answers_before_the_body_has_arrived() -> None:
    async def refuses(_: RawModel, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sized(b"too much", b"413 Content Too Large"))
        await asyncio.sleep(0.2)

    async with RawModel(refuses) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(head(8 * MIB) + bytes(2 * MIB))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.get(b"connection")) == (413, b"too much", b"close")
        client.send(bytes(6 * MIB) + post(b"more"))
        assert await client.closed() == b""
        assert len(await gw.exposed()) == 1
        await released(gw)


async def test_a_model_that_breaks_off_in_mid_upload() -> None:
    async def dies(model: RawModel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await model.read(reader, MIB)
        writer.transport.abort()

    async with RawModel(dies) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(head(8 * MIB) + bytes(2 * MIB))
        assert (await client.answer()).status == 502
        assert (await gw.exposed())[0].reason == "broken"
    async with gate(route("http://127.0.0.1:1", "")) as gw:
        client = await Client.to(gw.port)
        client.send(head(8 * MIB) + bytes(2 * MIB))
        assert (await client.answer()).status == 502
        assert (await gw.exposed())[0].reason == "refused"


async def test_a_models_time_begins_when_the_upload_is_complete() -> None:
    async with RawModel(swallow) as model:
        slow = replace(route(model.url, ""), champion=Arm(name="v1", url=model.url, timeout=1.5))
        async with gate(slow) as gw:
            client = await Client.to(gw.port)
            client.send(head(3 * MIB))
            for _ in range(6):
                client.send(bytes(MIB // 2))
                await asyncio.sleep(0.3)
            assert (await client.answer()).status == 200
    async with RawModel(never_reads) as model:
        async with gate(replace(slow, champion=Arm(name="v1", url=model.url, timeout=0.6))) as gw:
            client = await Client.to(gw.port)
            client.send(head(300 * MIB) + bytes(30 * MIB))
            assert (await client.answer()).status == 504
    async with ToyServer(hangs) as hung:
        async with gate(replace(slow, champion=Arm(name="v1", url=hung.url, timeout=0.6))) as gw:
            assert (await ask(gw.port, post(bytes(2 * MIB)))).status == 504


@pytest.mark.parametrize("already", [0, 2 * MIB])
async def test_an_upload_that_stalls(already: int) -> None:
    limits = Limits(request_seconds=0.5)
    async with RawModel(swallow) as model, gate(route(model.url, ""), limits=limits) as gw:
        client = await Client.to(gw.port)
        client.send(head(4 * MIB) + bytes(already))
        answer = await client.answer()
        assert (answer.status, answer.get(b"connection")) == (408, b"close")
        assert len(gw.kept.of(Exposed)) == (1 if already else 0)


async def test_a_body_may_trickle_only_so_slowly() -> None:
    limits = Limits(request_seconds=0.5, slowest_upload=1000)
    async with ToyServer(echoes) as model, gate(route(model.url, ""), limits=limits) as gw:
        slow, fair = await Client.to(gw.port), await Client.to(gw.port)
        slow.send(head(100_000))
        fair.send(head(20_000))
        for _ in range(20):
            if not slow.reader.at_eof() and slow.reader._buffer == b"":  # type: ignore[attr-defined]
                slow.send(b"x")
            fair.send(bytes(1000))
            await asyncio.sleep(0.12)
        assert (await fair.answer()).status == 200
        assert (await slow.answer()).status == 408


async def test_connections_and_requests_are_limited() -> None:
    async def waits(got: Got, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(sized(b"{}"))

    limits = Limits(connections=3, in_flight=2, linger_seconds=0.05)
    async with ToyServer(waits) as model, gate(route(model.url, ""), limits=limits) as gw:
        clients = [await Client.to(gw.port) for _ in range(3)]
        await asyncio.sleep(0.05)
        late = await Client.to(gw.port)
        refused = await late.answer()
        assert (refused.status, refused.get(b"connection")) == (503, b"close")
        assert "--max-connections" in json.loads(refused.body)["what_to_do"]
        for client in clients:
            client.send(post())
            await asyncio.sleep(0.02)
        busy = await clients[2].answer()
        assert (busy.status, busy.get(b"connection")) == (503, None)
        assert "--max-in-flight" in json.loads(busy.body)["what_to_do"]
        assert [(await client.answer()).status for client in clients[:2]] == [200, 200]
        clients[2].send(post())
        assert (await clients[2].answer()).status == 200
        assert gw.running.gateway.telemetry.figures.refused == {"503": 2}
        await released(gw)
