"""Looks are kept in the store: who judges next goes on from the last one, and nothing is written without need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim.looking import Looking, past_of
from crossfade.rim.store import Store, UnknownRollout
from crossfade.state import Move
from crossfade.view import view
from view.sample import DECISION, INPUTS, NOW, ROLLOUT, SPEC, START, evidence


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path)
    found.add(SPEC, ROLLOUT, START)
    found.act("ranker-v2", Move.START, actor="ana", rule="manual", sentence="Started.", at=START)
    yield found
    found.close()


def record(store: Store, at: float) -> dict[str, Any]:
    stored = store.get("ranker-v2")
    return view(ROLLOUT, stored.position, evidence(), DECISION, store.entries("ranker-v2"), now=at, **INPUTS)  # type: ignore[arg-type]


def test_another_controller_goes_on_where_the_last_one_ended(store: Store) -> None:
    Looking(store).keep("ranker-v2", record(store, NOW))
    Looking(store).keep("ranker-v2", record(store, NOW + 1.0))
    past = past_of(store, "ranker-v2", record(store, NOW + 2.0))
    assert [look["at"] for look in past["looks"]] == [NOW, NOW + 1.0]
    assert [line["metric"] for line in past["looks"][0]["lines"]] == ["purchase", "errors", "latency", "revenue"]
    assert [step["move"] for step in past["steps"]] == ["start"]
    assert past["end"] == NOW + 2.0


def test_an_ended_rollout_is_written_once_more_and_then_left_alone(store: Store) -> None:
    looking = Looking(store)
    looking.keep("ranker-v2", record(store, NOW))
    store.act("ranker-v2", Move.ROLLBACK, actor="ana", rule="manual", sentence="Enough.", at=NOW)
    looking.keep("ranker-v2", record(store, NOW + 1.0))
    kept = store.looks("ranker-v2")
    for after in range(2, 6):
        looking.keep("ranker-v2", record(store, NOW + after))
    assert store.looks("ranker-v2") == kept
    assert kept is not None
    assert [look["phase"] for look in kept["looks"]] == ["running", "rolled_back"]


def test_a_rollout_that_nobody_knows_has_no_past(store: Store) -> None:
    with pytest.raises(UnknownRollout):
        past_of(store, "other", {"at": NOW})
