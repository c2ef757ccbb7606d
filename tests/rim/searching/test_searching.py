"""Facts in a real lake are searched: the group that was harmed is named, the record says how to come to it again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Compared, Exposed, Fact, Outcome
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.searching import kept as store
from crossfade.rim.searching.look import look
from crossfade.rim.searching.rows import table
from crossfade.rim.searching.searcher import Searcher
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase, Position

TEXT = """
name: r1
route: /predict
protocol: json
unit: header:x-user-id
segments: [header:x-country]
explore: [json:$.age]
champion:   {name: v1, url: http://127.0.0.1:1}
challenger: {name: v2, url: http://127.0.0.1:2}
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  purchase: {from: outcome, kind: rate, window: 10m, better: higher, goal: true}
stages:
  - shadow: {mirror: 100%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}
  - ab:     {weight: 50%, until: {decided: true}}
"""
ROLLOUT = parse(TEXT)
BEGAN = 1_767_225_600.0
AB = Position(phase=Phase.RUNNING, stage=1, stage_since=BEGAN, step_since=BEGAN)
SHADOW = Position(phase=Phase.RUNNING, stage=0, stage_since=BEGAN, step_since=BEGAN)
LATER = BEGAN + 7200.0


def people(seed: int, count: int) -> list[tuple[int, float, tuple[str, str], np.random.Generator]]:
    chance = np.random.default_rng(seed)
    at = np.sort(chance.uniform(0.0, 3600.0, count))
    countries = chance.choice(np.array(["de", "fr", "us"]), count)
    ages = chance.integers(18, 98, count)
    return [(n, BEGAN + float(at[n]), (str(countries[n]), str(ages[n])), chance) for n in range(count)]


def exposed(n: int, at: float, segments: tuple[str, ...], arm: str, failed: bool, **more: Any) -> Exposed:
    given: dict[str, Any] = {
        "rollout": "r1",
        "revision": "rev",
        "decision_id": f"d{n}",
        "at": at,
        "unit": f"u{n}",
        "arm": arm,
        "served_by": arm,
        "mode": "ab",
        "stage": 1,
        "step": 0,
        "weight": 0.5,
        "status": 200,
        "failed": failed,
        "reason": "",
        "latency_ms": 5.0,
        "total_ms": 5.0,
        "size": 10,
        "segments": segments,
    }
    return Exposed(**(given | more))


def errors(count: int = 16_000, harm: float = 0.5) -> list[Fact]:
    """Those of 90 and older fail with the challenger, 1 % of all others with either."""
    facts: list[Fact] = []
    for n, at, segments, chance in people(1, count):
        arm = "v2" if chance.random() < 0.5 else "v1"
        failed = bool(chance.random() < 0.01 + (harm if arm == "v2" and int(segments[1]) >= 90 else 0.0))
        facts.append(exposed(n, at, segments, arm, failed))
        # The same person again, and one whose segment is kept on the champion: neither is another unit.
        if n % 50 == 0:
            facts.append(exposed(10**6 + n, at + 1.0, segments, arm, True, unit=f"u{n}x", mode="champion", weight=0.0))
            facts.append(exposed(2 * 10**6 + n, at + 2.0, ("xx", ""), arm, False, unit=f"u{n}"))
    return facts


def keep(folder: Path, facts: Iterable[Fact]) -> Lake:
    journal, lake = Journal(folder, "w0"), Lake(folder)
    journal.append(list(facts))
    lake.compact_journals()
    journal.close()
    return lake


def names(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["metric"], one["segment"]) for one in record["found"] if one["explained_by"] is None]


def old(segment: str) -> bool:
    """Whether it speaks of ages from about 90 on: quantiles do not know where the harm begins."""
    return re.match(r"json:\$\.age ≥ (8[6-9]|9\d)$|(8[6-9]|9\d) ≤ json:\$\.age", segment) is not None


def test_an_undeclared_group_whose_requests_fail_is_named_and_the_record_can_be_made_again(tmp_path: Path) -> None:
    lake = keep(tmp_path, errors())
    versions = lake.versions()
    record = look(lake, versions, ROLLOUT, AB, LATER, None)
    ((metric, segment),) = names(record)
    assert metric == "errors"
    assert old(segment)
    assert record["rows"] == 16_000
    assert f"errors where {segment}" in record["sentence"]
    store.keep(tmp_path, "r1", record)
    kept = store.kept(tmp_path, "r1")
    assert kept == record
    assert look(lake, kept["facts"], ROLLOUT, AB, LATER, kept) == record
    shown = store.found(tmp_path, ROLLOUT, AB)
    assert shown["exploratory"] is True
    assert "memory" not in shown
    assert store.found(tmp_path, ROLLOUT, SHADOW)["reason"] == "this stage has not been searched yet"
    lake.close()


def test_units_are_counted_once_with_what_their_first_request_said(tmp_path: Path) -> None:
    lake = keep(tmp_path, errors(2_000))
    rows = table(lake, lake.versions(), ROLLOUT, AB, LATER)
    assert rows is not None
    assert len(rows.at) == 2_000
    country, age = rows.features
    assert set(country.values) == {"de", "fr", "us"}
    assert age.name == "json:$.age"
    thinned = table(lake, lake.versions(), ROLLOUT, AB, LATER, [1800.0])
    assert thinned is not None
    early = int((rows.at <= 1800.0).sum())
    assert int((thinned.at <= 1800.0).sum()) == early
    assert 0.4 < (len(thinned.at) - early) / (len(rows.at) - early) < 0.6
    lake.close()


def test_missing_purchases_of_a_group_are_found_when_their_windows_have_closed(tmp_path: Path) -> None:
    facts: list[Fact] = []
    for n, at, segments, chance in people(2, 16_000):
        arm = "v2" if chance.random() < 0.5 else "v1"
        facts.append(exposed(n, at, segments, arm, False))
        if chance.random() < (0.02 if arm == "v2" and int(segments[1]) < 26 else 0.3):
            facts.append(
                Outcome(
                    outcome_id=f"o{n}",
                    rollout="",
                    decision_id=f"d{n}",
                    unit="",
                    name="purchase",
                    value=1.0,
                    item="",
                    at=at + 5.0,
                    received_at=at + 60.0,
                )
            )
    lake = keep(tmp_path, facts)
    ((metric, segment),) = names(look(lake, lake.versions(), ROLLOUT, AB, LATER, None))
    assert metric == "purchase"
    assert segment.startswith("json:$.age < 2")
    assert names(look(lake, lake.versions(), ROLLOUT, AB, BEGAN + 900.0, None)) == []
    lake.close()


@pytest.mark.parametrize("kind", ["disagreement", "catastrophic"])
def test_a_shadow_that_answers_one_group_otherwise_is_told_by_that_group(tmp_path: Path, kind: str) -> None:
    facts: list[Fact] = []
    for n, at, segments, chance in people(3, 6_000):
        odd = bool(chance.random() < (0.5 if int(segments[1]) >= 90 else 0.01 if kind == "disagreement" else 0.0))
        bad = odd and kind == "catastrophic"
        facts.append(
            Compared(
                rollout="r1",
                revision="rev",
                decision_id=f"d{n}",
                at=at,
                unit=f"u{n}",
                arm="v2",
                stage=0,
                champion_failed=False,
                challenger_failed=bad,
                reason="nan" if bad else "",
                differs=odd and not bad,
                noise_differs=None,
                champion_ms=5.0,
                challenger_ms=6.0,
                fields=("$.score",) if odd and not bad else (),
                kinds=("value",) if odd and not bad else (),
                segments=segments,
            )
        )
    lake = keep(tmp_path, facts)
    found = names(look(lake, lake.versions(), ROLLOUT, SHADOW, LATER, None))
    assert kind in [metric for metric, _ in found]
    assert all(old(segment) for _, segment in found)
    lake.close()


def test_the_searcher_looks_when_it_is_due_and_only_where_something_is_recorded(tmp_path: Path) -> None:
    keep(tmp_path, errors(2_000)).close()
    searcher = Searcher(tmp_path, every=0.0)
    searcher.turn(ROLLOUT, Position(), LATER)
    assert store.kept(tmp_path, "r1") is None
    searcher.turn(ROLLOUT, AB, LATER)
    searcher.close(30.0)
    first = store.kept(tmp_path, "r1")
    assert first is not None
    assert first["rows"] == 2_000
    patient = Searcher(tmp_path, every=3600.0)
    began = time.monotonic()
    for _ in range(3):
        patient.turn(ROLLOUT, AB, LATER)
    assert time.monotonic() - began < 1.0
    patient.close(30.0)
    assert store.kept(tmp_path, "r1") == first


def test_a_search_that_cannot_read_leaves_what_was_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, errors(1_000)).close()
    searcher = Searcher(tmp_path, every=0.0)
    searcher.turn(ROLLOUT, AB, LATER)
    searcher.close(30.0)
    before = store.kept(tmp_path, "r1")
    for path in tmp_path.rglob("*.parquet"):
        path.write_bytes(b"rubbish")
    other = Searcher(tmp_path, every=0.0)
    other.turn(ROLLOUT, AB, LATER)
    other.close(30.0)
    assert "could not be searched" in caplog.text
    assert store.kept(tmp_path, "r1") == before


def test_what_was_found_is_part_of_what_people_are_told(tmp_path: Path) -> None:
    lake = keep(tmp_path, errors())
    rolled = Store(tmp_path)
    rolled.add(TEXT, ROLLOUT, BEGAN)
    rolled.act("r1", Move.START, actor="ana", rule="manual", sentence="So.", at=BEGAN)
    assert standing(rolled, "r1", LATER)["found"]["reason"] == "this stage has not been searched yet"
    rolled.act("r1", Move.ADVANCE, actor="ana", rule="manual", sentence="So.", at=BEGAN)
    record = look(lake, lake.versions(), ROLLOUT, AB, LATER, None)
    store.keep(tmp_path, "r1", record)
    told = standing(rolled, "r1", LATER)
    assert told["found"]["found"] == record["found"]
    rolled.close()
    lake.close()
