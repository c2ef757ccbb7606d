"""What a real gateway counts of what passes: nothing unless asked, each arm by itself, never a text."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Sketched
from crossfade.live.routes import RouteTable
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.recorder import Recorder
from crossfade.rim.routes_feed import Update
from crossfade.rim.sketching import MOST_A_SECOND, ONCE_IN, _Lately
from crossfade.spec.model import Drift
from rim.gateway_kit import Client, gate, post, route
from rim.toy_server import ToyServer, says

ALL = Drift(sample=1.0, reference=20.0)


async def run(*bodies: bytes, same_unit: bool = False, fails: bool = False, **changes: Any) -> list[Sketched]:
    """The sketches of some requests."""
    two = says(b'{"p": 0.75}', *((b"500 Oh",) if fails else ()))
    async with ToyServer(says(b'{"p": 0.25}')) as one, ToyServer(two) as other:
        given = {"drift": ALL} | changes
        async with gate(route(one.url, other.url, **given)) as there:
            client = await Client.to(there.port)
            for n, body in enumerate(bodies):
                client.send(post(body, headers=b"X-User-Id: u%d\r\n" % (0 if same_unit else n)))
                assert (await client.answer()).status == 200
            client.close()
            await asyncio.sleep(0.05)
        return there.kept.of(Sketched)


def summed(facts: list[Sketched]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for fact in facts:
        found[fact.side, fact.arm, fact.field] += fact.n
    return found


async def test_nothing_is_counted_unless_the_spec_says_so() -> None:
    assert await run(b'{"x": 1}', drift=None) == []


async def test_both_arms_are_counted_by_themselves_with_what_they_were_asked() -> None:
    facts = await run(*[b'{"x": 1}'] * 24, mode="ab", weight=0.5)
    counts = summed(facts)
    asked = {arm: counts["input", arm, "$.x"] for arm in ("v1", "v2")}
    assert sum(asked.values()) == 24
    assert min(asked.values()) > 4
    assert {arm: counts["output", arm, "$.p"] for arm in ("v1", "v2")} == asked
    (v2,) = {fact.bins for fact in facts if fact.arm == "v2" and fact.field == "$.p"}
    (v1,) = {fact.bins for fact in facts if fact.arm == "v1" and fact.field == "$.p"}
    assert v1 != v2
    assert {fact.revision for fact in facts} == {"rev"}


async def test_a_hidden_arm_is_counted_too() -> None:
    counts = summed(await run(*[b'{"x": 1}'] * 10, mode="shadow", mirror=1.0))
    assert (counts["input", "v1", "$.x"], counts["input", "v2", "$.x"]) == (10, 0)
    assert (counts["output", "v1", "$.p"], counts["output", "v2", "$.p"]) == (10, 10)


async def test_the_champions_help_is_no_prediction_of_its_own_users() -> None:
    counts = summed(await run(*[b'{"x": 1}'] * 8, mode="ab", weight=1.0, fails=True))
    assert counts["input", "v2", "$.x"] == 8
    assert not any(side == "output" for side, _, _ in counts)


async def test_a_unit_says_it_once_however_long_its_visit() -> None:
    facts = await run(*[b'{"x": 1}'] * 12, same_unit=True)
    assert summed(facts)["input", "v1", "$.x"] == 1


def test_a_unit_that_comes_back_much_later_is_counted_again() -> None:
    lately, counted = _Lately(), []
    for minute in range(200):
        if lately.takes("ann", 60.0 * minute, 60.0):
            lately.took("ann")
            counted.append(minute)
    assert min(b - a for a, b in itertools.pairwise(counted)) >= ONCE_IN
    assert len(counted) >= 200 // (2 * ONCE_IN)
    assert lately.takes("ann", 60.0 * 400, 60.0)


async def test_what_is_read_is_bounded_whatever_the_share() -> None:
    facts = await run(*[b'{"x": 1}'] * 100)
    per_slice = Counter[float]()
    for fact in facts:
        if (fact.side, fact.field) == ("input", ""):
            per_slice[fact.at] += fact.n
    assert max(per_slice.values()) <= MOST_A_SECOND


@pytest.mark.parametrize("body", [b"rubbish", b"", b'{"x": 1', b"[" * 5000])
async def test_what_cannot_be_read_is_told(body: bytes) -> None:
    facts = await run(body)
    (whole,) = [fact for fact in facts if (fact.side, fact.field) == ("input", "")]
    assert (whole.n, whole.missing) == (0, 1)


async def test_no_text_leaves_the_gateway(tmp_path: Path) -> None:
    secret = "ann@example.org"
    facts = await run(json.dumps({"email": secret, "user": {"name": secret}}).encode(), redact=("$.user.name",))
    assert {fact.field for fact in facts if fact.side == "input"} == {"", "$.email"}
    recorder = Recorder(Journal(tmp_path, "w0"))
    for fact in facts:
        recorder.record(fact)
    recorder.close()
    lake = Lake(tmp_path)
    lake.compact_journals()
    assert lake.table("sketched").num_rows == len(facts)
    lake.close()
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


async def test_a_route_may_begin_to_be_counted_and_end(tmp_path: Path) -> None:
    async with ToyServer(says(b"1")) as one, gate(route(one.url, one.url)) as there:
        client = await Client.to(there.port)
        for drift in (None, ALL, None):
            there.running.gateway.adopt(Update(table=RouteTable.of([route(one.url, one.url, drift=drift)]), lease=None))
            client.send(post(b'{"x": 1}'))
            await client.answer()
        client.close()
        facts = await there.kept.wait(Sketched, 4)
    assert summed(facts)["input", "v1", "$.x"] == 1
