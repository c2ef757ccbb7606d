"""The pages: order, safety, and that they show the record."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

from crossfade.console.markup import el, join
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from view.sample import ROLLOUT, SPEC

VOID = {"meta", "link", "br", "hr", "img", "input", "source"}


class Nesting(HTMLParser):
    """Checks that every element is closed in order; collects headings and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.attributes: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def parsed(html: str) -> Nesting:
    page = Nesting()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


async def test_a_page_reads_sentence_exposure_evidence_ledger(client: httpx.AsyncClient) -> None:
    answer = await client.get("/rollouts/ranker-v2")
    page = parsed(answer.text)
    assert page.headings[0].startswith("Watching 5 %")
    assert page.headings[1:] == ["Exposure", "Evidence", "Harm", "Outcomes", "Arms", "Ledger"]
    for shown in (
        "−3.1 pp",
        "[−0.41, ∞)",
        "✖ harmful",
        "? unmeasured",
        "v2 1.4 % of 412",
        "release 41",
        "1.5 % of units do not count",
    ):
        assert shown in answer.text


async def test_text_from_elsewhere_stays_text_and_no_script_could_run(client: httpx.AsyncClient) -> None:
    answer = await client.get("/rollouts/ranker-v2")
    page = parsed(answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; ready." in answer.text
    assert (
        re.sub(r'<script src="/(console|charts|vega)\.js[^"]*" defer=""></script>', "", answer.text).count("<script")
        == 0
    )
    assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


async def test_the_first_page_is_the_rollout_while_there_is_one_and_a_list_of_more(
    client: httpx.AsyncClient, store: Store
) -> None:
    assert "Watching 5 %" in (await client.get("/")).text
    store.add(SPEC.replace("ranker-v2", "other-v3"), parse(SPEC.replace("ranker-v2", "other-v3")), 1.0)
    listed = await client.get("/")
    page = parsed(listed.text)
    assert page.headings[0] == "Rollouts"
    assert [text for text in page.headings if text in ("Under way", "Not started")] == ["Under way", "Not started"]
    assert 'href="/rollouts/other-v3"' in listed.text
    assert "Not started" in listed.text
    assert ROLLOUT.name in listed.text


async def test_a_page_for_a_name_that_is_not_there_helps(client: httpx.AsyncClient) -> None:
    answer = await client.get("/rollouts/ranker-%3Cb%3E")
    assert answer.status_code == 404
    assert "<b>" not in answer.text
    parsed(answer.text)
    assert 'href="/rollouts/ranker-v2"' in (await client.get("/rollouts/ranker-2")).text


async def test_the_style_sheet_comes_from_here(client: httpx.AsyncClient) -> None:
    answer = await client.get("/console.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
    assert "http" not in answer.text


@pytest.mark.parametrize("hostile", ["<b>", '"><i>', "a & b", "'"])
def test_markup_escapes_what_is_not_markup(hostile: str) -> None:
    made = el("p", hostile, el("i", "x"), title=hostile)
    assert "<b>" not in made
    assert made.count("<i>") == 1
    assert join([hostile, None, ()]) == join(hostile)


async def test_a_chart_has_its_specification_and_picture_and_one_that_is_not_there_says_so(
    client: httpx.AsyncClient,
) -> None:
    spec = await client.get("/rollouts/ranker-v2/charts/forest.json")
    assert spec.json()["$schema"].endswith("vega-lite/v6.json")
    assert (await client.get("/rollouts/ranker-v2/charts/fields.json")).status_code == 204
    missing = await client.get("/rollouts/ranker-v2/charts/nothing.svg")
    assert missing.status_code == 404
    assert "nothing" in missing.json()["error"]
    assert (await client.get("/rollouts/ranker-v2/charts/forest.svg?width=9999999")).status_code == 422
