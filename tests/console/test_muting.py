"""Mutes over the control port: entries of the ledger that name a person, and what they change."""

from __future__ import annotations

import httpx
import pytest

from crossfade import ledger
from crossfade.console import models
from crossfade.rim.store import Store

from .conftest import TOKEN

AUTH = {"authorization": f"Bearer {TOKEN}"}
ONE = "/api/v1/rollouts/ranker-v2"
MUTE = {"field": "$.took_ms", "reason": "a time", "actor": "ana"}


async def test_a_mute_is_an_entry_with_a_name_and_a_reason(client: httpx.AsyncClient, store: Store) -> None:
    muted = await client.post(f"{ONE}/mute", json=MUTE, headers=AUTH)
    assert muted.status_code == 200
    models.EntryRecord.model_validate(muted.json(), strict=True)
    assert (muted.json()["rule"], muted.json()["actor"], muted.json()["move"]) == ("mute", "ana", None)
    assert muted.json()["sentence"] == "Muted $.took_ms by ana: a time"
    assert (await client.get(ONE)).json()["muted"] == {"$.took_ms": "a time"}
    heard = await client.post(f"{ONE}/unmute", json={**MUTE, "reason": "it matters"}, headers=AUTH)
    assert heard.json()["sentence"] == "Unmuted $.took_ms by ana: it matters"
    assert store.get("ranker-v2").position.muted == ()
    assert ledger.verify(store.entries("ranker-v2"), store.head("ranker-v2")).intact


@pytest.mark.parametrize(
    ("word", "body", "status", "error"),
    [
        ("mute", {"field": "$.x"}, 422, "reason"),
        ("mute", {"field": "$.x", "reason": "  "}, 422, "reason: must not be empty"),
        ("mute", {"field": "$.x[", "reason": "why"}, 422, "'$.x[' is no field"),
        ("mute", {"reason": "why"}, 422, "field"),
        ("mute", {"field": "$.x", "reason": "why", "actor": "rule"}, 422, "cannot be the name of a person"),
        ("unmute", {"field": "$.x", "reason": "why"}, 409, "$.x is not muted; muted by hand: nothing"),
    ],
)
async def test_what_cannot_be_muted_is_told(
    client: httpx.AsyncClient, store: Store, word: str, body: dict[str, str], status: int, error: str
) -> None:
    before = len(store.entries("ranker-v2"))
    answer = await client.post(f"{ONE}/{word}", json=body, headers=AUTH)
    assert answer.status_code == status
    assert error in answer.json()["error"]
    assert len(store.entries("ranker-v2")) == before


async def test_without_the_token_nothing_is_muted(client: httpx.AsyncClient, store: Store) -> None:
    answer = await client.post(f"{ONE}/mute", json=MUTE, headers={"authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert store.get("ranker-v2").position.muted == ()


async def test_a_name_that_nobody_has_gets_the_nearest(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/rollouts/ranker-v3/mute", json=MUTE, headers=AUTH)
    assert answer.status_code == 404
    assert "ranker-v2" in answer.json()["what_to_do"]
