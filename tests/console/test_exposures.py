"""Exposures in, by the control port: with a token, durable before they are acknowledged, once each."""

from __future__ import annotations

from pathlib import Path

import httpx

from crossfade.facts import Exposed
from crossfade.rim import batches

PATH = "/api/v1/exposures"
TOKEN = {"authorization": "Bearer open-sesame"}
ONE = {"decision_id": "r1", "rollout": "ranker-v2", "unit": "u1", "arm": "v2", "status": 200, "latency_ms": 3}


def on_disk(data: Path) -> list[Exposed]:
    connection = batches.connect(data / "journal" / "exposures.db")
    try:
        return [fact for row in batches.rows(connection, 0, 1000) for fact in row.facts if isinstance(fact, Exposed)]
    finally:
        connection.close()


async def test_what_a_router_served_is_kept_once_and_placed_where_the_rollout_stood(
    client: httpx.AsyncClient, data: Path
) -> None:
    items = [ONE, {**ONE, "decision_id": "r2", "arm": "v9"}, {**ONE, "unit": "u2"}]
    reply = await client.post(PATH, json=items, headers=TOKEN)
    assert reply.status_code == 202, reply.text
    told = reply.json()
    assert (told["accepted"], told["duplicates"]) == (1, 1)
    assert [one["index"] for one in told["rejected"]] == [1]
    [fact] = on_disk(data)
    assert (fact.unit, fact.arm, fact.mode, fact.stage, fact.step) == ("u1", "v2", "canary", 1, 1)
    assert (await client.post(PATH, json=[ONE], headers=TOKEN)).json()["duplicates"] == 1
    assert len(on_disk(data)) == 1


async def test_who_has_no_token_tells_nothing(client: httpx.AsyncClient, data: Path) -> None:
    assert (await client.post(PATH, json=[ONE])).status_code == 401
    assert not (data / "journal" / "exposures.db").exists()


async def test_bodies_that_cannot_be_read_are_refused_as_a_whole(client: httpx.AsyncClient) -> None:
    for body, status in (("{{", 202), ("7", 422), ("[" * 20_000, 422), ("", 422)):
        reply = await client.post(PATH, content=body, headers={**TOKEN, "content-type": "application/json"})
        assert reply.status_code == status, (body[:10], reply.text)
    assert (await client.post(PATH, content="x", headers=TOKEN)).status_code == 415
