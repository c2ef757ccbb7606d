"""HTTP/1.1 as clients of all sorts speak it, through a real gateway to a real server."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace

import pytest
import uvloop

from crossfade.facts import Exposed
from crossfade.rim.limits import Limits
from crossfade.spec.model import Arm

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import Got, ToyServer, echoes, free_port, hangs, raw, says, sized


async def test_these_tests_run_on_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_a_reply_is_the_models_byte_for_byte_plus_the_decision() -> None:
    body = bytes(range(256)) * 10
    headers = b"X-Odd-Case: Kept As Is \r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: application/json\r\n"
    async with ToyServer(says(body, b"203 Quite So", headers)) as model, gate(route(model.url, model.url)) as gw:
        direct, through = await ask(model.port, post()), await ask(gw.port, post())
        (fact,) = await gw.exposed()
        assert through.headers == [*direct.headers, (b"x-crossfade-decision", fact.decision_id.encode())]
        assert (through.status, through.reason, through.body) == (203, b"Quite So", body)
        assert (fact.status, fact.size, fact.served_by, fact.failed) == (203, len(body), "v1", False)


async def test_a_request_reaches_the_model_as_it_was_sent() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url + "/base/", model.url)) as gw:
        body = bytes(range(256))
        sent = (
            b"X-User-Id: u1\r\nx-weird: \xff\xfe\r\nAccept: a\r\nAccept: b\r\nX-Crossfade-Arm: v2\r\nTE: trailers\r\n"
        )
        got = await ask(gw.port, post(body, path=b"/predict/x?q=%20&r=1", headers=sent))
        assert got.body == body
        (seen,) = model.requests
        assert (seen.method, seen.target, seen.body) == ("POST", b"/base/predict/x?q=%20&r=1", body)
        assert seen.headers == [
            (b"Host", b"127.0.0.1:%d" % model.port),
            (b"X-User-Id", b"u1"),
            (b"x-weird", b"\xff\xfe"),
            (b"Accept", b"a"),
            (b"Accept", b"b"),
            (b"Connection", b"TE"),
            (b"TE", b"trailers"),
            (b"Content-Length", b"256"),
        ]


async def test_headers_named_by_connection_stay_on_their_connection() -> None:
    reply = sized(b"{}", headers=b"Connection: x-hop\r\nX-Hop: 1\r\nX-Stays: 1\r\nKeep-Alive: timeout=5\r\n")
    async with ToyServer(raw(reply)) as model, gate(route(model.url, model.url)) as gw:
        got = await ask(gw.port, post(b"-", headers=b"Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nX-Also: 1\r\n"))
        assert [name for name, _ in got.headers] == [b"X-Stays", b"Content-Length", b"x-crossfade-decision"]
        assert [name for name, _ in model.requests[0].headers] == [b"Host", b"X-Also", b"Content-Length"]


async def test_one_connection_serves_many_requests_on_one_upstream_connection() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        for number in range(20):
            client.send(post(b"%d" % number))
            assert (await client.answer()).body == b"%d" % number
        assert model.connections == 1
        assert len({fact.decision_id for fact in await gw.exposed(20)}) == 20


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def later_is_faster(got: Got, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.03 if got.body == b"0" else 0.0)
        writer.write(sized(got.body))

    async with ToyServer(later_is_faster) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(b"".join(post(b"%d" % number) for number in range(50)))
        assert [answer.body for answer in await client.answers(50)] == [b"%d" % number for number in range(50)]


async def test_a_pipelined_mistake_is_answered_in_its_turn() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(post(b"1") + post(b"2") + b"GARBAGE\r\n\r\n")
        answers = await client.answers(3)
        assert [answer.status for answer in answers] == [200, 200, 400]
        assert await client.closed() == b""


async def test_thousands_of_pipelined_requests_do_not_nest() -> None:
    async with gate() as gw:
        client = await Client.to(gw.port)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5000)
        answers = await client.answers(5000, 20.0)
        assert [answer.status for answer in answers] == [503] * 5000
        assert json.loads(answers[0].body)["what_to_do"]


async def test_chunked_requests_and_replies() -> None:
    async def chunks(got: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(got.body), 3):
            piece = got.body[at : at + 3]
            writer.write(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0.001)
        writer.write(b"0\r\nX-Trailer: 1\r\n\r\n")

    async with ToyServer(chunks) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        for _ in range(2):
            client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await asyncio.sleep(0.01)
            client.send(b"6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
            answer = await client.answer()
            assert answer.body == b"hello world"
            assert answer.get(b"transfer-encoding") == b"chunked"
        assert model.requests[0].get(b"content-length") == [b"11"]
        assert model.requests[0].get(b"transfer-encoding") == []
        assert model.connections == 1


@pytest.mark.parametrize(("version", "framing"), [(b"1.1", b"chunked"), (b"1.0", None)])
async def test_a_reply_that_ends_with_its_connection(version: bytes, framing: bytes | None) -> None:
    reply = raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end", close=True)
    async with ToyServer(reply) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(b"GET /predict HTTP/%b\r\nHost: a\r\n\r\n" % version)
        (answer,) = await client.answers()
        assert (answer.body, answer.get(b"transfer-encoding")) == (b"to the end", framing)


async def test_http_1_0_clients() -> None:
    async with ToyServer(says(b"{}")) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(b"GET /predict HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.answer()).get(b"connection") == b"keep-alive"
        client.send(b"GET /predict HTTP/1.0\r\n\r\n")
        assert (await client.answer()).get(b"connection") == b"close"
        assert await client.closed() == b""


async def test_connection_close_is_honoured() -> None:
    async with ToyServer(says(b"{}")) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(post(headers=b"Connection: close\r\n"))
        assert (await client.answer()).get(b"connection") == b"close"
        assert await client.closed() == b""


async def test_head_keeps_the_length_and_has_no_body() -> None:
    reply = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    async with ToyServer(reply) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        for _ in range(3):
            client.send(b"HEAD /predict HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
            assert b"Content-Length: 5\r\n" in head
        assert model.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_replies_without_a_body(status: bytes) -> None:
    async with ToyServer(raw(b"HTTP/1.1 %b\r\nETag: x\r\n\r\n" % status)) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        for _ in range(2):
            client.send(b"GET /predict HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.body) == (int(status[:3]), b"")
            assert answer.get(b"transfer-encoding") is None


async def test_a_reply_that_must_not_have_a_length_gets_none() -> None:
    told = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"
    async with ToyServer(raw(told)) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        for _ in range(2):
            client.send(b"GET /predict HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.body, answer.get(b"content-length")) == (204, b"", None)


async def test_interim_replies_of_the_model_are_not_taken_for_the_answer() -> None:
    async with ToyServer(raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + sized(b"{}"))) as model:
        async with gate(route(model.url, "")) as gw:
            answer = await ask(gw.port, post())
            assert (answer.status, answer.body, answer.get(b"link")) == (200, b"{}", None)


async def test_expect_100_continue() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        client.send(head)
        assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert (await client.answer()).body == b"abc"
        assert model.requests[0].get(b"expect") == []


async def test_expect_100_continue_behind_another_request_waits_its_turn() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.send(
            post(b"1") + b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        seen = b""
        while not seen.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            seen += await asyncio.wait_for(client.reader.read(1), 5)
        assert seen.startswith(b"HTTP/1.1 200 OK")
        client.send(b"abc")
        assert (await client.answer()).body == b"abc"


async def test_an_upgrade_is_declined_by_answering_the_request() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
        client.send(post(b"first", headers=upgrade)[:-2])
        await asyncio.sleep(0.02)
        client.send(b"st" + post(b"second", headers=upgrade) + post(b"third"))
        assert [answer.body for answer in await client.answers(3)] == [b"first", b"second", b"third"]
        assert model.requests[0].get(b"upgrade") == model.requests[0].get(b"http2-settings") == []


async def test_the_first_bytes_of_a_stream_arrive_at_once() -> None:
    going_on = asyncio.Event()

    async def stream(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"8\r\ndata: 1\n\r\n")
        await going_on.wait()
        writer.write(b"8\r\ndata: 2\n\r\n0\r\n\r\n")

    async with ToyServer(stream) as model:
        # Also for a challenger's reply, which is held only where it is a document.
        async with gate(route("http://127.0.0.1:1", model.url, mode="canary", weight=1.0)) as gw:
            client = await Client.to(gw.port)
            client.send(post())
            seen = await asyncio.wait_for(client.reader.readuntil(b"data: 1\n\r\n"), 5)
            assert seen.startswith(b"HTTP/1.1 200 OK")
            going_on.set()
            assert await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 5) == b"8\r\ndata: 2\n\r\n0\r\n\r\n"
            (fact,) = await gw.exposed()
            assert (fact.served_by, fact.failed, fact.size) == ("v2", False, 16)


async def test_large_bodies_both_ways() -> None:
    body = bytes(range(256)) * 4 * 4096
    async with ToyServer(echoes) as model, gate(route(model.url, model.url)) as gw:
        assert (await ask(gw.port, post(body), 20)).body == body


async def test_a_client_that_does_not_read_slows_the_model_down() -> None:
    sent = 0

    async def flood(_: Got, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        for _ in range(1024):
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async with ToyServer(flood) as model, gate(route(model.url, model.url)) as gw:
        client = await Client.to(gw.port)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.reader._limit = 65536  # type: ignore[attr-defined]
        client.send(post())
        await asyncio.sleep(0.5)
        assert sent < 48 << 20
        total = 0
        async with asyncio.timeout(20):
            while total < 64 << 20:
                total += len(await client.reader.read(1 << 20))
        assert (await gw.exposed())[0].size == 64 << 20


async def test_requests_outside_every_route_pass_unrecorded() -> None:
    async with ToyServer(says(b"ok")) as model, gate(route(model.url, "")) as gw:
        for path in (b"/healthz", b"/v2/health/live", b"/predictor", b"/"):
            answer = await ask(gw.port, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            assert (answer.body, answer.get(b"x-crossfade-decision")) == (b"ok", None)
        assert gw.kept.of(Exposed) == []
        await ask(gw.port, b"GET /pre%64ict/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await gw.exposed()
        assert model.requests[-1].target == b"/pre%64ict/x"


async def test_the_models_name_in_the_path_is_the_arms() -> None:
    async with ToyServer(says(b"{}")) as one, ToyServer(says(b"{}")) as two:
        canary = route(
            one.url,
            two.url,
            prefix="/v2/models/ranker",
            challengers=(Arm(name="v2", url=two.url, model="ranker-2"),),
            mode="canary",
            weight=1.0,
        )
        async with gate(canary) as gw:
            await ask(gw.port, post(path=b"/v2/models/ranker/versions/1/infer"))
            await ask(gw.port, post(path=b"/v2/models/ranker/versions/1/infer", headers=b""))
            assert two.requests[0].target == b"/v2/models/ranker-2/versions/1/infer"
            assert one.requests[0].target == b"/v2/models/ranker/versions/1/infer"


# -- what goes wrong between client and gateway ------------------------------------------------------------------------


async def test_limits_have_their_own_answers() -> None:
    limits = Limits(head_bytes=2000, body_bytes=1000, request_seconds=0.5, idle_seconds=0.5)
    async with ToyServer(echoes) as model, gate(route(model.url, ""), limits=limits) as gw:
        cases = {
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000: 431,
            b"GET /?" + b"x" * 1500 + b" HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500 + b"\r\n\r\n": 414,
            b"GET /" + b"x" * 3000: 414,
            post(bytes(1001)): 413,
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n": 501,
        }
        for data, status in cases.items():
            assert (await ask(gw.port, data)).status == status
        chunked = (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1f4\r\n" + bytes(500) + b"\r\n"
        )
        assert (await ask(gw.port, chunked + b"1f5\r\n" + bytes(501) + b"\r\n")).status == 413
        assert (await ask(gw.port, post(bytes(1000)))).status == 200
        trickle, idle = await Client.to(gw.port), await Client.to(gw.port)
        trickle.send(b"GET / HTTP/1.1\r\n")
        assert (await trickle.answer(5)).status == 408
        assert await idle.closed(5) == b""


async def test_a_client_that_leaves_ends_the_call() -> None:
    async with ToyServer(hangs) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(post())
        while not model.requests:
            await asyncio.sleep(0.005)
        client.close()
        (fact,) = await gw.exposed()
        assert (fact.status, fact.served_by, fact.reason, fact.failed) == (0, "", "client-left", False)
        async with asyncio.timeout(5):
            while not model.gone:
                await asyncio.sleep(0.005)


# -- what goes wrong between gateway and model -------------------------------------------------------------------------


async def test_a_kept_connection_that_the_model_closed_is_tried_afresh() -> None:
    async with ToyServer(echoes) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        for number in range(5):
            client.send(post(b"%d" % number))
            assert (await client.answer()).body == b"%d" % number
            model.reset()
        assert model.connections == 5


async def test_a_model_that_closes_as_the_next_request_leaves_is_asked_again_once() -> None:
    async def once(got: Got, writer: asyncio.StreamWriter) -> None:
        if got.body == b"again" and model.connections == 1:
            writer.transport.abort()
        else:
            writer.write(sized(got.body))

    async with ToyServer(once) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(post(b"first"))
        await client.answer()
        client.send(post(b"again"))
        assert (await client.answer()).body == b"again"
        assert model.connections == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "broken"),
        (b"garbage\r\n\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "broken"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "broken"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}", "broken"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", "broken"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000, "broken"),
    ],
)
async def test_a_model_that_does_not_speak_http(reply: bytes, reason: str) -> None:
    async with ToyServer(raw(reply, close=True)) as model, gate(route(model.url, "")) as gw:
        answer = await ask(gw.port, post())
        assert (answer.status, answer.get(b"content-type")) == (502, b"application/json")
        assert "v1" in json.loads(answer.body)["error"]
        (fact,) = await gw.exposed()
        assert (fact.failed, fact.reason, fact.served_by, fact.status) == (True, reason, "", 502)
        assert answer.get(b"x-crossfade-decision") == fact.decision_id.encode()


async def test_a_model_that_is_down_or_hangs() -> None:
    async with ToyServer(hangs) as model:
        slow = Arm(name="v1", url=model.url, timeout=0.1)
        async with gate(replace(route(model.url, ""), champion=slow)) as gw:
            assert (await ask(gw.port, post())).status == 504
            (fact,) = await gw.exposed()
            assert (fact.reason, fact.failed) == ("timeout", True)
            assert 90 < fact.latency_ms < 2000
    async with gate(route(f"http://127.0.0.1:{free_port()}", "")) as gw:
        assert (await ask(gw.port, post())).status == 502
        assert (await gw.exposed())[0].reason == "refused"


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_model_killed_in_mid_reply_cuts_the_clients(framing: bytes) -> None:
    async def dies(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n4\r\nabcd\r\n")
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with ToyServer(dies) as model, gate(route(model.url, "")) as gw:
        client = await Client.to(gw.port)
        client.send(post())
        (answer,) = await client.answers()
        assert answer.status == 200
        assert not answer.done
        (fact,) = await gw.exposed()
        assert (fact.failed, fact.reason, fact.served_by) == (True, "broken", "v1")
