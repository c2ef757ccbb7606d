"""A person acts from a page: by role, with a reason, from this port's own pages, without a script."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from crossfade.console.acts import ACTS
from crossfade.console.guard import LARGEST
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens

from .conftest import TOKEN
from .test_pages import parsed

PAGE = "/rollouts/ranker-v2/act"
OURS = {"sec-fetch-site": "same-origin"}
ABOUT = {"field": "$.took_ms", "segment": "header:x-country=DE"}


def token(data: Path, name: str, *roles: str) -> str:
    return Tokens(data).add(name, roles, at=time.time(), by="root")


async def test_a_viewer_can_do_nothing_on_any_route(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    before = store.entries("ranker-v2")
    viewer = token(data, "vic", "viewer")
    paths = (await client.get("/openapi.json")).json()["paths"]
    writes = [(path, way) for path, ways in paths.items() for way in ways if way not in ("get", "head")]
    # Outcomes count only for what was served; everything else that writes is an act.
    reports, questions = {"exposures", "events"}, {"{hook}"}
    assert {path.rpartition("/")[2] for path, _ in writes} == {*ACTS, *reports, *questions, "outcomes"}
    for path, way in writes:
        word = path.rpartition("/")[2]
        if word in {*questions, "outcomes"}:
            # Asked by POST because Flagger does so; they read, and change nothing.
            continue
        about = {ACTS[word].about: ABOUT[ACTS[word].about]} if word in ACTS and ACTS[word].about else {}
        for secret, status in ((viewer, 403), ("wrong", 401), (None, 401)):
            headers = {"authorization": f"Bearer {secret}"} if secret else {}
            body = {"reason": "x", **about}
            answer = await client.request(way, path.format(name="ranker-v2"), json=body, headers=headers)
            assert answer.status_code == status, (path, secret)
            if word in reports:
                continue
            form = {"reason": "x", "token": secret or "", **about}
            shown = await client.post(f"{PAGE}/{word}", data=form, headers=OURS)
            assert (shown.status_code, "✖" in shown.text) == (status, True), (path, secret)
    assert store.entries("ranker-v2") == before


async def test_a_form_holds_and_rolls_back_under_the_name_of_the_token(
    client: httpx.AsyncClient, store: Store, data: Path
) -> None:
    page = parsed((await client.get("/rollouts/ranker-v2")).text)
    assert "form" not in page.tags
    asked = await client.get(f"{PAGE}/hold")
    parsed(asked.text)
    assert "Proven harm still rolls it back" in asked.text
    form = {"reason": "lunch", "token": token(data, "ana", "approver")}
    held = await client.post(f"{PAGE}/hold", data=form, headers=OURS)
    assert (held.status_code, held.headers["location"]) == (303, "/rollouts/ranker-v2")
    assert "set-cookie" not in held.headers
    entry = store.entries("ranker-v2")[-1]
    assert (entry.sentence, entry.by) == (
        "Held by ana: lunch",
        {"through": "token", "token": "ana", "roles": ["approver"]},
    )
    no_reason = await client.post(f"{PAGE}/rollback", data={**form, "reason": " "}, headers=OURS)
    assert (no_reason.status_code, "needs a reason" in no_reason.text) == (422, True)
    raising = await client.post(f"{PAGE}/resume", data={**form, "reason": "<b>"}, headers=OURS)
    assert (raising.status_code, "&lt;b&gt;" in raising.text, form["token"] in raising.text) == (403, True, False)
    assert (await client.post(f"{PAGE}/rollback", data=form, headers=OURS)).status_code == 303
    assert store.get("ranker-v2").position.phase == "rolled_back"
    over = await client.get(f"{PAGE}/hold")
    assert ("cannot be done now" in over.text, "form" in parsed(over.text).tags) == (True, False)


async def test_what_another_site_sends_is_refused(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    client.cookies.clear()
    signed = await client.post("/sign-in", data={"token": TOKEN, "actor": "ana"}, headers=OURS)
    assert signed.status_code == 303
    cookie = signed.headers["set-cookie"].lower()
    assert ("httponly" in cookie, "samesite=strict" in cookie, TOKEN in cookie) == (True, True, False)
    before = store.entries("ranker-v2")
    elsewhere = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "null"},
        {},
    )
    for headers in elsewhere:
        answer = await client.post(f"{PAGE}/hold", data={"reason": "x"}, headers=headers)
        assert (answer.status_code, "site" in answer.text or "whence" in answer.text) == (403, True), headers
        if headers:
            bearer = {"authorization": f"Bearer {TOKEN}", **headers}
            api = await client.post("/api/v1/rollouts/ranker-v2/hold", json={"reason": "x"}, headers=bearer)
            assert (api.status_code, "another site" in api.json()["error"]) == (403, True), headers
    assert store.entries("ranker-v2") == before
    held = await client.post(f"{PAGE}/hold", data={"reason": "x"}, headers={"origin": "http://localhost"})
    assert held.status_code == 303
    assert store.entries("ranker-v2")[-1].sentence == "Held by ana: x"


async def test_a_session_ends_when_its_person_or_its_token_goes(
    client: httpx.AsyncClient, store: Store, data: Path
) -> None:
    for way in ("out", "revoked"):
        secret = token(data, "ben", "operator")
        await client.post("/sign-in", data={"token": secret, "next": "//evil.example"}, headers=OURS)
        kept = dict(client.cookies)
        assert "You act as ben, operator." in (await client.get("/sign-in")).text
        assert (await client.post(f"{PAGE}/hold", data={"reason": "x"}, headers=OURS)).status_code == 303
        assert (await client.post(f"{PAGE}/resume", data={"reason": "x"}, headers=OURS)).status_code == 303
        if way == "out":
            await client.post("/sign-out", headers={**OURS, "content-type": "application/x-www-form-urlencoded"})
        Tokens(data).revoke("ben", at=0.0, by="root")
        client.cookies.clear()
        client.cookies.update(kept)
        assert (await client.post(f"{PAGE}/hold", data={"reason": "x"}, headers=OURS)).status_code == 401
        client.cookies.clear()
    assert store.get("ranker-v2").position.phase == "running"


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil", "\thttp:x", ""])
async def test_signing_in_leads_nowhere_else(client: httpx.AsyncClient, place: str) -> None:
    form = {"token": TOKEN, "actor": "ana", "next": place}
    assert (await client.post("/sign-in", data=form, headers=OURS)).headers["location"] == "/"


async def test_a_field_and_a_segment_are_muted_and_excluded_by_form(client: httpx.AsyncClient, store: Store) -> None:
    form = {"token": TOKEN, "actor": "ana", "reason": "a clock"}
    assert 'value="$.took_ms"' in (await client.get(f"{PAGE}/mute", params={"field": "$.took_ms"})).text
    muted = await client.post(f"{PAGE}/mute", data={**form, "field": "$.took_ms"}, headers=OURS)
    assert muted.headers["location"] == "/rollouts/ranker-v2/differences"
    assert dict(store.get("ranker-v2").position.muted) == {"$.took_ms": "a clock"}
    wrong = await client.post(f"{PAGE}/exclude", data={**form, "segment": "header:x-moon=full"}, headers=OURS)
    assert (wrong.status_code, "declares no segments" in wrong.text or "names no segment" in wrong.text) == (409, True)


async def test_errors_are_a_page_for_who_looks_and_a_record_for_programs(client: httpx.AsyncClient) -> None:
    looks = {"accept": "text/html,*/*"}
    for path, status in (("/nothing", 404), ("/rollouts/none", 404), (f"{PAGE}/dance", 404), ("/healthz", 405)):
        way = "POST" if status == 405 else "GET"
        page = await client.request(way, path, headers={**looks, **OURS})
        assert (page.status_code, page.headers["content-type"][:9]) == (status, "text/html")
        assert "h1" in parsed(page.text).tags
        if path != "/rollouts/none":
            told = await client.request(way, path)
            assert set(told.json()) == {"error", "what_to_do"}
    api = await client.get("/api/v1/nothing", headers=looks)
    assert (api.status_code, api.json()["error"]) == (404, "there is nothing at /api/v1/nothing")
    large = b"x" * (LARGEST + 1)
    for path in ("/api/v1/rollouts/ranker-v2/hold", "/sign-in", "/nothing"):
        answer = await client.post(path, content=large, headers={"content-type": "application/json"})
        assert (answer.status_code, "larger than" in answer.json()["error"]) == (413, True)
