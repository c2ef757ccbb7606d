"""Routes follow the store, and exposure follows the controller's heartbeat. The store is a real one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.live.routes import RouteTable
from crossfade.rim.glance import FILE, Glance
from crossfade.rim.routes_feed import RoutesFeed, StoreWatch, Update
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
lease: {lease}
champion:   {{name: v1, url: "http://127.0.0.1:8101"}}
challenger: {{name: v2, url: "http://127.0.0.1:8102"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - canary:  {{steps: [5%], hold_for: 10m}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    for name, lease in (("short", "5s"), ("long", "20s")):
        text = SPEC.format(name=name, lease=lease)
        store.add(text, parse(text), 0.0)
        store.act(name, Move.START, actor="ann", rule="person", sentence="So.", at=0.0)
    yield store
    store.close()


def modes(table: RouteTable | None) -> dict[str, str]:
    assert table is not None
    return {route.rollout: route.mode for route in table.routes}


NOBODY = {"short": "champion", "long": "champion"}
BOTH = {"short": "canary", "long": "canary"}


def test_exposure_lasts_as_long_as_each_routes_lease(store: Store) -> None:
    watch = StoreWatch(store, lambda: True)
    first = watch.look(0.0)
    assert (modes(first.table), first.lease) == (NOBODY, None)
    assert watch.look(1.0) == Update(None, None)
    store.beat()
    gained = watch.look(2.0)
    assert (modes(gained.table), gained.lease) == (BOTH, True)
    assert watch.look(7.0) == Update(None, None)
    lost = watch.look(7.1)
    assert (modes(lost.table), lost.lease) == ({"short": "champion", "long": "canary"}, False)
    assert modes(watch.look(22.1).table) == NOBODY
    store.beat()
    again = watch.look(23.0)
    assert (modes(again.table), again.lease) == (BOTH, True)


def test_facts_that_cannot_be_written_end_exposure_at_once(store: Store) -> None:
    healthy = True
    watch = StoreWatch(store, lambda: healthy)
    watch.look(0.0)
    store.beat()
    assert modes(watch.look(1.0).table) == BOTH
    healthy = False
    assert modes(watch.look(1.1).table) == NOBODY
    healthy = True
    assert modes(watch.look(1.2).table) == BOTH


def test_a_store_that_cannot_be_read_leaves_routes_and_lets_the_lease_run_out(store: Store, tmp_path: Path) -> None:
    watch = StoreWatch(store, lambda: True)
    watch.look(0.0)
    store.beat()
    assert modes(watch.look(1.0).table) == BOTH
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.execute("ALTER TABLE counters RENAME TO hidden")
    assert watch.look(2.0) == Update(None, None)
    assert watch.look(6.1).lease is False
    connection.execute("ALTER TABLE hidden RENAME TO counters")
    store.beat()
    assert watch.look(7.0).lease is True
    connection.close()


def test_a_store_without_rollouts_is_an_empty_table(tmp_path: Path) -> None:
    update = StoreWatch(Store(tmp_path), lambda: True).look(0.0)
    assert update.table == RouteTable(())


def test_the_thread_hands_over_changes_within_250_ms(store: Store) -> None:
    updates: list[tuple[float, Update]] = []
    feed = RoutesFeed(Glance(store.data / FILE), lambda: True)
    feed.start(lambda update: updates.append((time.monotonic(), update)))
    assert len(updates) == 1
    time.sleep(0.15)
    store.beat()
    time.sleep(0.3)
    store.act("short", Move.ROLLBACK, actor="ann", rule="person", sentence="So.", at=1.0)
    moved = time.monotonic()
    while modes(updates[-1][1].table)["short"] != "champion" or modes(updates[-1][1].table)["long"] != "canary":
        assert time.monotonic() - moved < 2.0
        time.sleep(0.005)
    assert updates[-1][0] - moved < 1.0
    feed.stop()
    count = len(updates)
    store.beat()
    time.sleep(0.2)
    assert len(updates) == count


def test_gateways_leave_rollouts_inside_programs_alone_and_a_program_sees_its_own(store: Store) -> None:
    text = SPEC.format(name="inside", lease="5s")
    for url in ("http://127.0.0.1:8101", "http://127.0.0.1:8102"):
        text = text.replace(url, "python:")
    store.add(text, parse(text), 0.0)
    assert modes(StoreWatch(store, lambda: True).look(0.0).table) == NOBODY
    assert modes(StoreWatch(store, lambda: True, "inside").look(0.0).table) == {"inside": "champion"}
