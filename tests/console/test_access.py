"""Roles: who may read, move, stop and approve through the control port, and by which name the ledger has it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from crossfade.console.app import create_app
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.rim.tokens import FILE, ROLES, TokenProblem, Tokens

from .conftest import TOKEN

ONE = "/api/v1/rollouts/ranker-v2"

RAISING = ("start", "resume", "advance", "promote", "mute", "unmute")
LOWERING = ("hold", "rollback")


@asynccontextmanager
async def port(store: Store, inbox: OutcomeInbox, data: Path, *, private: bool) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(store, inbox, data, token=TOKEN, private=private)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def token(data: Path, name: str, *roles: str) -> dict[str, str]:
    return bearer(Tokens(data).add(name, roles, at=time.time(), by="root"))


async def test_a_viewer_moves_nothing(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    before = store.entries("ranker-v2")
    headers = token(data, "vic", "viewer")
    for act in (*RAISING, *LOWERING):
        body = {"reason": "x"} | ({"field": "$.took_ms"} if "mute" in act else {})
        answer = await client.post(f"{ONE}/{act}", json=body, headers=headers)
        assert answer.status_code == 403, act
        assert "the token of vic is that of a viewer" in answer.json()["error"]
        assert "operator" in answer.json()["error"]
    assert store.entries("ranker-v2") == before


async def test_an_approver_stops_and_raises_nothing(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    headers = token(data, "ana", "approver")
    for act in RAISING:
        body = {"reason": "x"} | ({"field": "$.took_ms"} if "mute" in act else {})
        assert (await client.post(f"{ONE}/{act}", json=body, headers=headers)).status_code == 403
    for act in LOWERING:
        assert (await client.post(f"{ONE}/{act}", json={"reason": "x"}, headers=headers)).status_code == 200
    assert [entry.actor for entry in store.entries("ranker-v2")[-2:]] == ["ana", "ana"]


async def test_what_is_done_has_the_name_of_the_token(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    headers = token(data, "ben", "operator")
    held = await client.post(f"{ONE}/hold", json={"reason": "lunch"}, headers=headers)
    assert held.json()["by"] == {"through": "token", "token": "ben", "roles": ["operator"]}
    assert held.json()["sentence"] == "Held by ben: lunch"
    forged = await client.post(f"{ONE}/resume", json={"reason": "x", "actor": "ana"}, headers=headers)
    assert forged.status_code == 422
    assert "the token is ben's, and the request says that it is from ana" in forged.json()["error"]
    muted = await client.post(f"{ONE}/mute", json={"reason": "x", "field": "$.took_ms"}, headers=headers)
    assert (muted.json()["actor"], muted.json()["by"]["token"]) == ("ben", "ben")
    # Whoever can read the data folder says who they are.
    local = await client.post(f"{ONE}/resume", json={"reason": "x", "actor": "ana"}, headers=bearer(TOKEN))
    assert (local.json()["actor"], local.json()["by"]) == ("ana", {"through": "local token"})


async def test_a_revoked_token_opens_nothing_from_then_on(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    headers = token(data, "ben", "operator")
    assert (await client.post(f"{ONE}/hold", json={"reason": "x"}, headers=headers)).status_code == 200
    Tokens(data).revoke("ben", at=0.0, by="root")
    assert (await client.post(f"{ONE}/resume", json={"reason": "x"}, headers=headers)).status_code == 401
    assert store.get("ranker-v2").position.phase == "held"


async def test_where_others_reach_the_port_reading_takes_a_token(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    mine = token(data, "vic", "viewer")
    async with port(store, inbox, data, private=False) as client:
        for path in ("/", "/rollouts/ranker-v2", ONE, f"{ONE}/ledger", "/metrics", "/openapi.json", "/console.css"):
            nobody = await client.get(path)
            assert (nobody.status_code, nobody.headers["www-authenticate"][:5]) == (401, "Basic"), path
            assert (await client.get(path, headers=bearer("wrong"))).status_code == 401
            assert (await client.head(path)).status_code == 401
            for headers in (mine, bearer(TOKEN)):
                assert (await client.get(path, headers=headers)).status_code == 200, path
        assert (await client.get(ONE, auth=("anything", mine["authorization"].split()[1]))).status_code == 200
        assert (await client.get(ONE, headers={"authorization": "Basic %"})).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
        # Who sends outcomes is known by the decision they name.
        told = await client.post("/api/v1/outcomes", json=[{"decision_id": "d1", "name": "purchase"}])
        assert told.status_code == 202
    async with port(store, inbox, data, private=True) as client:
        assert (await client.get(ONE)).status_code == 200


async def test_a_page_from_elsewhere_whose_name_leads_here_reads_and_reports_nothing(
    store: Store, inbox: OutcomeInbox, data: Path
) -> None:
    page = {"sec-fetch-site": "same-origin", "origin": "http://evil.example:8090"}
    told = [{"decision_id": "d1", "name": "purchase"}]
    async with port(store, inbox, data, private=True) as client:
        for host in ("evil.example:8090", "localhost.evil.example", "127.0.0.1.evil.example", "[::1].evil", "a@b"):
            named = {"host": host}
            for path in (
                "/",
                "/rollouts/ranker-v2",
                ONE,
                f"{ONE}/differences",
                "/metrics",
                "/live?page=/",
                f"{ONE}/argo",
            ):
                answer = await client.get(path, headers=named)
                assert (answer.status_code, "as localhost" in answer.text) == (401, True), (host, path)
            asked = await client.post(
                f"{ONE}/flagger/rollout",
                json={"name": "x", "namespace": "models", "phase": "Progressing"},
                headers=named,
            )
            assert asked.status_code == 401, host
            shown = await client.post("/rollouts/ranker-v2/act/hold", data={"reason": "x"}, headers={**named, **page})
            assert (shown.status_code, "ranker" in shown.text) in ((401, False), (403, False)), host
            tilted = await client.post(
                "/api/v1/outcomes", json=told, headers={**named, **page, "origin": f"http://{host}"}
            )
            assert tilted.status_code in (401, 403), host
            assert (await client.get(ONE, headers={**named, **bearer(TOKEN)})).status_code == 200
            # A program behind a proxy that keeps the name is no page.
            assert (await client.post("/api/v1/outcomes", json=told, headers=named)).status_code == 202
        for host in ("localhost:8090", "127.0.0.1:8090", "[::1]:8090", "crossfade.localhost", "192.0.2.7"):
            assert (await client.get(ONE, headers={"host": host})).status_code == 200, host


async def test_a_form_that_is_refused_shows_nothing_to_who_may_not_read(
    store: Store, inbox: OutcomeInbox, data: Path
) -> None:
    ours = {"sec-fetch-site": "same-origin"}
    reporter = Tokens(data).add("app", ("reporter",), at=time.time(), by="root")
    viewer = Tokens(data).add("vic", ("viewer",), at=time.time(), by="root")
    async with port(store, inbox, data, private=False) as client:
        for secret, status in (("", 401), ("wrong", 401), (reporter, 403)):
            for name in ("ranker-v2", "ranker-v2x"):
                form = {"reason": "x", "token": secret}
                answer = await client.post(f"/rollouts/{name}/act/hold", data=form, headers=ours)
                assert answer.status_code == status, (secret, name)
                assert "ranker" not in answer.text
        told = await client.post("/rollouts/ranker-v2/act/hold", data={"reason": "x", "token": viewer}, headers=ours)
        assert (told.status_code, "The token of vic is that of a viewer" in told.text) == (403, True)
        # A browser that has shown a token to read, and another one to act which is wrong, gets its form back.
        again = {"reason": "lunch", "token": "wrong"}
        told = await client.post("/rollouts/ranker-v2/act/hold", data=again, headers={**ours, **bearer(viewer)})
        assert (told.status_code, "lunch" in told.text) == (401, True)


async def test_who_may_approve(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    told = {}
    for name, role in (("vic", "viewer"), ("ben", "operator"), ("ana", "approver")):
        told[name] = await client.post(f"{ONE}/approve", json={"reason": "x"}, headers=token(data, name, role))
    assert [answer.status_code for answer in told.values()] == [403, 403, 409]
    assert "to approve, it has to be that of an approver" in told["ben"].json()["error"]
    assert "does not wait for an approval now" in told["ana"].json()["error"]
    assert (await client.get(ONE)).json()["approval"] is None


async def test_damaged_tokens_let_nobody_in(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    headers = token(data, "ben", "operator")
    (data / FILE).write_text("{")
    answer = await client.post(f"{ONE}/hold", json={"reason": "x"}, headers=headers)
    assert (answer.status_code, "cannot be read" in answer.json()["error"]) == (503, True)
    assert store.get("ranker-v2").position.phase == "running"


def test_secrets_are_not_kept(data: Path) -> None:
    secret = Tokens(data).add("ana", ["approver", "operator"], at=1.0, by="root")
    assert secret not in (data / FILE).read_text()
    assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
    found = Tokens(data).find(secret)
    assert found is not None
    assert (found.name, found.roles) == ("ana", ("operator", "approver"))
    assert Tokens(data).find(secret[:-1]) is None
    assert Tokens(data).find("ślepy") is None


def test_names_and_roles_are_checked(data: Path) -> None:
    tokens = Tokens(data)
    tokens.add("ana", ["viewer"], at=1.0, by="root")
    for name, roles, words in (
        ("ana", ["viewer"], "has a token already"),
        ("rule", ["viewer"], "cannot be the name"),
        ("\x1b[2J", ["viewer"], "cannot be the name"),
        ("ben", ["boss"], "no role is called boss; there are viewer, operator, approver"),
        ("ben", [], "no role is called nothing"),
    ):
        with pytest.raises(TokenProblem, match=words):
            tokens.add(name, roles, at=1.0, by="root")
    with pytest.raises(TokenProblem, match="ben has no token; tokens are held by ana"):
        tokens.revoke("ben", at=0.0, by="root")


def test_no_role_may_what_another_is_for() -> None:
    assert "approve" not in ROLES["operator"]
    assert "move" not in ROLES["approver"] | ROLES["viewer"]
    assert ROLES["viewer"] == {"read"}


def test_the_command_makes_lists_and_revokes(data: Path) -> None:
    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "crossfade.cli.main", "token", *words, "--data", str(data)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

    made = ran("add", "ana", "--role", "approver", "--role", "viewer")
    found = Tokens(data).find(made.stdout.strip())
    assert found is not None
    assert found.roles == ("viewer", "approver")
    assert "not kept anywhere" in made.stderr
    assert ran("list").stdout.startswith("ana: viewer, approver, since ")
    assert [one["name"] for one in json.loads(ran("list", "--json").stdout)["tokens"]] == ["ana"]
    assert "sha256" not in ran("list", "--json").stdout
    assert ran("add", "ana", "--role", "viewer").returncode == 2
    assert ran("revoke", "ana").stdout == "The token of ana opens nothing any more.\n"
    assert ran("list").stdout.startswith("Nobody has a named token")


def test_a_port_that_others_reach_asks_for_a_token(store: Store, data: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen()
        fd, number = listening.fileno(), listening.getsockname()[1]
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(fd)]
        process = subprocess.Popen(command, pass_fds=(fd,), stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{number}"
        assert httpx.get(f"{url}/healthz", timeout=60.0).status_code == 200
        assert httpx.get(url + ONE, timeout=30.0).status_code == 401
        assert httpx.get(url + ONE, headers=bearer(TOKEN), timeout=30.0).status_code == 200
    finally:
        process.terminate()
        process.wait(timeout=30)
