"""Reports that mean harm: whoever sends them takes little more than their bytes, and learns nothing by it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from console.conftest import TOKEN
from crossfade.console import guard, slow_clients
from crossfade.console.allowance import MOST_AT_ONCE
from crossfade.console.app import create_app
from crossfade.console.slow_clients import PatientProtocol
from crossfade.rim.control_options import ControlOptions
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.state import Move

AUTH = {"authorization": f"Bearer {TOKEN}"}
EXPOSURE = {"rollout": "ranker-v2", "unit": "u", "arm": "v2"}
EVENT = {"specversion": "1.0", "source": "s", "type": "t"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def app(store: Store, inbox: OutcomeInbox, data: Path, rate: float = 0.0, **more: Any) -> Any:
    return create_app(store, inbox, data, token=TOKEN, options=ControlOptions(outcome_rate=rate), **more)


def port(asked: Any, client: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=asked, client=(client, 1)), base_url="http://localhost")


@asynccontextmanager
async def served(asked: Any) -> AsyncIterator[int]:
    """The application as it is served, and its port."""
    server = uvicorn.Server(uvicorn.Config(asked, log_level="error", http=PatientProtocol))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = server.force_exit = True
        await running


async def test_one_allowance_is_for_reports_of_every_kind(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    exposures = [{**EXPOSURE, "decision_id": f"d{n}"} for n in range(30)]
    events = [{**EVENT, "id": str(n)} for n in range(30)]
    outcomes = [{"rollout": "ranker-v2", "unit": f"u{n}", "name": "purchase"} for n in range(30)]
    kinds = {
        "/api/v1/exposures": (exposures, {}),
        "/api/v1/events": (events, BATCH),
        "/api/v1/outcomes": (outcomes, {}),
    }
    for first, (items, kind) in kinds.items():
        # 20 at once, 2 a second.
        async with port(app(store, inbox, data, 2.0)) as client:
            sent = json.dumps(items)
            headers = {"content-type": "application/json", **AUTH}
            taken = await client.post(first, content=sent, headers=headers | kind)
            assert taken.status_code in (200, 202), taken.text
            for path, (others, other) in kinds.items():
                answer = await client.post(path, content=json.dumps(others[:1]), headers=headers | other)
                assert (answer.status_code, path) == (429, path)
                assert 1 <= int(answer.headers["retry-after"]) <= 6


async def test_events_of_many_pods_with_one_token_wait_for_their_turn(
    store: Store, inbox: OutcomeInbox, data: Path
) -> None:
    async def slowly(text: str) -> AsyncIterator[bytes]:
        yield text[:1].encode()
        await asyncio.sleep(0.3)
        yield text[1:].encode()

    async with port(app(store, inbox, data)) as client:
        texts = [json.dumps([{**EVENT, "id": str(n)}]) for n in range(3 * MOST_AT_ONCE)]
        sent = [client.post("/api/v1/events", content=slowly(one), headers=AUTH | BATCH) for one in texts]
        assert [one.status_code for one in await asyncio.gather(*sent)] == [200] * len(texts)


async def test_addresses_of_one_network_are_one_reporter(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    asked = app(store, inbox, data, 1.0)
    items = [{"rollout": "ranker-v2", "unit": f"u{n}", "name": "purchase"} for n in range(20)]

    async def report(address: str) -> int:
        async with port(asked, address) as client:
            return (await client.post("/api/v1/outcomes", json=items)).status_code

    assert await report("2001:db8:1:2::1") == 202
    assert await report("2001:db8:1:2:ffff::7") == 429
    assert await report("2001:db8:1:3::1") == 202
    assert await report("::ffff:192.0.2.1") == 202
    assert await report("192.0.2.1") == 429
    assert await report("192.0.2.2") == 202


async def test_a_hundred_thousand_wrong_names_keep_nobody_waiting(client: httpx.AsyncClient) -> None:
    items = [{"name": "a", "rollout": f"ranker-{n}-abcdefghijk", "unit": "u"} for n in range(20_000)]
    items += [{"nmae" + str(n): "a"} for n in range(20_000)]
    began = time.monotonic()
    answer = await client.post("/api/v1/outcomes", json=items)
    assert len(answer.json()["rejected"]) == 40_000
    assert time.monotonic() - began < 8.0


@pytest.mark.parametrize("private", [True, False])
async def test_who_may_not_read_is_not_told_which_rollouts_there_are(
    store: Store, inbox: OutcomeInbox, data: Path, private: bool
) -> None:
    async with port(app(store, inbox, data, private=private)) as client:
        told = (await client.post("/api/v1/outcomes", json=[{"name": "a", "rollout": "ranker-v3", "unit": "u"}])).text
    assert ("ranker-v2" in told) == private


@pytest.mark.parametrize(
    "odd",
    [
        {"status": 10**400},
        {"size": 10**400},
        {"order": "crossfade|ranker-v2|r|ab|inf|0|0.5|0|0"},
        {"order": "crossfade|ranker-v2|r|ab|0|nan|0.5|nan|1e999"},
    ],
)
async def test_numbers_beyond_all_bounds_cost_their_item_alone(client: httpx.AsyncClient, odd: dict[str, Any]) -> None:
    items = [{**EXPOSURE, "rollout": None, **odd}, {**EXPOSURE, **{k: v for k, v in odd.items() if k != "order"}}]
    answer = await client.post("/api/v1/exposures", json=[*items, {**EXPOSURE, "decision_id": "good"}], headers=AUTH)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == (2 if "order" in odd else 1)


async def test_a_batch_of_millions_of_events_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/events", content="[" + "{}," * 99_999 + "{}]", headers=AUTH | BATCH)
    assert answer.status_code == 413
    deep = {**AUTH, "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-metadata": "[" * 60_000}
    deep["ce-type"] = "org.kubeflow.serving.inference.request"
    asked = "/api/v1/events?rollout=ranker-v2&arm=v2"
    assert (await client.post(asked, content="[" * 60_000, headers=deep)).status_code == 200


async def test_a_body_that_nobody_asked_for_ends_too(
    store: Store, inbox: OutcomeInbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(slow_clients, "BODY_SECONDS", 1.0)
    async with served(app(store, inbox, data)) as where:
        for method, path, status in (("POST", "/api/v1/rollouts/ranker-v2/hold", 408), ("GET", "/healthz", 200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", where)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode())

            async def crumbs(to: asyncio.StreamWriter = writer) -> None:
                while True:
                    to.write(b" ")
                    await asyncio.sleep(0.1)

            sending = asyncio.create_task(crumbs())
            async with asyncio.timeout(30):
                got = await reader.read()
            sending.cancel()
            writer.close()
            assert f" {status} ".encode() in got.partition(b"\r\n")[0]


async def test_a_page_that_is_looked_at_ends_with_its_token(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    tokens = Tokens(data)
    secret = tokens.add("vera", ["viewer"], at=time.time(), by="test")
    asked = {"page": "/rollouts/ranker-v2"}
    async with served(app(store, inbox, data, private=False)) as where, httpx.AsyncClient(timeout=30.0) as client:
        headers = {"authorization": f"Bearer {secret}"}
        async with client.stream("GET", f"http://127.0.0.1:{where}/live", params=asked, headers=headers) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            while not (await anext(lines)).startswith("data: "):
                pass
            tokens.revoke("vera", at=time.time(), by="test")
            store.act("ranker-v2", Move.HOLD, actor="ana", rule="manual", sentence="Held: a secret.", at=time.time())
            left = [line async for line in lines]
    assert not any("a secret" in line for line in left)


@pytest.mark.parametrize(("host", "asks", "warned"), [("0.0.0.0", False, True), ("0.0.0.0", True, False)])
def test_it_says_so_where_anybody_can_report_outcomes(data: Path, host: str, asks: bool, warned: bool) -> None:
    options = ControlOptions(outcome_token=asks).encoded()
    with socket.socket() as listening:
        listening.bind((host, 0))
        listening.listen()
        listening.set_inheritable(True)
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            [*command, "--options", options], pass_fds=(listening.fileno(),), stderr=subprocess.PIPE, text=True
        )
        try:
            where = f"http://127.0.0.1:{listening.getsockname()[1]}"
            assert httpx.get(f"{where}/healthz", timeout=60.0).status_code == 200
        finally:
            process.terminate()
            said = process.communicate(timeout=30)[1]
    assert ("can report outcomes" in said) == warned, said
