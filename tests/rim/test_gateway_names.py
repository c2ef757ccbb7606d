"""What clients see of models that have other names where they run, and what model servers get of their requests."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from crossfade.facts import Compared
from crossfade.spec.model import Arm, Field, From, Protocol

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import Got, ToyServer, raw, says, sized

CHAT = b"/v1/chat/completions"
EVENT = b'data: {"model":"%b","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n'


def sent(got: Got, name: bytes) -> list[bytes]:
    return [value for key, value in got.headers if key.lower() == name]


async def test_each_arm_is_asked_by_its_own_name_and_answers_by_the_public_one() -> None:
    asked = b'{ "messages": [], "model":"chat", "user":"u", "n": 1.0 }'
    answers = b'{"model": "%b@main", "choices": [{"index": 0, "message": {"content": "hi"}}]}'
    public = b'{"model": "chat", "choices": [{"index": 0, "message": {"content": "hi"}}]}'
    async with ToyServer(says(answers % b"m1")) as one, ToyServer(says(answers % b"m2")) as two:
        arms: dict[str, Any] = {
            "champion": Arm(name="v1", url=one.url, model="m1"),
            "challengers": (Arm(name="v2", url=two.url, model="m2"),),
        }
        unit = Field(source=From.JSON, name="$.user")
        here = replace(route("", "", prefix="/v1/chat", protocol=Protocol.OPENAI_CHAT, unit=unit), **arms)
        for mode, arm, name in (("champion", one, b"m1"), ("canary", two, b"m2")):
            async with gate(replace(here, mode=mode, weight=float(mode == "canary"))) as gw:
                answer = await ask(gw.port, post(asked, path=CHAT, headers=b"Accept-Encoding: gzip\r\n"))
                assert (answer.body, answer.get(b"content-length")) == (public, b"%d" % len(public))
                got = arm.requests[-1]
                assert got.body == asked.replace(b'"chat"', b'"%b"' % name)
                assert sent(got, b"content-length") == [b"%d" % len(got.body)]
                assert sent(got, b"accept-encoding") == []
                (fact,) = await gw.exposed()
                assert (fact.unit, fact.failed) == ("u", False)


@pytest.mark.parametrize("mode", ["champion", "canary", "shadow"])
async def test_the_first_token_is_passed_on_at_once_under_the_public_name(mode: str) -> None:
    go_on = asyncio.Event()

    async def streams(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        writer.write(EVENT % (b"own", b"Hel", b"null"))
        await go_on.wait()
        writer.write(EVENT % (b"own", b"lo", b'"stop"') + b"data: [DONE]\n\n")
        writer.close()

    async with ToyServer(streams) as one, ToyServer(streams) as two:
        arms: dict[str, Any] = {
            "champion": Arm(name="v1", url=one.url, model="own"),
            "challengers": (Arm(name="v2", url=two.url, model="own"),),
        }
        here = route("", "", prefix="/v1", protocol=Protocol.OPENAI_CHAT, mode=mode, mirror=1.0)
        here = replace(here, weight=float(mode == "canary"), **arms)
        async with gate(here) as gw:
            client = await Client.to(gw.port)
            client.send(post(b'{"model":"chat","stream":true}', path=CHAT))
            head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
            assert b"text/event-stream" in head
            first = EVENT % (b"chat", b"Hel", b"null")
            assert first in await asyncio.wait_for(client.reader.readuntil(first), 5)
            go_on.set()
            rest = await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 5)
            assert EVENT % (b"chat", b"lo", b'"stop"') in rest
            client.close()
            (fact,) = await gw.exposed()
            assert (fact.failed, fact.served_by) == (False, "v2" if mode == "canary" else "v1")
            if mode == "shadow":
                (pair,) = await gw.kept.wait(Compared)
                assert (pair.differs, pair.champion_failed, pair.challenger_failed) == (False, False, False)


async def test_names_in_paths_change_also_beside_the_route_and_nowhere_else() -> None:
    own = b'{"model_name":"own","outputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1.0]}]}'
    async with ToyServer(says(own)) as one, ToyServer(says(own)) as two:
        here = route(one.url, two.url, prefix="/v2/models/m/infer", protocol=Protocol.OPEN_INFERENCE)
        here = replace(here, champion=Arm(name="v1", url=one.url, model="own"))
        async with gate(here) as gw:
            answer = await ask(gw.port, post(path=b"/v2/models/m/infer"))
            assert answer.body == own.replace(b'"own"', b'"m"')
            one.behaviour = says(b'{"name":"own","ready":true}')
            assert (await ask(gw.port, get(b"/v2/models/m/ready"))).body == b'{"name":"m","ready":true}'
            assert (await ask(gw.port, get(b"/v2/models/other/ready"))).body == b'{"name":"own","ready":true}'
            targets = [got.target for got in one.requests]
            assert targets == [b"/v2/models/own/infer", b"/v2/models/own/ready", b"/v2/models/other/ready"]


async def test_a_yes_without_a_word_is_put_into_words() -> None:
    async with ToyServer(raw(sized(b"", headers=b""))) as one:
        async with gate(route(one.url, one.url, prefix="/v2/models/m/infer")) as gw:
            answer = await ask(gw.port, get(b"/v2/health/live"))
            assert (answer.status, json.loads(answer.body)) == (200, {"live": True})
            assert answer.get(b"content-type") == b"application/json"
            assert json.loads((await ask(gw.port, get(b"/v2/models/m/ready"))).body) == {"name": "m", "ready": True}
            one.behaviour = says(b"", b"503 No")
            answer = await ask(gw.port, get(b"/v2/health/ready"))
            assert (answer.status, answer.body) == (503, b"")


async def test_json_of_no_type_is_sent_on_as_json_and_nothing_else_is_touched() -> None:
    async with ToyServer(says(b"{}")) as one:
        async with gate(route(one.url, one.url)) as gw:
            for body, headers, expected in (
                (b'{"inputs":[]}', b"", [b"application/json"]),
                (b'{"inputs":[]}', b"content-type: text/plain\r\n", [b"text/plain"]),
                (b'{"inputs":[]}', b"Inference-Header-Content-Length: 13\r\n", []),
                (b'{"inputs":[', b"", []),
                (b"", b"", []),
            ):
                await ask(gw.port, post(body, headers=headers))
                assert sent(one.requests[-1], b"content-type") == expected
                assert one.requests[-1].body == body


def get(path: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: gw\r\n\r\n" % path


@pytest.mark.parametrize("prefix", ["/v1", "/v1/chat/completions"])
async def test_the_list_of_models_shows_the_public_name(prefix: str) -> None:
    own = b'{"object":"list","data":[{"id":"%b","object":"model"},{"id":"embeddings","object":"model"}]}'
    async with ToyServer(says(own % b"m1")) as one, ToyServer(says(own % b"m2")) as two:
        arms: dict[str, Any] = {
            "champion": Arm(name="v1", url=one.url, model="m1"),
            "challengers": (Arm(name="v2", url=two.url, model="m2"),),
        }
        here = replace(route("", "", prefix=prefix, protocol=Protocol.OPENAI_CHAT, mode="canary"), **arms)
        for weight in (0.0, 1.0):
            async with gate(replace(here, weight=weight)) as gw:
                asked = b"GET %b HTTP/1.1\r\nHost: a\r\nX-User-Id: u\r\nAccept-Encoding: gzip\r\n\r\n"
                answer = await ask(gw.port, asked % b"/v1/models")
                assert [model["id"] for model in json.loads(answer.body)["data"]] == ["r", "embeddings"]
                assert answer.get(b"content-length") == b"%d" % len(answer.body)
                assert sent((two if weight and prefix == "/v1" else one).requests[-1], b"accept-encoding") == []
                # Where no arm has a name of its own, and for other questions, nothing is touched.
                other = await ask(gw.port, asked % b"/v1/files")
                assert other.body in (own % b"m1", own % b"m2")
        plain = route(one.url, two.url, prefix=prefix, protocol=Protocol.OPENAI_CHAT)
        async with gate(plain) as gw:
            assert (await ask(gw.port, asked % b"/v1/models")).body == own % b"m1"


@pytest.mark.parametrize("prefix", ["/v1", "/v1/chat/completions"])
async def test_one_model_is_asked_for_under_the_public_name_and_answers_by_it(prefix: str) -> None:
    async def knows(own: bytes, got: Got, writer: asyncio.StreamWriter) -> None:
        name = got.target.rpartition(b"/models/")[2]
        found = b'{"id":"%b","object":"model","owned_by":"us"}' % name
        writer.write(sized(found) if name in (own, b"embeddings") else sized(b'{"error":{}}', status=b"404 Not Found"))

    async with ToyServer(partial(knows, b"m1")) as one, ToyServer(partial(knows, b"m2")) as two:
        arms: dict[str, Any] = {
            "champion": Arm(name="v1", url=one.url, model="m1"),
            "challengers": (Arm(name="v2", url=two.url, model="m2"),),
        }
        here = replace(route("", "", prefix=prefix, protocol=Protocol.OPENAI_CHAT, mode="canary"), **arms)
        for weight in (0.0, 1.0):
            async with gate(replace(here, weight=weight), replace(here, rollout="other", prefix="/other")) as gw:
                answer = await ask(gw.port, get_as_u(b"/v1/models/r"))
                assert (answer.status, json.loads(answer.body)["id"]) == (200, "r")
                assert (two if weight and prefix == "/v1" else one).requests[-1].target.startswith(b"/v1/models/m")
                # What else the server holds keeps its name, and what it does not hold is not found.
                assert json.loads((await ask(gw.port, get_as_u(b"/v1/models/embeddings"))).body)["id"] == "embeddings"
                assert (await ask(gw.port, get_as_u(b"/v1/models/nobody?x=/models/r"))).status == 404
        # A client that kept the champion's own name goes on with it, whichever arm answers.
        async with gate(replace(here, prefix="/v1", weight=1.0)) as gw:
            assert json.loads((await ask(gw.port, get_as_u(b"/v1/models/m1"))).body)["id"] == "m1"
            assert two.requests[-1].target == b"/v1/models/m2"
        # A name that the spec gives comes before the rollout's.
        async with gate(replace(here, model="chat")) as gw:
            assert json.loads((await ask(gw.port, get_as_u(b"/v1/models/chat"))).body)["id"] == "chat"
            assert (await ask(gw.port, get_as_u(b"/v1/models/r"))).status == 404


def get_as_u(path: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: gw\r\nX-User-Id: u\r\n\r\n" % path
