"""Interleaved lists from the facts in the lake: the same counts as by hand, and lists as they were shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from crossfade.facts import Fact
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, columns
from crossfade.rim.listing import SAMPLES, Listing
from crossfade.spec.model import Canary, Interleave
from view.sample import ROLLOUT

from .facts_made import outcome, shown

MERGED = replace(ROLLOUT, name="r1", stages=(Interleave(weight=0.5), Canary(steps=(0.6,))))


def keep(folder: Path, facts: Iterable[Fact]) -> None:
    journal, lake = Journal(folder, "w0"), Lake(folder)
    journal.append(list(facts))
    lake.compact_journals()
    lake.close()
    journal.close()


def click(n: int, item: str, **changes: Any) -> Fact:
    return outcome(f"o{n}{item}{changes}", decision_id=f"d{n}", name="click", item=item, **changes)


def test_lists_are_counted_by_unit_and_shown_with_what_was_picked(tmp_path: Path) -> None:
    owners = (("v1", "v2", ""), ("v2", "v1", ""))
    lists = [shown(n, owners=owners[n % 3 == 0], arm="v2") for n in range(30)]
    again = [shown(n + 100, owners=("v2", "v2", ""), unit=f"u{n}", arm="v2") for n in range(10)]
    no_evidence = [shown(n + 200, excluded="same", arm="v2") for n in range(5)]
    elsewhere = [shown(300, rollout="r2", arm="v2"), shown(301, unit="", arm="v2")]
    clicks = [click(3, "a"), click(3, "a", value=2.0), click(3, "c"), click(7, "b"), click(8, "z", value=0.0)]
    keep(tmp_path, [*lists, *again, *no_evidence, *elsewhere, *clicks, outcome("x", decision_id="d9", item="a")])
    record = Listing(tmp_path).of(MERGED)
    (arm,) = record["arms"]
    assert (record["available"], record["method"], arm["arm"], arm["champion"]) == (True, "team-draft", "v2", "v1")
    assert (arm["lists"], arm["picked"], arm["excluded"]) == (41, 2, {"same": 5})
    assert arm["text"] == ("41 lists were shown; of 2 something was picked (4.9 %); 5 more are no evidence: 5 same.")
    told = [(slot["champion"], slot["challenger"], slot["nobody"]) for slot in arm["fairness"]["slots"]]
    assert (arm["fairness"]["units"], told) == (30, [(20, 10, 0), (10, 20, 0), (0, 0, 30)])
    first, second = arm["samples"][:2]
    assert (first["decision_id"], first["text"]) == ("d7", "Picked: 1 of v2")
    assert (second["decision_id"], second["text"]) == ("d3", "Picked: 1 of v2, 1 of nobody")
    assert [(slot["item"], slot["owner"], slot["engaged"]) for slot in second["slots"]] == [
        ("a", "v2", {"click": 2}),
        ("b", "v1", {}),
        ("c", "", {"click": 1}),
    ]
    assert len(arm["samples"]) == SAMPLES
    assert not any(slot["engaged"] for one in arm["samples"][2:] for slot in one["slots"])


def test_places_that_one_ranker_gets_too_often_are_told(tmp_path: Path) -> None:
    keep(tmp_path, [shown(n, owners=("v1", "v2", "") if n % 10 else ("v2", "v1", ""), arm="v2") for n in range(2000)])
    fair = Listing(tmp_path).of(MERGED)["arms"][0]["fairness"]
    assert fair["verdict"] == "harmful"
    assert "v2's 200 times and v1's 1,800 times. Do not trust the preference" in fair["text"]


def test_the_last_stage_that_merged_is_the_one_shown_and_worth_has_its_mean(tmp_path: Path) -> None:
    graded = {"stage": 2, "arm": "v2", "credits": (-500_000, 1_000_000, 0)}
    keep(tmp_path, [*(shown(n, arm="v2") for n in range(5)), *(shown(n, **graded) for n in range(50, 54))])
    arm = Listing(tmp_path).of(MERGED)["arms"][0]
    assert arm["lists"] == 4
    assert [slot["worth"] for slot in arm["fairness"]["slots"]] == [-0.5, 1.0, 0.0]
    assert [slot["worth"] for slot in arm["samples"][0]["slots"]] == [-0.5, 1.0, 0.0]


def test_what_an_earlier_version_wrote_is_read(tmp_path: Path) -> None:
    """Before there were credits, segments and the name of the challenger."""
    old = columns("shown", [shown(n) for n in range(3)]).drop_columns(["arm", "credits", "segments"])
    write_deltalake(str(tmp_path / "lake" / "shown"), old)
    (arm,) = Listing(tmp_path).of(MERGED)["arms"]
    assert (arm["arm"], arm["lists"]) == ("v2", 3)


def test_where_nothing_was_merged_it_says_so(tmp_path: Path) -> None:
    assert "no stage of the spec interleaves" in Listing(tmp_path).of(replace(ROLLOUT, name="r1"))["reason"]
    assert Listing(tmp_path).of(MERGED)["reason"] == "no interleaved list has been shown yet"
    keep(tmp_path, [shown(1, rollout="r2")])
    assert Listing(tmp_path).of(MERGED)["reason"] == "no interleaved list has been shown yet"
