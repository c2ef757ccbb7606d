"""Shadows as a spec tunes them: fields compared each in its way, muted ones, and copies marked for writing models."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from crossfade.facts import Compared
from crossfade.spec.model import Arm, Comparator, Comparison, Protocol

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import ToyServer, says


def shadow(one: str, two: str, **changes: Any) -> Any:
    return replace(route(one, two, mode="shadow", mirror=1.0), **changes)


async def test_fields_are_compared_as_the_spec_says() -> None:
    ours, theirs = {"p": [0.6, 0.4], "took": 1, "x": "a"}, {"p": [0.58, 0.42], "took": 2, "x": 1}
    compare = (
        Comparison(path="$.p", how=Comparator.PROBABILITIES, within=0.05),
        Comparison(path="$.took", mute="a time"),
    )
    async with ToyServer(says(json.dumps(ours).encode())) as one, ToyServer(says(json.dumps(theirs).encode())) as two:
        async with gate(shadow(one.url, two.url, compare=compare, noise=1.0)) as gw:
            await ask(gw.port, post())
            (fact,) = await gw.kept.wait(Compared)
            assert dict(zip(fact.fields, fact.kinds, strict=True)) == {"$.took": "value", "$.x": "type"}
            assert (fact.differs, fact.noise_differs, fact.noise_fields, fact.among) == (True, False, (), 3)


async def test_differences_of_muted_fields_alone_do_not_count() -> None:
    compare = (Comparison(path="$.took", mute="a time"),)
    async with ToyServer(says(b'{"took": 1}')) as one, ToyServer(says(b'{"took": 2}')) as two:
        async with gate(shadow(one.url, two.url, compare=compare)) as gw:
            await ask(gw.port, post())
            (fact,) = await gw.kept.wait(Compared)
            assert (fact.differs, fact.fields) == (False, ("$.took",))


@pytest.mark.parametrize("model", [None, "v2-internal"])
async def test_every_copy_is_marked_and_no_user_s_request_is(model: str | None) -> None:
    """The champion's second answer is asked for by a copy too: a model that writes would write twice."""
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(says(b'{"x": 1}')) as two:
        changes: dict[str, Any] = {"dry_run_header": "x-dry-run", "noise": 1.0}
        if model:
            changes["challengers"] = (Arm(name="v2", url=two.url, model=model),)
        async with gate(shadow(one.url, two.url, **changes)) as gw:
            await ask(gw.port, post(headers=b"X-User-Id: u1\r\n"))
            await gw.kept.wait(Compared)
            marks = sorted(got.get(b"x-dry-run") for got in one.requests)
            assert marks == [[], [b"true"]]
            assert [got.get(b"x-dry-run") for got in two.requests] == [[b"true"]]
            assert {got.get(b"x-user-id")[0] for got in (*one.requests, *two.requests)} == {b"u1"}


async def test_a_client_cannot_unmark_a_copy() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(says(b'{"x": 1}')) as two:
        async with gate(shadow(one.url, two.url, dry_run_header="x-dry-run")) as gw:
            await ask(gw.port, post(headers=b"X-User-Id: u1\r\nX-Dry-Run: false\r\n"))
            await gw.kept.wait(Compared)
            assert one.requests[0].get(b"x-dry-run") == [], "nor pass for one"
            assert two.requests[0].get(b"x-dry-run") == [b"true"]


async def test_without_the_key_nothing_is_marked() -> None:
    async with ToyServer(says(b'{"x": 1}')) as one, ToyServer(says(b'{"x": 1}')) as two:
        async with gate(shadow(one.url, two.url)) as gw:
            await ask(gw.port, post())
            await gw.kept.wait(Compared)
            assert [name for name, _ in two.requests[0].headers if b"dry" in name.lower()] == []


async def test_a_mirrored_chat_stream_is_compared_without_delaying_its_first_token() -> None:
    """The challenger is slow; the user's first token comes at once, and the texts are compared when both are whole."""

    def token(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
        event = (
            b"data: %b\n\n" % json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode()
        )
        return b"%x\r\n%b\r\n" % (len(event), event)

    def streams(words: list[str], before: float, between: float) -> Any:
        async def behave(_: Any, writer: Any) -> None:
            await asyncio.sleep(before)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for word in words:
                writer.write(token(word))
                await asyncio.sleep(between)
            end = b"data: [DONE]\n\n"
            writer.write(token("", "stop") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end))

        return behave

    ours, theirs = ["Hello", " world"], ["Hello", " there"]
    async with ToyServer(streams(ours, 0.0, 0.4)) as one, ToyServer(streams(theirs, 1.0, 0.1)) as two:
        async with gate(shadow(one.url, two.url, protocol=Protocol.OPENAI_CHAT)) as gw:
            client, began = await Client.to(gw.port), time.monotonic()
            client.send(post(b'{"model": "m", "stream": true, "messages": []}'))
            first = b""
            async with asyncio.timeout(5):
                while b"Hello" not in first:
                    first += await client.reader.read(65536)
            took = time.monotonic() - began
            assert took < 0.4, "the champion's second token comes after 0.4 s, the challenger's first after 1 s"
            rest = (
                await client.closed() if b"Connection: close" in first else await client.reader.readuntil(b"0\r\n\r\n")
            )
            assert b" world" in rest
            assert time.monotonic() - began < 1.4
            (fact,) = await gw.kept.wait(Compared)
            assert (fact.differs, fact.fields, fact.challenger_failed) == (True, ("$.choices[0].content",), False)
            client.close()
