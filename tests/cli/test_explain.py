"""`crossfade explain` and `crossfade verify`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from .conftest import Crossfade


def test_now_is_explained_with_the_arithmetic_of_each_line(crossfade: Crossfade, data: Path) -> None:
    told = crossfade("explain", "ranker-v2", "--data", str(data)).out
    assert "ranker-v2 now: running" in told
    assert "Watching 5 %" in told
    # Nobody serves it, and an old look must not pass for a new one.
    assert "ago; the controller has been silent since" in " ".join(told.split())
    assert "e = 612; needs 1/alpha = 40 (alpha 2.5 %): reached" in told
    assert "harm, as known at " in told
    assert "errors, canary 5 %: 6 of 412" in told


def test_a_decision_is_explained_as_it_stood(crossfade: Crossfade, data: Path) -> None:
    told = crossfade("explain", "ranker-v2", "3", "--data", str(data)).out
    assert told.startswith("ranker-v2 entry 3: advance by rule, 2026-01-01 00:15:00 UTC")
    assert "rule cleared: Shadow cleared" in told
    assert "97.5 % always-valid interval: [−0.41, ∞)" in told
    entry = json.loads(crossfade("explain", "ranker-v2", "3", "--data", str(data), "--json").out)
    assert (entry["n"], entry["move"]) == (3, "advance")


def test_a_decision_that_is_not_there_says_which_are(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("explain", "ranker-v2", "9", "--data", str(data))
    assert ran.code == 2
    assert "its entries are 1 to 4" in ran.err


def test_an_intact_ledger_verifies(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("verify", "ranker-v2", "--data", str(data), "--json")
    record = json.loads(ran.out)
    assert ran.code == 0
    assert (record["entries"], record["intact"], record["first_broken"]) == (4, True, None)
    assert record["facts"] is None
    assert record["facts_reason"]


def test_a_changed_entry_is_found(crossfade: Crossfade, data: Path) -> None:
    with sqlite3.connect(data / "state.db") as connection:
        connection.execute("UPDATE ledger SET entry = replace(entry, 'harmful; going', 'fine; going') WHERE n = 4")
    ran = crossfade("verify", "ranker-v2", "--data", str(data), "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["first_broken"] == 4
    assert "broken at entry 4" in crossfade("verify", "ranker-v2", "--data", str(data)).out
