"""One list from two rankers over real sockets: shapes of replies, methods, pages, and rankers that are late or fail."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crossfade.facts import Shown
from crossfade.spec.model import Pages, Parameter, Protocol, Ranking

from .gateway_kit import Gate, ask, gate, post, route
from .toy_server import Behaviour, Got, ToyServer, hangs, says, sized

Shape = Callable[[list[dict[str, Any]]], Any]

QUERY = Pages(
    first=Parameter(in_query=True, name="from"),
    counted=False,
    start=0,
    limit=Parameter(in_query=True, name="size"),
    size=10,
    deepest=60,
)
NUMBERED = Pages(
    first=Parameter(in_query=True, name="page"),
    counted=True,
    start=1,
    limit=Parameter(in_query=True, name="per"),
    size=5,
    deepest=60,
)
BODY = Pages(
    first=Parameter(in_query=False, name="$.from"),
    counted=False,
    start=0,
    limit=Parameter(in_query=False, name="$.size"),
    size=10,
    deepest=60,
)


def plain(items: list[dict[str, Any]]) -> Any:
    return {"took": 1.50, "items": items, "total": 99}


def search(items: list[dict[str, Any]]) -> Any:
    hits = [{"_index": "p", "_id": item["id"], "_score": item["score"], "_source": item} for item in items]
    return {"took": 3, "timed_out": False, "hits": {"total": {"value": 99}, "max_score": 1.0, "hits": hits}}


def columns(items: list[dict[str, Any]]) -> Any:
    ids = {"name": "ids", "datatype": "BYTES", "shape": [len(items)], "data": [item["id"] for item in items]}
    scores = {"name": "scores", "datatype": "FP64", "shape": [len(items)], "data": [item["score"] for item in items]}
    return {"model_name": "m", "id": "7", "outputs": [ids, scores]}


def ranks(names: list[str], shape: Shape = plain, *, most: int = 1000, **marks: Any) -> Behaviour:
    """A ranker that gives what it is asked for: `from` and `size` in the query or the body, or `page` and `per`."""

    async def behave(got: Got, writer: asyncio.StreamWriter) -> None:
        said = {name: int(value[-1]) for name, value in parse_qs(urlsplit(got.target.decode()).query).items()
                if name in ("from", "size", "page", "per")}  # fmt: skip
        if got.body.startswith(b"{"):
            said |= {name: value for name, value in json.loads(got.body).items() if name in ("from", "size")}
        size = said.get("size", said.get("per", 10))
        if size > most:
            writer.write(sized(b'{"error": "too many"}', b"400 Bad"))
            return
        start = said.get("from", (said.get("page", 1) - 1) * size)
        items = [
            {"id": name, "score": 1.0 - rank / 100.0, **({"ad": True} if name in marks.get("ads", ()) else {})}
            for rank, name in enumerate(names)
        ]
        writer.write(sized(json.dumps(shape(items[start : start + size])).encode()))

    return behave


@asynccontextmanager
async def rankers(one: Behaviour, two: Behaviour, **changes: Any) -> AsyncIterator[tuple[Gate, ToyServer, ToyServer]]:
    given: dict[str, Any] = {
        "mode": "interleave",
        "weight": 1.0,
        "method": "team-draft",
        "ranking": Ranking(items="$.items", id="$.id"),
    }
    async with ToyServer(one) as first, ToyServer(two) as second:
        async with gate(route(first.url, second.url, **(given | changes))) as gw:
            yield gw, first, second


OURS = [f"a{n}" if n % 3 else f"both{n}" for n in range(40)]
THEIRS = [f"b{n}" if n % 4 else f"both{n}" for n in reversed(range(40))]
WHOLE = set(OURS) | set(THEIRS)


# -- shapes ------------------------------------------------------------------------------------------------------------


async def test_a_search_engines_hits_keep_their_scores_and_everything_around_them() -> None:
    ranking = Ranking(items="$.hits.hits", id="$._id", pinned="$._source.ad")
    one, two = (
        ranks(["x", "ad", "y", "z"], search, ads=("ad",)),
        ranks(["w", "z", "other", "x"], search, ads=("other",)),
    )
    async with rankers(one, two, ranking=ranking) as (gw, _, __):
        reply = json.loads((await ask(gw.port, post())).body)
        (fact,) = await gw.kept.wait(Shown)
    ids = [hit["_id"] for hit in reply["hits"]["hits"]]
    assert ids[1] == "ad"
    assert [name for name in ids if name != "ad"] == list(fact.items)
    assert sorted(fact.items) == ["w", "x", "z"] or sorted(fact.items) == ["w", "x", "y"] or len(fact.items) == 3
    assert all(hit["_source"]["id"] == hit["_id"] and hit["_source"]["score"] == hit["_score"] for hit in
               reply["hits"]["hits"])  # fmt: skip
    assert {**reply, "hits": {**reply["hits"], "hits": []}} == search([]) | {"hits": {**search([])["hits"], "hits": []}}
    assert (fact.arm, fact.excluded, fact.credits) == ("v2", "", ())


async def test_columns_of_the_open_inference_protocol_are_merged_row_by_row() -> None:
    ranking = Ranking(items="$.outputs[0].data")
    changes = {"ranking": ranking, "protocol": Protocol.OPEN_INFERENCE, "prefix": "/v2/models/m"}
    async with rankers(ranks(["a", "b", "c"], columns), ranks(["d", "b"], columns), **changes) as (gw, _, __):
        reply = json.loads((await ask(gw.port, post(path=b"/v2/models/m/infer"))).body)
        (fact,) = await gw.kept.wait(Shown)
    ids, scores = (output["data"] for output in reply["outputs"])
    assert ids == list(fact.items)
    assert reply["outputs"][0]["shape"] == reply["outputs"][1]["shape"] == [3]
    known = {"a": 1.0, "b": 0.99, "c": 0.98, "d": 1.0}
    assert scores == [known[name] for name in ids]
    assert (reply["model_name"], reply["id"]) == ("m", "7")


async def test_repeats_and_unequal_lengths_in_plain_json() -> None:
    async with rankers(ranks(["a", "b", "a", "c", "b", "d"]), ranks(["c"])) as (gw, _, __):
        body = (await ask(gw.port, post())).body
        (fact,) = await gw.kept.wait(Shown)
    reply = json.loads(body)
    assert [item["id"] for item in reply["items"]] == list(fact.items)
    assert sorted(fact.items) == ["a", "b", "c", "d"]
    assert body.startswith(b'{"took":1.5,')
    assert b'"total":99' in body
    assert set(fact.owners[2:]) == {""}


@pytest.mark.parametrize(
    ("two", "reason"), [(hangs, "late"), (says(b"", b"500 Oh"), "one-ranker"), (says(b"[]"), "one-ranker")]
)
async def test_one_ranker_alone_leaves_the_champions_page(two: Behaviour, reason: str) -> None:
    async with rankers(ranks(["a", "b"]), two, deadline=0.4) as (gw, _, __):
        reply = json.loads((await ask(gw.port, post())).body)
        (fact,) = await gw.kept.wait(Shown)
    assert [item["id"] for item in reply["items"]] == ["a", "b"]
    assert (fact.excluded, fact.items, fact.owners) == (reason, ("a", "b"), ("", ""))


# -- methods -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["team-draft", "balanced", "probabilistic", "optimized"])
async def test_each_method_shows_one_list_to_one_unit_and_is_fair_by_position(method: str) -> None:
    ours, theirs = ["a", "b", "c", "d"], ["b", "d", "c", "a"]
    async with rankers(ranks(ours), ranks(theirs), method=method) as (gw, _, __):
        if method == "optimized":
            for _ in range(100):  # its solver is being started
                await ask(gw.port, post(b'{"warm": 1}'))
                if not gw.kept.of(Shown)[-1].excluded:
                    break
                await asyncio.sleep(0.1)
            gw.kept.facts.clear()
        pages = []
        for number in range(60):
            headers = b"X-User-Id: u%d\r\n" % number
            pages.append((await ask(gw.port, post(headers=headers))).body)
            if not number % 10:
                assert (await ask(gw.port, post(headers=headers))).body == pages[-1]
        facts = await gw.kept.wait(Shown, 66)
    assert [fact for fact in facts if fact.excluded] == []
    seen = Counter(fact.items for fact in facts)
    assert len(seen) > 1
    assert all(sorted(items) == ours for items in seen)
    if method in ("probabilistic", "optimized"):
        assert all(len(fact.credits) == 4 and max(map(abs, fact.credits)) <= 1_000_000 for fact in facts)
    else:
        assert {fact.credits for fact in facts} == {()}
    owned = [tuple((o == "v2") - (o == "v1") for o in fact.owners) for fact in facts]
    first = [fact.credits[0] / 1e6 if fact.credits else own[0] for fact, own in zip(facts, owned, strict=True)]
    assert abs(sum(first)) < 4.0 * sum(value * value for value in first) ** 0.5


# -- pages -------------------------------------------------------------------------------------------------------------


PATHS = {
    "query": [b"/predict?q=x&from=%d&size=10" % start for start in (0, 10, 20, 30)],
    "numbered": [b"/predict?q=x&page=%d&per=8" % page for page in (1, 2, 3, 4, 5)],
    "body": [b"/predict"] * 4,
}
AT_ONCE = {
    "query": b"/predict?q=x&from=0&size=40",
    "numbered": b"/predict?q=x&page=1&per=40",
    "body": b"/predict",
}


async def turn(
    gw: Gate, pages: list[bytes], unit: bytes = b"u1", body: Callable[[int], bytes] | None = None
) -> list[str]:
    found: list[str] = []
    for number, path in enumerate(pages):
        answer = await ask(gw.port, post(body(number) if body else b"", path=path, headers=b"X-User-Id: %b\r\n" % unit))
        assert answer.status == 200
        found += [item["id"] for item in json.loads(answer.body)["items"]]
    return found


@pytest.mark.parametrize("method", ["team-draft", "balanced", "probabilistic"])
@pytest.mark.parametrize("style", ["query", "numbered", "body"])
async def test_pages_of_one_list_repeat_and_lose_nothing(method: str, style: str) -> None:
    pages = {"query": QUERY, "numbered": NUMBERED, "body": BODY}[style]
    ranking = Ranking(items="$.items", id="$.id", pages=pages)
    async with rankers(ranks(OURS), ranks(THEIRS), method=method, ranking=ranking) as (gw, _, __):
        for unit in (b"u1", b"u2", b"u3"):
            said = (
                (lambda n, size=10: b'{"q": "x", "from": %d, "size": %d}' % (10 * n, size)) if style == "body" else None
            )
            found = await turn(gw, PATHS[style], unit, said)
            assert len(found) == len(set(found)) == 40
            assert set(found) <= WHOLE
            # As if the whole list had been asked for at once.
            at_once = await turn(gw, [AT_ONCE[style]], unit, said and (lambda n, said=said: said(n, 40)))
            assert found == at_once
        facts = await gw.kept.wait(Shown, 13)
        assert all(fact.excluded == "" for fact in facts)
        shown = [fact.items for fact in facts[: 5 if style == "numbered" else 4]]
        assert all(len(items) == len(fact.owners) for items, fact in zip(shown, facts, strict=False))


async def test_pinned_items_and_short_lists_over_pages() -> None:
    ranking = Ranking(items="$.items", id="$.id", pinned="$.ad", pages=QUERY)
    ours = ["a0", "ad0", *OURS[1:12], "ad1", *OURS[12:20]]
    async with rankers(ranks(ours, ads=("ad0", "ad1")), ranks(THEIRS[:4]), ranking=ranking) as (gw, _, __):
        found = await turn(gw, [b"/predict?from=%d&size=7" % start for start in (0, 7, 14, 21, 28)])
        assert len(found) == len(set(found))
        assert (found.index("ad0"), found.index("ad1")) == (1, 13)
        assert {*ours} - {*found} == {*ours[-4:]} - {*THEIRS} or len(found) == len(ours)
        facts = await gw.kept.wait(Shown, 4)
        assert not any("ad" in item for fact in facts for item in fact.items)


async def test_a_page_whose_merge_fails_is_the_same_page_of_one_ranker() -> None:
    ranking = Ranking(items="$.items", id="$.id", pages=QUERY)
    async with rankers(ranks(OURS), says(b"", b"500 Oh"), ranking=ranking) as (gw, _, __):
        assert await turn(gw, [b"/predict?from=10&size=5"]) == OURS[10:15]
    async with rankers(says(b"", b"500 Oh"), ranks(THEIRS), ranking=ranking, deadline=1.0) as (gw, _, __):
        assert await turn(gw, [b"/predict?from=10&size=5"]) == THEIRS[10:15]
    # A champion that does not give so much at once is asked for the page alone.
    async with rankers(ranks(OURS, most=10), ranks(THEIRS), ranking=ranking) as (gw, one, _):
        assert await turn(gw, [b"/predict?from=10&size=10"]) == OURS[10:20]
        assert [got.target for got in one.requests] == [b"/predict?from=0&size=20", b"/predict?from=10&size=10"]
        assert [fact.excluded for fact in gw.kept.of(Shown)] == ["status"]
    # Deeper than lists are merged, and what is no number: as without us.
    async with rankers(ranks(OURS * 3), ranks(THEIRS), ranking=ranking) as (gw, one, two):
        assert await turn(gw, [b"/predict?from=55&size=10"]) == (OURS * 3)[55:65]
        assert (one.requests[-1].target, two.requests) == (b"/predict?from=55&size=10", [])
        assert [fact.excluded for fact in gw.kept.of(Shown)] == ["deep"]


async def test_the_champions_own_users_are_asked_for_as_they_asked() -> None:
    ranking = Ranking(items="$.items", id="$.id", pages=QUERY)
    async with rankers(ranks(OURS), ranks(THEIRS), ranking=ranking, weight=0.0) as (gw, one, _):
        assert await turn(gw, [b"/predict?from=10&size=5"]) == OURS[10:15]
        assert one.requests[0].target == b"/predict?from=10&size=5"


async def test_what_is_searched_and_not_what_else_is_sent_says_which_list_is_shown() -> None:
    query = (Parameter(in_query=False, name="$.q"),)
    for asked_for, lists in ((query, 1), ((), 8)):
        ranking = Ranking(items="$.items", id="$.id", query=asked_for)
        async with rankers(ranks(OURS), ranks(THEIRS), ranking=ranking) as (gw, _, __):
            found = {
                tuple(await turn(gw, [b"/predict"], b"u1", lambda _, n=n: b'{"q": "x", "request": %d}' % n))
                for n in range(8)
            }
            assert (len(found) == 1) is (lists == 1)
