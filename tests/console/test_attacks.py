"""What somebody tries who wants the control port to break, to hang, to tell or to do what it should not."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import httpx
import pytest

from console.conftest import TOKEN
from crossfade.facts import Outcome

OUTCOMES = "/api/v1/outcomes"
JSON = {"content-type": "application/json"}
AUTH = {"authorization": f"Bearer {TOKEN}"}
GOOD = {"rollout": "ranker-v2", "unit": "u", "name": "purchase", "outcome_id": "o"}


async def test_a_compressed_body_is_not_unpacked(client: httpx.AsyncClient) -> None:
    bomb = gzip.compress(b" " * (16 << 20))
    answer = await client.post(OUTCOMES, content=bomb, headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 422
    assert "is not JSON" in answer.json()["error"]


DEEP = [b"[" * 1_000_000, b'{"a":' * 1_000_000, b'[{"at":' + b"[" * 100_000]


async def test_a_deep_body_is_refused_at_once(client: httpx.AsyncClient) -> None:
    for kind, body in product(["application/json", "application/x-ndjson"], DEEP):
        began = time.process_time()
        answer = await client.post(OUTCOMES, content=body, headers={"content-type": kind})
        assert answer.status_code in (202, 422)
        if answer.status_code == 202:
            assert answer.json()["accepted"] == 0
        assert time.process_time() - began < 5.0
        deep = await client.post("/api/v1/rollouts/ranker-v2/hold", content=body[:60_000], headers={**JSON, **AUTH})
        assert deep.status_code in (400, 422)


NUMBERS = ["1e999", "-1e999", "NaN", "9" * 5000, "1" + "0" * 400, '"1"', "true", "null", "[]", "1e308"]


async def test_numbers_that_break_sums_are_refused(client: httpx.AsyncClient) -> None:
    for value in NUMBERS:
        body = json.dumps([GOOD]).replace('"outcome_id"', f'"value": {value}, "outcome_id"')
        answer = await client.post(OUTCOMES, content=body.encode(), headers=JSON)
        assert answer.status_code in (202, 422)
        assert answer.json().get("accepted", 0) == 0, answer.text


NAMES = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/state.db",
    "ranker-v2/../../run/token",
    "a\x00b",
    "%00",
]


PLACES = (
    "/api/v1/rollouts/{}",
    "/rollouts/{}",
    "/rollouts/{}/charts/exposure.svg",
    "/static/{}",
    "/assets/{}",
)


async def test_names_are_no_paths(client: httpx.AsyncClient) -> None:
    for place, name in product(PLACES, NAMES):
        try:
            answer = await client.get(place.format(name))
        except httpx.InvalidURL:
            continue
        assert answer.status_code in (400, 404, 405, 307), answer.text
        assert TOKEN not in answer.text
        assert "root:" not in answer.text


MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`${7*7}{{7*7}}"


async def test_what_people_and_reporters_write_is_no_markup(client: httpx.AsyncClient) -> None:
    act = "/api/v1/rollouts/ranker-v2/hold"
    held = await client.post(act, json={"reason": MARKUP, "actor": "<b>ana</b>"}, headers=AUTH)
    assert held.status_code in (200, 202), held.text
    for page in ("/", "/rollouts/ranker-v2", "/rollouts/ranker-v2/ledger", f"/rollouts/{MARKUP}", f"/?q={MARKUP}"):
        answer = await client.get(page, headers={"accept": "text/html"})
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "<b>ana" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


async def test_log_lines_cannot_be_forged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    forged = "x%0d%0a2026-11-23 ERROR crossfade.console the token is gone"
    await client.get(f"/rollouts/{forged}")
    await client.post(f"/api/v1/rollouts/{forged}/hold", json={"reason": "x\r\nERROR forged"}, headers=AUTH)
    assert not [
        record for record in caplog.records if record.name.startswith("crossfade") and "\n" in record.getMessage()
    ]


async def test_headers_do_not_split(client: httpx.AsyncClient) -> None:
    for place in ("//evil.example", "/\\evil.example", "https://evil.example", "/%0d%0aset-cookie:%20a=b", "/\r\nx: y"):
        answer = await client.post(
            "/sign-in",
            data={"token": TOKEN, "to": place, "next": place, "actor": "ana"},
            headers={"origin": "http://localhost"},
        )
        assert "evil.example" not in answer.headers.get("location", "")
        assert "a=b" not in answer.headers.get("set-cookie", "")


SHOWN: list[dict[str, Any]] = [
    {"authorization": f"Bearer {TOKEN}x"},
    {"authorization": TOKEN},
    {"authorization": f"Basic {TOKEN}"},
    {"x-authorization": f"Bearer {TOKEN}"},
    {"x-forwarded-for": "127.0.0.1", "x-forwarded-user": "root", "x-remote-user": "root"},
    {"cookie": f"crossfade-80={TOKEN}"},
    {"authorization": "Bearer"},
    {"authorization": b"Bearer \xe9\xff"},
]


async def test_nothing_but_the_token_moves_a_rollout(client: httpx.AsyncClient) -> None:
    before = (await client.get("/api/v1/rollouts/ranker-v2")).json()["decisions"]
    for headers in SHOWN:
        answer = await client.post("/api/v1/rollouts/ranker-v2/rollback", json={"reason": "mine"}, headers=headers)
        assert answer.status_code in (401, 403), answer.text
        assert TOKEN not in answer.text
        assert (await client.get("/api/v1/rollouts/ranker-v2")).json()["decisions"] == before


async def test_the_token_is_not_taken_from_where_logs_and_histories_keep_it(client: httpx.AsyncClient) -> None:
    asked = f"/api/v1/rollouts/ranker-v2/rollback?token={TOKEN}&access_token={TOKEN}"
    assert (await client.post(asked, json={"reason": "mine", "token": TOKEN})).status_code in (401, 422)


async def test_other_sites_and_methods_do_not_act(client: httpx.AsyncClient) -> None:
    act = "/api/v1/rollouts/ranker-v2/rollback"
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert (await client.post(act, json={"reason": "mine"}, headers={**AUTH, **headers})).status_code == 403
        assert (await client.post(OUTCOMES, json=[GOOD], headers=headers)).status_code == 403
    asked = await client.options(
        act, headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert not [name for name in asked.headers if name.startswith("access-control")]
    over = await client.get(act, headers={**AUTH, "x-http-method-override": "POST"})
    assert over.status_code == 405


async def test_metrics_do_not_grow_with_what_reporters_send(
    client: httpx.AsyncClient, kept: Callable[[], list[Outcome]]
) -> None:
    async def series() -> set[str]:
        lines = (await client.get("/metrics")).text.splitlines()
        return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}

    before = await series()
    many = [
        {"rollout": "ranker-v2", "unit": f"u{n}", "name": f"made-up-{n}", "outcome_id": f"o{n}"} for n in range(500)
    ]
    assert (await client.post(OUTCOMES, json=many)).json()["accepted"] == 500
    for n in range(30):
        await client.get(f"/nowhere-{n}")
        await client.get(f"/api/v1/rollouts/nobody-{n}")
    assert await series() == before
    assert len(kept()) == 500
