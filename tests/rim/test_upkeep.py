"""Upkeep by a store's rollouts: facts beyond their time go, and what a decision saw stays readable while it is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.rim import lake_upkeep, upkeep
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.recorder import Recorder
from crossfade.rim.store import Store
from crossfade.rim.upkeep import Upkeep
from crossfade.spec.parse import parse
from crossfade.state import Move

from .facts_made import exposed

DAY = 86_400.0
SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
champion: {{name: v1, url: "http://127.0.0.1:1"}}
challenger: {{name: v2, url: "http://127.0.0.1:2"}}
keep_facts: {keep}
metrics:
  errors: {{from: response, kind: rate, better: lower, goal: true}}
stages:
  - ab: {{weight: 50%, until: {{decided: true, at_most: 14d}}}}
"""


def add(store: Store, name: str, keep: str, at: float) -> None:
    text = SPEC.format(name=name, keep=keep)
    store.add(text, parse(text), at)
    store.act(name, Move.START, actor="ana", rule="manual", sentence="Started.", at=at)


def test_each_rollout_keeps_its_facts_for_as_long_as_its_spec_says(tmp_path: Path) -> None:
    store, journal, lake = Store(tmp_path), Journal(tmp_path, "w0"), Lake(tmp_path)
    for name, keep in (("short", "10d"), ("long", "30d"), ("runs", "1d")):
        add(store, name, keep, 0.0)
    for name in ("short", "long"):
        store.act(name, Move.ROLLBACK, actor="ana", rule="manual", sentence="Enough.", at=DAY)
    names = ("short", "long", "runs", "gone")
    journal.append([exposed(n, rollout=name, at=DAY * day) for n, name in enumerate(names) for day in (0, 25)])
    lake.compact_journals()
    found = Upkeep(store, lake, now=0.0)

    def kept() -> list[tuple[str, float]]:
        table = lake.table("exposed")
        return sorted(zip(table["rollout"].to_pylist(), table["at"].to_pylist(), strict=True))

    assert found.retire(DAY * 29) == {"exposed": 1}
    assert ("short", 0.0) not in kept()
    assert found.retire(DAY * 31) == {"exposed": 1}
    told = {
        name: [entry for entry in store.entries(name) if entry.rule == "retention"]
        for name in ("short", "long", "runs")
    }
    assert {name: len(entries) for name, entries in told.items()} == {"short": 2, "long": 1, "runs": 0}
    (last,) = told["long"]
    assert last.about is not None
    erased = last.about["erased"]
    assert (erased["why"], erased["rule"], erased["facts"], erased["before"]) == (
        "retention",
        "keep_facts: 30 d",
        {"exposed": 1},
        DAY,
    )
    assert "as keep_facts (30 d) asks: 1 of all rollouts" in last.sentence
    assert store.seals()[erased["seal"]["n"] - 1].count(erased["seal"]["hash"]) == 1
    assert ("long", 0.0) not in kept()
    # What no rollout claims goes after the usual time; what a running one may ask for never does.
    assert found.retire(DAY * 185) == {"exposed": 3}
    assert [name for name, _ in kept()] == ["gone", "runs", "runs"]
    store.close()
    lake.close()


def test_a_death_in_the_middle_of_a_deletion_leaves_nothing_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, journal, lake = Store(tmp_path), Journal(tmp_path, "w0"), Lake(tmp_path)
    add(store, "short", "10d", 0.0)
    store.act("short", Move.ROLLBACK, actor="ana", rule="manual", sentence="Enough.", at=DAY)
    journal.append([exposed(n, rollout="short", at=DAY * n) for n in range(4)])
    lake.compact_journals()

    class Killed(Exception):
        pass

    def killed(*_: object) -> int:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(lake_upkeep, "retire", killed)
        with pytest.raises(Killed):
            Upkeep(store, lake, now=0.0).retire(DAY * 12)
    (said,) = [entry for entry in store.entries("short") if entry.rule == "retention"]
    assert said.about is not None
    assert said.about["erased"]["facts"] == {"exposed": 2}
    assert Upkeep(store, lake, now=0.0).retire(DAY * 12) == {"exposed": 2}
    assert len([entry for entry in store.entries("short") if entry.rule == "retention"]) == 2
    store.close()
    lake.close()


def test_versions_that_decisions_name_outlive_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "KEEP_HOURS", 0.0)
    store, journal, lake = Store(tmp_path), Journal(tmp_path, "w0"), Lake(tmp_path)
    add(store, "r1", "10d", 0.0)
    for n in range(6):
        journal.append([exposed(n)])
        lake.compact_journals()
        if n == 3:
            seen = lake.versions()
            told = lake.digests(seen)
            store.act("r1", Move.ROLLBACK, actor="rule", rule="harm", sentence="Harm.", at=DAY, facts=seen)
    lake.optimize(small_files=2)
    found = Upkeep(store, lake, now=0.0)
    found.vacuum(DAY * 2)
    assert len(list((tmp_path / "lake/exposed").glob("*.parquet"))) == 4 + 1
    assert Lake(tmp_path).digests(seen, again=True) == told
    with pytest.raises(LakeError):
        Lake(tmp_path).digests({"exposed": seen["exposed"] + 1}, again=True)
    # Once its facts are beyond their time, nothing keeps the version either.
    found.vacuum(DAY * 12)
    assert len(list((tmp_path / "lake/exposed").glob("*.parquet"))) == 1
    store.close()
    lake.close()


DIES = """
import os, signal, sys
from pathlib import Path
from crossfade.rim.journal import Journal
from crossfade.rim.recorder import Recorder
from rim.facts_made import exposed
recorder = Recorder(Journal(Path(sys.argv[1]), "gateway-1"), linger=60.0)
for n in range(5):
    recorder.record(exposed(n))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_without_a_successor_had_taken_is_written_once(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], cwd=root, check=False, timeout=60)
    alive = Recorder(Journal(tmp_path, "gateway-0"))
    store, lake = Store(tmp_path), Lake(tmp_path)
    found = Upkeep(store, lake, now=0.0)
    assert (found.adopt(), found.adopt()) == (5, 0)
    assert Upkeep(store, lake, now=0.0).adopt() == 0
    # The tail of the living is not touched.
    alive.record(exposed(99))
    assert alive.flush()
    alive.close()
    lake.compact_journals()
    assert sorted(lake.table("exposed")["decision_id"].to_pylist()) == ["d0", "d1", "d2", "d3", "d4", "d99"]
    store.close()
    lake.close()


def test_one_thing_a_turn_and_each_in_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, lake = Store(tmp_path), Lake(tmp_path)
    found = Upkeep(store, lake, now=0.0)
    done: list[str] = []
    monkeypatch.setattr(lake, "optimize", lambda: done.append("optimize"))
    monkeypatch.setattr(lake, "vacuum", lambda **_: done.append("vacuum"))
    monkeypatch.setattr(lake, "retire", lambda *_, **__: done.append("retire"))
    for now in range(0, 7200, 10):
        before = len(done)
        found.turn(float(now))
        assert len(done) <= before + 1
    assert done[:3] == ["retire", "vacuum", "optimize"]
    assert (done.count("retire"), done.count("vacuum")) == (1, 2)
    assert done.count("optimize") >= 100

    def refused() -> None:
        raise LakeError("the disk is full")

    monkeypatch.setattr(lake, "optimize", refused)
    found.turn(7400.0)
    store.close()
    lake.close()
