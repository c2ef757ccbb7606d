"""A person's moves, with no controller anywhere."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens

from .conftest import Crossfade


def test_a_hold_and_a_resume_are_in_the_ledger_with_who_and_why(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("hold", "ranker-v2", "--reason", "the feed is broken", "--actor", "ben", "--data", str(data))
    assert ran.code == 0
    assert ran.out == "ranker-v2 is held. Held by ben: the feed is broken (entry 5)\n"
    assert "Held by ben: the feed is broken" in crossfade("status", "--data", str(data)).out
    entry = json.loads(
        crossfade("resume", "ranker-v2", "-r", "repaired", "--actor", "ben", "--data", str(data), "--json").out
    )
    assert (entry["n"], entry["move"], entry["actor"], entry["rule"]) == (6, "resume", "ben", "manual")
    assert [line["metric"] for line in entry["evidence"]] == ["purchase", "errors", "latency", "revenue"]
    store = Store(data)
    assert ledger.verify(store.entries("ranker-v2")).intact


def test_a_rollback_gives_everything_back(crossfade: Crossfade, data: Path) -> None:
    crossfade("rollback", "ranker-v2", "--reason", "enough", "--data", str(data))
    [rollout] = json.loads(crossfade("status", "--data", str(data), "--json").out)["rollouts"]
    assert rollout["phase"] == "rolled_back"
    assert rollout["exposure"]["planned"] == 0.0
    assert rollout["decisions"][-1]["move"] == "rollback"


def test_a_move_that_is_not_allowed_says_which_are(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("resume", "ranker-v2", "--reason", "why not", "--data", str(data))
    assert ran.code == 2
    assert "cannot resume a rollout that is running; allowed now: advance, hold, rollback, promote" in ran.err


def test_a_move_needs_a_reason_and_a_person(crossfade: Crossfade, data: Path) -> None:
    where = ("--data", str(data))
    assert crossfade("hold", "ranker-v2", *where).code == 2
    assert "needs a reason" in crossfade("hold", "ranker-v2", "--reason", "  ", *where).err
    assert "cannot be the name" in crossfade("hold", "ranker-v2", "--reason", "x", "--actor", "rule", *where).err
    assert "running" in crossfade("status", *where).out


def test_what_a_person_writes_cannot_move_another_persons_cursor(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade(
        "hold", "ranker-v2", "-r", "\x1b[31mred\x07\n żółć 😀", "--actor", "b\x1b[2Jen", "--data", str(data)
    )
    assert ran.out == "ranker-v2 is held. Held by b [2Jen: [31mred żółć 😀 (entry 5)\n"


def test_a_store_that_is_locked_is_not_called_damaged(
    crossfade: Crossfade, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.rim.store_file.BUSY_SECONDS", 0.05)
    with sqlite3.connect(data / "state.db", isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        ran = crossfade("hold", "ranker-v2", "-r", "x", "--data", str(data))
    assert ran.code == 1
    assert "locked" in ran.err
    assert "try again" in ran.err
    assert "damaged" not in ran.err


def test_who_shows_a_token_acts_under_its_name_and_with_its_roles(
    crossfade: Crossfade, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--data", str(data), "-r", "the feed is broken")
    secrets = {role: Tokens(data).add(f"{role}-1", [role], at=1.0, by="root") for role in ("viewer", "operator")}
    refused = crossfade("hold", "ranker-v2", *where, "--token", secrets["viewer"])
    assert (refused.code, refused.out) == (2, "")
    assert "the token of viewer-1 has the role viewer, which may not hold or roll back" in refused.err
    assert "nobody holds that token" in crossfade("hold", "ranker-v2", *where, "--token", "x").err
    other = crossfade("hold", "ranker-v2", *where, "--token", secrets["operator"], "--actor", "ben")
    assert "the token is operator-1's, and --actor says ben" in other.err
    (tmp_path / "token").write_text(secrets["operator"] + "\n")
    monkeypatch.setenv("CROSSFADE_TOKEN", f"file:{tmp_path / 'token'}")
    entry = json.loads(crossfade("hold", "ranker-v2", *where, "--json").out)
    assert (entry["n"], entry["actor"]) == (5, "operator-1")
    assert {key: entry["by"][key] for key in ("through", "token", "roles")} == {
        "through": "token", "token": "operator-1", "roles": ["operator"],
    }  # fmt: skip
    muted = crossfade("mute", "ranker-v2", "$.took_ms", *where)
    assert "Muted $.took_ms by operator-1" in muted.out
    assert "cannot be read" in crossfade("resume", "ranker-v2", *where, "--token", "file:/nowhere").err
    stopped = crossfade("rollback", "ranker-v2", "--now", *where)
    assert "Rolled back by operator-1" in stopped.out
    store = Store(data)
    assert ledger.verify(store.entries("ranker-v2")).intact
