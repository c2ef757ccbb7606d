"""What becomes of exposures that routers and programs tell: facts, or problems in words, each on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.ledger import Entry
from crossfade.rim.drivers.port import Mark
from crossfade.rim.exposures import reading
from crossfade.rim.exposures.arriving import Arriving
from crossfade.rim.exposures.inbox import ExposureInbox
from crossfade.rim.exposures.placing import MOVING, Places
from crossfade.rim.near import Near
from crossfade.rim.standing import move_by_hand
from crossfade.rim.store import Store
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import ROUTER, Move
from rim.drivers.routers import blocks

SPEC = blocks("envoy.md")["spec.yaml"].replace("    admin:", "    clusters: {v2: ranker-b}\n    admin:")
NOW = 1_790_000_000.0


def rollout() -> Rollout:
    return parse(SPEC)


def mark(step: int = 1, weight: float = 0.5) -> Mark:
    digest = rollout().revision
    return Mark(rollout="ranker-v2", revision=digest, mode="canary", stage=0, step=step, weight=weight, term=1, seq=9)


def context(entries: tuple[Entry, ...] = ()) -> reading.Context:
    one = rollout()
    return reading.Context(
        rollouts={one.name: one},
        placed=lambda _, at: Places(one, entries).at(at),
        recorded=lambda _, unit: unit,
        now=NOW,
    )


def read(*items: Any) -> reading.Read:
    return reading.read(json.dumps(items).encode(), context(), lines=False)


def logged(**line: Any) -> reading.Read:
    return reading.read_items([reading.logged(b"<134>Nov 23 haproxy[7]: " + json.dumps(line).encode())], context())


def test_a_line_of_a_log_says_under_which_order_it_came() -> None:
    found = logged(
        order=f"8388608|{mark()}", decision_id="r-1", at="1789999999.250000", unit="u1", arm="ranker-b", status=200,
        latency_us="1500", total_ms=3, size="71", theirs="is left alone",
    )  # fmt: skip
    [fact] = found.exposures
    assert (fact.rollout, fact.revision, fact.unit, fact.arm, fact.served_by) == (
        "ranker-v2", rollout().revision, "u1", "v2", "v2",
    )  # fmt: skip
    assert (fact.mode, fact.stage, fact.step, fact.weight, fact.at) == ("canary", 0, 1, 0.5, 1789999999.25)
    assert (fact.latency_ms, fact.total_ms, fact.size, fact.failed) == (1.5, 3.0, 71, False)


def test_a_line_about_no_rollout_is_left_alone() -> None:
    found = logged(order="", arm="v1", status=200)
    assert (found.ignored, found.exposures, found.rejected) == (1, [], [])


@pytest.mark.parametrize(
    ("status", "failed", "served"),
    [(200, False, "v1"), (404, False, "v1"), (503, True, "v1"), (0, True, ""), (-1, True, "")],
)
def test_what_counts_as_failed(status: int, failed: bool, served: str) -> None:
    [fact] = read({"rollout": "ranker-v2", "unit": "u", "arm": "v1", "status": status}).exposures
    assert (fact.failed, fact.served_by) == (failed, served)


def test_who_named_no_unit_is_recorded_without_one() -> None:
    for unit in ("", "-", None):
        [fact] = read({"order": str(mark()), "unit": unit, "arm": "v1"}).exposures
        assert fact.unit == ""


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"arm": "v1", "unit": "u"}, "names no rollout"),
        ({"rollout": "ranker-v3", "arm": "v1"}, "did you mean ranker-v2?"),
        ({"rollout": "ranker-v2", "arm": "v9"}, "the arms of ranker-v2 are v1, v2"),
        ({"rollout": "ranker-v2", "arm": "v1", "at": NOW * 1000}, "in the future"),
        ({"rollout": "ranker-v2", "arm": "v1", "at": "yesterday"}, "seconds since the epoch"),
        ({"rollout": "ranker-v2", "arm": "v1", "at": "2026-09-01T12:00:00"}, "no offset"),
        ({"rollout": "ranker-v2", "arm": "v1", "latency_ms": "quick"}, "must be a number"),
        ({"rollout": "ranker-v2", "arm": "v1", "latency_ms": 1e300}, "finite"),
        ({"rollout": "ranker-v2", "arm": "v1", "units": "u"}, "did you mean unit?"),
        ({"rollout": "ranker-v2", "arm": ["v1"]}, "arm: expected text"),
        ({"rollout": "ranker-v2", "arm": "v1", "unit": "u" * 600}, "longer than 512"),
        ("v1", "item: expected object"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_costs_only_itself(item: Any, said: str) -> None:
    found = read(item, {"rollout": "ranker-v2", "unit": "u", "arm": "v1"})
    assert len(found.exposures) == 1
    assert [one["index"] for one in found.rejected] == [0]
    assert said in found.rejected[0]["problem"]


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_no_line_of_a_stranger_stops_the_reading(line: bytes) -> None:
    reading.read_items([reading.logged(line), reading.item(line, Near())], context())


KEYS = st.sampled_from(sorted(reading.Item.__struct_fields__))
VALUES = st.none() | st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, VALUES))
def test_no_item_of_a_stranger_becomes_a_fact_without_an_arm_and_a_place(item: dict[str, Any]) -> None:
    for fact in read({"rollout": "ranker-v2", **item}).exposures:
        assert fact.arm in ("v1", "v2")
        assert 0.0 <= fact.weight <= 1.0
        assert min(fact.latency_ms, fact.total_ms, fact.at) >= 0.0


def test_what_says_no_order_is_placed_by_its_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(SPEC, rollout(), 100.0)
    move_by_hand(store, "ranker-v2", Move.START, actor="ana", reason="now", at=200.0)
    store.note(
        "ranker-v2",
        actor=ROUTER,
        rule=ROUTER,
        sentence="so",
        at=203.0,
        about={"mark": str(mark(0, 0.1)), "read_at": 202.0},
    )
    store.note("ranker-v2", actor="ana", rule="note", sentence="nothing", at=204.0)
    places = Places(rollout(), store.entries("ranker-v2"))
    assert (places.at(50.0).mode, places.at(199.0).mode) == ("champion", "champion")
    between = places.at(201.0)
    assert (between.mode, between.weight, between.reason) == ("champion", 0.0, MOVING), "it may be the one or the other"
    assert (places.at(202.5).mode, places.at(202.5).weight, places.at(300.0).weight) == ("canary", 0.1, 0.1)
    store.close()


def test_each_request_is_kept_once_whoever_tells_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(SPEC, rollout(), 100.0)
    arriving, inbox, other = Arriving(tmp_path, store), ExposureInbox(tmp_path), ExposureInbox(tmp_path)
    same = {"rollout": "ranker-v2", "arm": "v1", "at": 150.0}
    items = [{"decision_id": f"r{n % 3}", "unit": f"u{n}", **same} for n in range(5)]
    found = reading.read(json.dumps(items).encode(), arriving.context(NOW), lines=False)
    first = inbox.accept(found.exposures, NOW)
    again = other.accept(found.exposures, NOW)
    assert (first.accepted, first.duplicates) == (3, 2)
    assert (again.accepted, again.duplicates) == (0, 5)
    for one in (inbox, other, store):
        one.close()
