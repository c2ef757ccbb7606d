"""The page of differences: fields, segments and examples, of real facts and a real file of examples."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from crossfade.console import models
from crossfade.console.differences import differences_page
from crossfade.facts import Compared
from crossfade.live.exchange.heads import Head
from crossfade.live.exchange.pairs import Answer, Compare
from crossfade.rim.examples import Examples
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Examples as Wanted
from rim.facts_made import compared

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


async def test_nothing_to_show_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.get(PAGE)
    assert answer.status_code == 200
    assert "Nothing to show: no mirrored request has been compared yet" in answer.text
    assert (await client.get("/rollouts/ranker-2/differences")).status_code == 404


async def test_fields_segments_and_examples_are_shown(client: httpx.AsyncClient, data: Path) -> None:
    keep(data)
    text = (await client.get(PAGE)).text
    for words in ("$.score", "value 2", "25 % (up to 25 %)", "ch", "&quot;$.score&quot;: 4", "[redacted]", "any field"):
        assert words in text, words
    assert "Ada" not in text
    assert f"decision {compared(0).decision_id}" in text
    assert "Examples of $.other" in (await client.get(PAGE, params={"field": "$.other"})).text
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
    assert answer["found"]["reason"] in (await client.get(PAGE)).text
    told = "where json:$.age is above 71, replies of v2 differ in 40 % of 210 pairs"
    found = {"available": True, "reason": "", "found": [{"sentence": told, "explained_by": None}]}
    text = differences_page({**answer, "found": found}, [], "", time.time())
    assert told in text
    assert "Exploratory" in text
    assert "No group stands out." in differences_page({**answer, "found": {**found, "found": []}}, [], "", time.time())


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
