"""The page of differences: fields, segments and examples, of real facts and a real file of examples."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from crossfade import ledger
from crossfade.console import models
from crossfade.console.differences import Asked, differences_page
from crossfade.facts import Compared
from crossfade.live.exchange.heads import Head
from crossfade.live.exchange.pairs import Answer, Compare
from crossfade.rim.examples import Examples
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.spec.model import Examples as Wanted
from crossfade.spec.parse import parse
from rim.facts_made import compared
from view.sample import SPEC

from .test_pages import parsed

PAGE = "/rollouts/ranker-v2/differences"


def keep(data: Path) -> None:
    """Sixty pairs, of which the two from Switzerland differ, one of them kept with its replies."""
    pairs = []
    for n in range(60):
        country = "ch" if n < 2 else "de"
        more = {"differs": True, "fields": ("$.score",), "kinds": ("value",), "sizes": (0.25,)} if n < 2 else {}
        pairs.append(compared(n, rollout="ranker-v2", segments=(country,), **more))
    journal, lake = Journal(data, "w0"), Lake(data)
    journal.append(pairs)
    lake.compact_journals()
    journal.close()
    lake.close()
    head = Head(200, b"OK", ((b"Content-Type", b"application/json"),))
    ours, theirs = (Answer(head, b'{"score": %s, "name": "<b>Ada</b>"}' % score, "", 1.0) for score in (b"3", b"4"))
    fact: Compared = pairs[0]
    pair = Compare(
        rollout=fact.rollout, revision="r", decision_id=fact.decision_id, at=time.time(), unit="u", stage=0,
        segments=fact.segments, protocol="json", arm="v2", champion=ours, challenger=theirs, noise=None,
        examples=Wanted(share=1.0), redact=("$.name",),
    )  # fmt: skip
    examples = Examples(data, "w0")
    examples.offer(pair, fact)
    examples.close()


async def settled(client: httpx.AsyncClient, **asked: str) -> str:
    """The page once it waits for nothing."""
    for _ in range(100):
        answer = await client.get(PAGE, params=asked)
        assert answer.status_code == 200
        if "being summed up" not in answer.text:
            return answer.text
        await asyncio.sleep(0.1)
    raise AssertionError("the page waits for ever")


async def test_nothing_to_show_is_said(client: httpx.AsyncClient) -> None:
    assert "Nothing to show: no mirrored request has been compared yet" in await settled(client)
    assert (await client.get("/rollouts/ranker-2/differences")).status_code == 404


async def test_fields_segments_and_examples_are_shown(client: httpx.AsyncClient, data: Path) -> None:
    keep(data)
    text = await settled(client)
    for words in ("$.score", "value 2", "25 % (up to 25 %)", "ch", "&quot;$.score&quot;: 4", "[redacted]", "any field"):
        assert words in text, words
    assert "Ada" not in text
    assert f"decision {compared(0).decision_id}" in text
    assert "Examples of $.other" in await settled(client, field="$.other")
    answer = (await client.get("/api/v1/rollouts/ranker-v2/differences")).json()
    (arm,) = answer["arms"]
    assert arm["fields"][0]["size"] == {
        "median": 0.25, "largest": 0.25, "pairs": {"below_1%": 0, "1%_to_10%": 0, "10%_and_more": 2}
    }  # fmt: skip


async def test_groups_that_a_search_found_are_told_beside_declared_ones(client: httpx.AsyncClient, data: Path) -> None:
    keep(data)
    answer = (await client.get("/api/v1/rollouts/ranker-v2/differences")).json()
    models.DifferencesOf.model_validate(answer, strict=True)
    assert not answer["found"]["available"]
    assert answer["found"]["reason"] in await settled(client)
    told = "where json:$.age is above 71, replies of v2 differ in 40 % of 210 pairs"
    found = {"available": True, "reason": "", "found": [{"sentence": told, "explained_by": None}]}
    text = differences_page({**answer, "found": found}, [], Asked(), time.time())
    assert told in text
    assert "Exploratory" in text
    assert "No group stands out." in differences_page(
        {**answer, "found": {**found, "found": []}}, [], Asked(), time.time()
    )


@pytest.mark.parametrize(
    ("query", "count"), [({}, 1), ({"field": "$.score"}, 1), ({"field": "$.x"}, 0), ({"arm": "v3"}, 0)]
)
async def test_examples_can_be_asked_for(
    client: httpx.AsyncClient, data: Path, query: dict[str, str], count: int
) -> None:
    keep(data)
    answer = (await client.get("/api/v1/rollouts/ranker-v2/examples", params=query)).json()
    models.ExamplesOf.model_validate(answer, strict=True)
    assert len(answer["examples"]) == count
    assert (await client.get("/api/v1/rollouts/nobody/examples")).status_code == 404


async def test_who_looks_at_replies_is_in_the_ledger_before(
    client: httpx.AsyncClient, data: Path, store: Store
) -> None:
    await client.get("/rollouts/ranker-v2/differences")
    keep(data)
    await client.get("/rollouts/ranker-v2/differences.json")
    await client.get("/api/v1/rollouts/ranker-v2/examples", params={"field": "$.x"})

    def looks() -> list[tuple[str, Any]]:
        return [(one.actor, one.by) for one in store.entries("ranker-v2") if one.rule == "looked"]

    assert looks() == []
    for _ in range(2):
        text = (await client.get("/rollouts/ranker-v2/differences")).text
        assert "<mark>" in text
    secret = Tokens(data).add("ana", ["viewer"], at=1.0, by="root")
    for _ in range(2):
        await client.get("/api/v1/rollouts/ranker-v2/examples", headers={"authorization": f"Bearer {secret}"})
    assert looks() == [
        ("somebody", {"through": "this machine, without a token"}),
        ("ana", {"through": "token", "token": "ana", "roles": ["viewer"]}),
    ]
    assert ledger.verify(store.entries("ranker-v2")).intact


async def test_the_address_is_what_is_shown(client: httpx.AsyncClient, data: Path, store: Store) -> None:
    text = SPEC.replace("alpha: 5%", "alpha: 5%\nsegments: [header:x-country]")
    store.add(text, parse(text), time.time())
    keep(data)
    everything = await settled(client)
    assert 'href="/rollouts/ranker-v2/differences?segment=header%3Ax-country%3Dch"' in everything
    assert 'href="/rollouts/ranker-v2/act/mute?field=%24.score"' in everything
    swiss = {"segment": "header:x-country=ch"}
    for asked, fields, pairs in (
        ({"kind": "value"}, True, 1),
        ({"kind": "order"}, False, 0),
        ({"field": "$.score"}, True, 1),
        ({"field": "$.sco"}, False, 0),
        (swiss, True, 1),
        ({"segment": "header:x-country=de"}, False, 0),
        ({**swiss, "kind": "value", "field": "$.score", "page": "99"}, True, 1),
    ):
        shown = await settled(client, **asked)
        parsed(shown)
        assert shown.count("<pre") == 2 * pairs, asked
        told = (await client.get(f"{PAGE}.json", params=asked)).json()
        (arm,) = told["arms"]
        assert bool([line for line in arm["fields"] if line["differing"]]) == fields, asked
        sheet = list(csv.DictReader(io.StringIO((await client.get(f"{PAGE}.csv", params=asked)).text)))
        assert [line["path"] for line in sheet] == [line["path"] for line in arm["fields"]]
        for key, value in asked.items():
            if key != "page":
                assert f"{key}={quote_plus(value)}" in shown
    (arm,) = (await client.get(f"{PAGE}.json", params=swiss)).json()["arms"]
    assert arm["pairs"] == 2
    wrong = await client.get(PAGE, params={"segment": "header:x-moon=full"})
    assert (wrong.status_code, "names no segment that the spec declares" in wrong.json()["error"]) == (422, True)
