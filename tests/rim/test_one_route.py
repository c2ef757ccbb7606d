"""One rollout after another on the same route: the newer one is refused while the older is under way, then has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.rim.admission import admit, admit_each
from crossfade.rim.one_route import RouteTaken
from crossfade.rim.routes_feed import StoreWatch
from crossfade.rim.store import Store
from crossfade.state import Move

SPEC = """
name: {name}
route: /eta
protocol: json
unit: header:x-user-id
champion:   {{name: old, url: "{champion}"}}
challenger: {{name: new, url: "{challenger}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - canary:  {{steps: [5%], hold_for: 10m}}
  - promote: {{holdback: 2%, watch: 30d}}
"""
V1, V2, V3 = (f"http://127.0.0.1:810{n}" for n in (1, 2, 3))
# By name the later rollout comes first, so that no order of names helps.
FIRST = SPEC.format(name="z-first", champion=V1, challenger=V2)
SECOND = SPEC.format(name="a-second", champion=V2, challenger=V3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    admit(store, [FIRST], start=True, actor="ann", at=100.0)
    yield store
    store.close()


def move(store: Store, name: str, move: Move, at: float) -> None:
    store.act(name, move, actor="ann", rule="manual", sentence="So.", at=at)


def served(store: Store) -> list[tuple[str, str]]:
    table = StoreWatch(store, lambda: True).look(0.0).table
    assert table is not None
    return [(route.rollout, route.champion.url) for route in table.routes]


def test_a_route_is_refused_while_another_rollout_is_under_way_on_it(store: Store) -> None:
    with pytest.raises(RouteTaken, match="route /eta belongs to z-first, which is running; let it end, `crossfade"):
        admit(store, [SECOND], start=True, actor="ann", at=110.0)
    move(store, "z-first", Move.PROMOTE, 120.0)
    names, refused = admit_each(store, [SECOND], start=True, actor="ann", at=130.0)
    assert names == []
    assert "promoted and watched until 1970-01-31 00:02:00 UTC; wait until" in refused[0]
    assert [one.name for one in store.rollouts()] == ["z-first"]


@pytest.mark.parametrize("end", [Move.FINISH, Move.ROLLBACK])
def test_the_next_rollout_has_the_route_once_the_one_before_has_ended(store: Store, end: Move) -> None:
    move(store, "z-first", Move.PROMOTE, 120.0)
    move(store, "z-first", end, 130.0)
    assert served(store) == [("z-first", V2 if end is Move.FINISH else V1)]
    admit(store, [SECOND], start=False, actor="ann", at=140.0)
    assert served(store)[0][0] == "z-first"
    move(store, "a-second", Move.START, 150.0)
    assert served(store) == [("a-second", V2)]
    move(store, "a-second", Move.ROLLBACK, 160.0)
    assert served(store) == [("a-second", V2)]


def test_who_sets_back_the_model_that_was_promoted_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    move(store, "z-first", Move.PROMOTE, 110.0)
    move(store, "z-first", Move.FINISH, 120.0)
    admit(store, [SECOND], start=True, actor="ann", at=130.0)
    assert store.entries("a-second")[-1].sentence == "Started by ann."
    assert capsys.readouterr().err == ""
    move(store, "a-second", Move.ROLLBACK, 140.0)
    # What was rolled back made nothing the model of the route, and says nothing of who serves.
    admit(store, [SPEC.format(name="m-third", champion=V2, challenger=V1)], start=True, actor="ann", at=150.0)
    move(store, "m-third", Move.PROMOTE, 160.0)
    move(store, "m-third", Move.FINISH, 170.0)
    stale = SPEC.format(name="c-fourth", champion=V2, challenger=V3)
    admit(store, [stale], start=True, actor="ann", at=180.0)
    told = (
        f"m-third ended with new ({V1}) serving all of /eta; the champion here is old ({V2}), and gets those users back"
    )
    assert store.entries("c-fourth")[-1].sentence == f"Started by ann, although {told}."
    assert told in capsys.readouterr().err
