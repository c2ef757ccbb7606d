"""CloudEvents as KServe's logger sends them: a request and its reply become one exposure, each counted once."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

from crossfade.console import app as console_app
from crossfade.console import events as console_events
from crossfade.console.app import create_app
from crossfade.console.health import Pulse
from crossfade.facts import Exposed
from crossfade.rim import batches
from crossfade.rim.certificates import Certificates
from crossfade.rim.exposures import halves
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

from .conftest import TOKEN

SPEC = """
name: iris
route: /v1/models/iris
protocol: predict-v1
unit: header:x-user-id
segments: [header:x-country, json:$.kind]
deadline: 7s
champion:   {name: v1, url: "http://127.0.0.1:1", model: iris-one}
challenger: {name: v2, url: "http://127.0.0.1:1"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
stages:
  - canary: {steps: [50%], hold_for: 1h}
"""
REQUEST, RESPONSE = (f"org.kubeflow.serving.inference.{what}" for what in ("request", "response"))
AUTH = {"authorization": f"Bearer {TOKEN}"}

Post = Callable[..., Any]


def event(what: str, id_: str, at: float, body: Any = None, unit: str = "u1", **more: str) -> CloudEvent:
    """As pkg/logger/worker.go of KServe writes it: headers of the request as JSON in an extension."""
    attributes = {
        "type": what,
        "source": "http://localhost:9081/",
        "id": id_,
        "time": datetime.fromtimestamp(at, UTC),
        "recordedtime": datetime.fromtimestamp(at + 1, UTC).isoformat(),
        "inferenceservicename": "iris",
        "namespace": "models",
        "component": "predictor",
        "endpoint": "canary",
        "metadata": json.dumps({"X-User-Id": [unit], "X-Country": ["de"]}),
        "datacontenttype": "application/json",
        **more,
    }
    return CloudEvent(attributes, {"instances": [[1.0]], "kind": "a"} if body is None else body)


def to_binary(one: CloudEvent) -> tuple[dict[str, str], bytes]:
    """As the SDK of CloudEvents sends it."""
    message = http.to_binary_event(one)
    return dict(message.headers), message.body


def to_structured(one: CloudEvent) -> tuple[dict[str, str], bytes]:
    message = http.to_structured_event(one)
    return dict(message.headers), message.body


@pytest.fixture
def started(store: Store) -> float:
    """The rollout, in its canary for a while."""
    at = time.time() - 50.0
    store.add(SPEC, parse(SPEC), at)
    store.act("iris", Move.START, actor="ana", rule="manual", sentence="So.", at=at)
    return at


@pytest.fixture
def exposed(data: Path) -> Callable[[], list[Exposed]]:
    """What is in the journal."""

    def read() -> list[Exposed]:
        path = data / "journal" / "exposures.db"
        if not path.exists():
            return []
        connection = batches.connect(path)
        found = [fact for row in batches.rows(connection, 0, 10_000) for fact in row.facts]
        connection.close()
        return [fact for fact in found if isinstance(fact, Exposed)]

    return read


@pytest.fixture
async def post(client: httpx.AsyncClient, started: float) -> Post:
    async def send(one: CloudEvent, how: Any = to_binary, query: str = "") -> dict[str, Any]:
        headers, body = how(one)
        answer = await client.post(f"/api/v1/events{query}", headers={**headers, **AUTH}, content=body or b"")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    return send


@pytest.mark.parametrize("how", [to_binary, to_structured])
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "reply first"])
async def test_a_request_and_its_reply_are_one_exposure(post: Post, exposed: Any, how: Any, turned: bool) -> None:
    at = time.time() - 5.0
    pair = [event(REQUEST, "r1", at), event(RESPONSE, "r1", at + 0.25, {"predictions": [1]})]
    for one in reversed(pair) if turned else pair:
        assert exposed() == []
        assert await post(one, how) == {"accepted": 1, "duplicates": 0, "unknown": 0, "rejected": []}
    (fact,) = exposed()
    assert (fact.rollout, fact.decision_id, fact.unit, fact.arm, fact.served_by) == ("iris", "r1", "u1", "v2", "v2")
    assert (fact.mode, fact.stage, fact.weight, fact.status, fact.failed) == ("canary", 0, 0.5, 200, False)
    assert fact.latency_ms == pytest.approx(250.0, abs=0.1)
    assert (fact.segments, fact.size > 0, fact.at) == (("de", "a"), True, pytest.approx(at, abs=1e-3))
    for one in pair:
        assert (await post(one, how))["duplicates"] == 1
    assert len(exposed()) == 1


async def test_a_batch_is_taken_item_by_item(client: httpx.AsyncClient, started: float, exposed: Any) -> None:
    at = time.time() - 5.0
    items: list[Any] = []
    for n in range(3):
        for what, later in ((REQUEST, 0.0), (RESPONSE, 0.1)):
            items.append(json.loads(to_structured(event(what, f"b{n}", at + later, unit=f"u{n}"))[1]))
    items[1]["data_base64"] = base64.b64encode(b"{}").decode()
    del items[1]["data"]
    items += [{"specversion": "1.0", "id": "x", "source": "s", "type": "org.example.other"}, {"specversion": "0.3"}]
    items += [{**items[0], "id": "late", "time": "yesterday"}, {**items[0], "id": "far", "inferenceservicename": "no",
               "endpoint": ""}]  # fmt: skip
    headers = {"content-type": "application/cloudevents-batch+json; charset=utf-8", **AUTH}
    answer = await client.post("/api/v1/events", headers=headers, content=json.dumps(items))
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["unknown"]) == (200, 6, 1)
    assert [(one["index"], one["problem"].partition(";")[0]) for one in told["rejected"]] == [
        (7, "specversion is '0.3'"),
        (8, "time is 'yesterday'"),
        (9, "it is of no rollout, by its service 'no'"),
    ]
    assert sorted(fact.unit for fact in exposed()) == ["u0", "u1", "u2"]
    text = (await client.get("/metrics")).text
    for result, count in (("exposed", 3), ("rejected", 3), ("unknown", 1), ("duplicate", 0)):
        assert f'crossfade_events_total{{result="{result}"}} {count}.0' in text
    assert "crossfade_events_waiting 0.0" in text


@pytest.mark.parametrize(
    ("query", "more", "arm"),
    [
        ("", {"endpoint": "default"}, "v1"),
        ("", {"endpoint": "", "inferenceservicename": "iris-one"}, "v1"),
        ("", {"endpoint": "v2"}, "v2"),
        ("?rollout=iris&arm=v2", {"endpoint": "", "inferenceservicename": "anything"}, "v2"),
    ],
)
async def test_the_arm_is_what_the_event_or_the_address_says(
    post: Post, exposed: Any, query: str, more: dict[str, str], arm: str
) -> None:
    at = time.time() - 5.0
    await post(event(REQUEST, "a", at, **more), query=query)
    await post(event(RESPONSE, "a", at, **more), query=query)
    assert [fact.arm for fact in exposed()] == [arm]


async def test_a_request_whose_reply_is_not_told_has_failed_unless_none_is_told(
    post: Post, exposed: Any, data: Path, store: Store, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time() - 5.0
    silent = {"source": "http://silent/"}
    await post(event(REQUEST, "lost", at))
    await post(event(REQUEST, "nobody-knows", at, **silent))
    await post(event(RESPONSE, "never-asked", at))
    monkeypatch.setattr(halves, "PATIENCE", -1.0)
    # Whoever comes up after a crash finds them as they were left.
    again = console_events.Events(data, store)
    again.sweep()
    assert not exposed(), "its client may have an answer for seven seconds yet"
    monkeypatch.setattr(halves, "PATIENCE", -8.0)
    again.halves.sweep(time.time())
    (fact,) = exposed()
    assert (fact.decision_id, fact.failed, fact.status, fact.served_by) == ("lost", True, 0, "")
    assert (fact.reason, fact.latency_ms) == ("no-response", 7000.0)
    told = again.halves.counts()
    assert {name: told.get(name) for name in ("failed", "unanswered", "unasked", "waiting")} == {
        "failed": 1, "unanswered": 1, "unasked": 1, "waiting": 0,
    }  # fmt: skip
    again.close()
    assert (await post(event(RESPONSE, "lost", at)))["duplicates"] == 1
    assert (await post(event(REQUEST, "lost", at)))["duplicates"] == 1


async def test_a_death_between_the_two_writes_counts_once(post: Post, exposed: Any, data: Path, store: Store) -> None:
    at = time.time() - 5.0
    await post(event(REQUEST, "r", at))
    await post(event(RESPONSE, "r", at))
    ours = batches.connect(data / "journal" / "exposures.db")
    (kept,) = [fact for row in batches.rows(ours, 0, 10) for fact in row.facts]
    ours.close()
    with sqlite3.connect(data / halves.FILE) as connection:
        from crossfade import facts as codec

        connection.execute("UPDATE halves SET done = 0, fact = ?, deadline = 7.0", (codec.encode([kept]),))
    again = console_events.Events(data, store)
    again.sweep()
    assert again.halves.counts()["waiting"] == 0
    again.close()
    assert len(exposed()) == 1


async def test_what_is_damaged_does_not_end_the_looks_at_everything_else(
    post: Post, data: Path, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await post(event(REQUEST, "r", time.time() - 5.0))
    with sqlite3.connect(data / halves.FILE) as connection:
        connection.execute("UPDATE halves SET fact = ?, answered = 1.0", (b"no fact",))
    monkeypatch.setattr(console_app, "LOOK", 0.01)
    monkeypatch.setattr(console_events, "SWEEP", 0.0)
    told = console_events.Events(data, store)
    watch = asyncio.create_task(console_app._watch(Pulse(store), told, Certificates()))
    deadline = time.monotonic() + 30.0
    while caplog.text.count("trying again") < 2 and not watch.done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert not watch.done()
    watch.cancel()
    told.close()


async def test_who_may_not_say_it_and_what_is_no_event(client: httpx.AsyncClient, started: float) -> None:
    headers, body = to_binary(event(REQUEST, "r", time.time()))
    assert (await client.post("/api/v1/events", headers=headers, content=body)).status_code == 401
    # KServe's logger sends no header of ours; its address has room for a user and a password.
    told = await client.post("/api/v1/events", headers=headers, content=body, auth=("kserve", TOKEN))
    assert (told.status_code, told.json()["accepted"]) == (200, 1)
    wrong = await client.post("/api/v1/events", headers=AUTH, json={"a": 1})
    assert (wrong.status_code, "neither ce- headers nor" in wrong.json()["error"]) == (422, True)
    broken = await client.post(
        "/api/v1/events", headers={**AUTH, "content-type": "application/cloudevents+json"}, content=b"{"
    )
    assert (broken.status_code, "is no application/cloudevents+json" in broken.json()["error"]) == (422, True)


@pytest.fixture
async def full(store: Store, inbox: OutcomeInbox, data: Path, started: float) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a control port that cannot write there."""
    (data / halves.FILE).mkdir()
    app = create_app(store, inbox, data, token=TOKEN)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


async def test_what_cannot_be_kept_is_not_acknowledged(full: httpx.AsyncClient) -> None:
    headers, body = to_binary(event(REQUEST, "r", time.time()))
    answer = await full.post("/api/v1/events", headers={**headers, **AUTH}, content=body)
    assert answer.status_code == 503
