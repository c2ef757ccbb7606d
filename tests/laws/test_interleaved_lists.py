"""What holds of every merged reply, whatever two rankings look like: lengths, overlaps, repeats, pins and pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from crossfade.facts import Shown
from crossfade.judge.credit.fair import fair_mixture
from crossfade.live.assign import assign
from crossfade.live.exchange import exchange
from crossfade.live.exchange.messages import Arrived, Begun, Devise, Devised, Head, Record, Reply
from crossfade.live.interleave import METHODS, PLANNED, optimized
from crossfade.live.pages import GROWING, Page
from crossfade.spec.model import Pages, Parameter, Ranking
from live.exchange.playbook import JSON, asked, route

Item = dict[str, Any]
DEEPEST = 400
PAGES = Pages(
    first=Parameter(in_query=True, name="from"),
    counted=False,
    start=0,
    limit=Parameter(in_query=True, name="size"),
    size=10,
    deepest=DEEPEST,
)
RANKING = Ranking(items="$.hits", id="$.id", pinned="$.ad", pages=PAGES)


@dataclass(frozen=True)
class Made:
    """What came of one request."""

    body: dict[str, Any]
    shown: Shown

    @property
    def hits(self) -> list[Item]:
        return list(self.body["hits"])


def rankings(chance: Random) -> tuple[list[Item], list[Item]]:
    """Two lists of 0 to 200 items with any overlap, some with items named twice, some with pinned ones."""
    ours = [f"i{number}" for number in range(chance.choice([0, 1, 2, 5, 10, 20, 50, 100, 200]))]
    count = chance.choice([0, 1, 3, 10, 20, 60, 200])
    shared = chance.sample(ours, round(min(len(ours), count) * chance.choice([0.0, 0.2, 0.5, 0.9, 1.0])))
    theirs = shared + [f"o{number}" for number in range(count - len(shared))]
    if chance.random() < 0.5:
        chance.shuffle(theirs)
    if chance.random() < 0.3:
        for names in (ours, theirs):
            for name in chance.sample(names, len(names) // 5):
                names.insert(chance.randrange(len(names) + 1), name)
    sides = []
    for whose, names in (("v1", ours), ("v2", theirs)):
        listed: list[Item] = [{"id": name, "score": number, "by": whose} for number, name in enumerate(names)]
        if chance.random() < 0.4:
            for number in range(chance.randint(1, 3)):
                at = chance.randrange(len(listed) + 1)
                listed.insert(at, {"id": f"ad-{chance.choice([whose, 'both'])}-{number}", "ad": True, "by": whose})
        sides.append(listed)
    return sides[0], sides[1]


def merged(method: str, ours: list[Item], theirs: list[Item], page: Page | None = None) -> Made:
    """The reply to a request, by the real exchange; each model gives as much of its list as it is asked for."""
    there = route("interleave", method=method, ranking=RANKING)
    machine = exchange(there, asked("u", page=page, digest="q"), assign(there, "u"))
    commands = machine.receive(Begun(0.0))
    for call, hits in enumerate((ours, theirs)):
        if page is not None:
            hits = hits[: page.stop if method in GROWING else DEEPEST]
        body = json.dumps({"took": 3, "hits": hits, "by": call}).encode()
        commands = machine.receive(Arrived(0.0, call, Head(200, b"", JSON), body, True))
    for devise in [command for command in commands if isinstance(command, Devise)]:
        plan = optimized.plan(*devise.pattern, solve=fair_mixture)
        commands = machine.receive(Devised(0.0, plan))
    assert machine.done
    (reply,) = [command for command in commands if isinstance(command, Reply)]
    (shown,) = [c.fact for c in commands if isinstance(c, Record) and isinstance(c.fact, Shown)]
    return Made(json.loads(reply.body), shown)


def unpinned(hits: list[Item], pinned: frozenset[str] = frozenset()) -> dict[str, Item]:
    """Each result by its id, at its first place."""
    found: dict[str, Item] = {}
    for hit in hits:
        if not hit.get("ad") and hit["id"] not in pinned:
            found.setdefault(hit["id"], hit)
    return found


def check(method: str, ours: list[Item], theirs: list[Item], made: Made) -> None:
    """All that is promised of one merged reply."""
    assert (made.body["took"], made.body["by"]) == (3, 0), "the champion's other fields"
    if made.shown.excluded == "same":
        assert made.hits == ours
        return
    assert made.shown.excluded == ""
    pins = {slot: hit for slot, hit in enumerate(ours) if hit.get("ad")}
    mine, others = unpinned(ours), unpinned(theirs)
    assert len(made.hits) == max(len(mine), len(others)) + len(pins)
    results = [hit for hit in made.hits if not hit.get("ad")]
    assert len({hit["id"] for hit in results}) == len(results), "an item twice"
    assert [hit for hit in made.hits if hit.get("ad")] == list(pins.values()), "whose pins they are"
    for before, (slot, hit) in enumerate(pins.items()):
        assert made.hits[min(slot, len(results) + before)] == hit, "a pin that left its slot"
    for hit in results:
        assert hit == (others | mine)[hit["id"]]
    assert [hit["id"] for hit in results] == list(made.shown.items)
    assert len(made.shown.owners) == len(made.shown.items)
    assert set(made.shown.owners) <= {"v1", "v2", ""}
    if method in GROWING:
        tops: set[str] = set()
        for hit, a, b in zip(results, padded(mine, len(results)), padded(others, len(results)), strict=True):
            tops |= {a, b}
            assert hit["id"] in tops or "" in (a, b), "deeper than either ranking has it"


def padded(found: dict[str, Item], length: int) -> list[str]:
    names = list(found)[:length]
    return names + [""] * (length - len(names))


def cases(count: int, seed: int) -> None:
    chance = Random(seed)
    for number in range(count):
        ours, theirs = rankings(chance)
        # A plan costs tens of milliseconds where others cost one.
        method = chance.choice([*METHODS, PLANNED] if number % 10 == 0 else METHODS)
        whole = merged(method, ours, theirs)
        check(method, ours, theirs, whole)
        # A ranking that names an item twice, or a challenger with pins of its own, has fewer results up to a page's end
        # than were asked for; the guide says so.
        if number % 3 == 0 and not repeats(ours) and not repeats(theirs) and not any(hit.get("ad") for hit in theirs):
            size = chance.choice([1, 7, 20, 50])
            turned(method, ours, theirs, size)


def turned(method: str, ours: list[Item], theirs: list[Item], size: int) -> None:
    """Page by page: nothing comes twice, nothing is lost, and every page is what the whole list has there."""
    deepest = min(max(len(ours), len(theirs)), 60)
    pages = [merged(method, ours, theirs, Page(at, at + size, True, False)) for at in range(0, deepest, size)]
    upto = Page(0, len(pages) * size, True, False)
    whole = merged(method, ours, theirs, upto).hits
    # By id: an item that the champion has only deeper than it was asked is the challenger's object on an early page.
    assert [hit["id"] for page in pages for hit in page.hits] == [hit["id"] for hit in whole[: len(pages) * size]]
    assert not repeats(whole)


def repeats(hits: list[Item]) -> bool:
    return len({hit["id"] for hit in hits}) < len(hits)


def test_hundreds_of_random_pairs_of_rankings() -> None:
    cases(400, 20261123)


@pytest.mark.full
def test_ten_thousand_random_pairs_of_rankings() -> None:
    cases(10_000, 7)
