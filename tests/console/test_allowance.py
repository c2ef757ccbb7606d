"""Outcomes by rate and by token: who sends too much waits, and nobody else does."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from console.conftest import TOKEN
from crossfade.client.outcomes import OutcomeClient
from crossfade.console import allowance, slow_clients
from crossfade.console.allowance import BURST_SECONDS, MOST_AT_ONCE, Allowance
from crossfade.console.app import create_app
from crossfade.facts import Outcome
from crossfade.rim.control_options import ControlOptions
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from rim.test_gateway_http_tls import Authority


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(1, 300), st.sampled_from("ab")), max_size=60),
    st.floats(1.0, 50.0),
)
def test_in_the_long_run_nobody_sends_more_than_the_rate(turns: list[tuple[float, int, str]], rate: float) -> None:
    both, alone = Allowance(rate), Allowance(rate)
    now, sent, due = 0.0, 0, 0.0
    for pause, count, who in turns:
        now += pause
        waits = both.wait(who, now)
        if who == "a":
            assert waits == alone.wait(who, now), "what the other sends plays no part"
            assert not waits or now < due or not due, "after the time that it was told, it may"
            due = now + waits if waits else 0.0
        if not waits:
            both.spend(who, count, now)
            if who == "a":
                alone.spend(who, count, now)
                # The last report alone may exceed it.
                assert sent <= rate * (now + BURST_SECONDS) + 1e-6
                sent += count


def test_those_who_are_silent_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MOST_REPORTERS", 3)
    few = Allowance(1.0)
    few.spend("greedy", 1000, 0.0)
    for n in range(3):
        assert few.wait("greedy", 1.0) > 900
        few.wait(str(n), 1.0)
    few.wait("3", 1.0)
    few.wait("4", 1.0)
    few.wait("5", 1.0)
    assert len(few._accounts) == 3


def test_reports_of_one_reporter_at_a_time_are_bounded() -> None:
    any_number = Allowance(0.0)
    for _ in range(MOST_AT_ONCE):
        assert any_number.wait("a", 0.0) == 0
        any_number.begin("a")
    assert (any_number.wait("a", 0.0), any_number.wait("b", 0.0)) == (1, 0)
    any_number.end("a")
    assert any_number.wait("a", 0.0) == 0


def items(count: int, prefix: str = "o") -> list[dict[str, object]]:
    return [
        {"rollout": "ranker-v2", "unit": f"u{n}", "name": "purchase", "outcome_id": f"{prefix}{n}"}
        for n in range(count)
    ]


def port(store: Store, inbox: OutcomeInbox, data: Path, options: ControlOptions) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(store, inbox, data, token=TOKEN, options=options))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_who_sends_too_much_is_told_when_to_come_back(
    store: Store, inbox: OutcomeInbox, data: Path, kept: Callable[[], list[Outcome]]
) -> None:
    one, other = (Tokens(data).add(name, ["reporter"], at=0.0, by="test") for name in ("shop", "search"))
    async with port(store, inbox, data, ControlOptions(outcome_rate=10.0)) as client:

        async def post(count: int, prefix: str, token: str = "") -> httpx.Response:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return await client.post("/api/v1/outcomes", json=items(count, prefix), headers=headers)

        assert (await post(150, "a", one)).status_code == 202, "a large report is possible, and paid for afterwards"
        late = await post(1, "b", one)
        assert (late.status_code, late.headers["retry-after"]) == (429, "5")
        assert "send the same report again in 5 s" in late.json()["what_to_do"]
        assert [(await post(1, f"c{n}", token)).status_code for n, token in enumerate((other, "", TOKEN))] == [202] * 3
        assert (await post(1, "d", "no-token-of-ours")).status_code == 202, "counted as its address is"
        metrics = (await client.get("/metrics")).text
        assert "crossfade_outcome_reports_limited_total 1.0" in metrics
        assert one not in metrics
    assert len(kept()) == 154


async def test_outcomes_may_take_a_token(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    tokens = Tokens(data)
    shop, viewer = (tokens.add(role, [role], at=0.0, by="test") for role in ("reporter", "viewer"))
    async with port(store, inbox, data, ControlOptions(outcome_token=True)) as client:

        async def status(token: str | None) -> int:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return (await client.post("/api/v1/outcomes", json=items(1), headers=headers)).status_code

        assert [await status(token) for token in (None, "wrong", viewer, shop, TOKEN)] == [401, 401, 403, 202, 202]
        act = "/api/v1/rollouts/ranker-v2/hold"
        moved = await client.post(act, json={"reason": "no"}, headers={"authorization": f"Bearer {shop}"})
        assert moved.status_code == 403, "an application that reports moves nothing"
        tokens.revoke("reporter", at=1.0, by="test")
        assert await status(shop) == 401


@contextmanager
def serving(data: Path, options: ControlOptions) -> Iterator[int]:
    """The control port as its supervisor starts it: its port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        fd, port = listening.fileno(), int(listening.getsockname()[1])
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(fd)]
        process = subprocess.Popen([*command, "--options", options.encoded()], pass_fds=(fd,))
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_client_with_certificate_and_token_waits_as_it_is_told_and_loses_nothing(
    store: Store, data: Path, tmp_path: Path, kept: Callable[[], list[Outcome]]
) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    token = Tokens(data).add("shop", ["reporter"], at=0.0, by="test")
    options = ControlOptions(
        tls_cert=ours.cert, tls_key=ours.key, tls_client_ca=ours.ca, outcome_rate=40.0, outcome_token=True
    )
    shown = {}
    for name, authority in (("ours", ours), ("theirs", theirs), ("none", None)):
        shown[name] = ssl.create_default_context(cafile=ours.ca)
        if authority is not None:
            shown[name].load_cert_chain(authority.cert, authority.key)
    with serving(data, options) as port:
        url = f"https://127.0.0.1:{port}"
        assert httpx.get(f"{url}/healthz", verify=shown["ours"], timeout=60.0).status_code == 200
        for name in ("theirs", "none"):
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"{url}/healthz", verify=shown[name], timeout=60.0)
        began = time.monotonic()
        with OutcomeClient(url, batch=420, interval=0.05, token=token, context=shown["ours"]) as client:
            for n in range(500):
                client.record("purchase", rollout="ranker-v2", unit=f"u{n}", outcome_id=f"o{n}")
            assert client.flush(60)
            told = client.delivered
        assert (told.accepted, told.rejected, told.pending) == (500, 0, 0)
        assert time.monotonic() - began >= 0.5, "the second batch has waited for the first to be paid"
        assert len({one.outcome_id for one in kept()}) == 500
        with OutcomeClient(url, token="s3cret", context=shown["ours"]) as stranger:
            stranger.record("purchase", rollout="ranker-v2", unit="u")
            assert stranger.flush(30)
            assert "the bearer token is missing or wrong" in stranger.delivered.failure
            assert "s3cret" not in stranger.delivered.failure


async def test_a_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 0.3)

    async def app(_: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        await asyncio.sleep(1.0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    server = uvicorn.Server(uvicorn.Config(app, http=slow_clients.PatientProtocol, lifespan="off", log_config=None))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        running = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for sent, answers in ((b"", 0), (whole[:-2], 0), (whole, 1), (whole + whole[:-2], 1)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            got = await asyncio.wait_for(reader.read() if sent != whole else reader.readuntil(b"\r\n\r\n"), 30)
            assert got.count(b"200 OK") == answers, "a whole one is answered, however long that takes"
            writer.close()
        server.should_exit = True
        await running


async def test_a_body_that_never_ends_is_given_up(
    store: Store, inbox: OutcomeInbox, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.console.receiving.BODY_SECONDS", 0.1)

    async def slowly() -> object:
        yield b"["
        await asyncio.sleep(30)

    async with port(store, inbox, data, ControlOptions()) as client:
        answer = await client.post("/api/v1/outcomes", content=slowly(), headers={"content-type": "application/json"})
        assert answer.status_code == 408
