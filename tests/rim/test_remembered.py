"""What is remembered of ledgers is what they say, whoever wrote meanwhile, and reading again reads only what is new."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from crossfade.rim.remembered import remembered
from crossfade.rim.standing import all_standing, standing
from crossfade.rim.store import Store
from crossfade.state import Move
from view.sample import ROLLOUT, SPEC, evidence


def test_it_is_what_the_ledger_says_without_evidence(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    store.add(SPEC, ROLLOUT, 1.0)
    lines = [line.to_json() for line in evidence()]
    known = remembered(store)
    assert remembered(store) is known
    for n in range(3):
        for move in (Move.HOLD, Move.RESUME) if n else (Move.START,):
            other.act("ranker-v2", move, actor="a", rule="manual", sentence=f"{n}", evidence=lines, at=2.0 + n)
        stored = store.get("ranker-v2")
        assert known.entries(stored) == [replace(entry, evidence=()) for entry in store.entries("ranker-v2")]
    earlier = replace(stored, seq=2)
    assert [entry.n for entry in known.entries(earlier)] == [1, 2]
    now = time.time()
    assert all_standing(store, now) == [standing(store, "ranker-v2", now)] == all_standing(other, now)
    read: list[int] = []

    def count(name: str, after: int) -> list[object]:
        read.append(after)
        return []

    known._read = count  # type: ignore[assignment]
    known.entries(stored)
    assert read == []
    store.close()
    other.close()
