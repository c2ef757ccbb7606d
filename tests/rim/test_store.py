"""The store, in a file and on a server: one transaction a move, one ledger however many write, clear words when not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crossfade import ledger
from crossfade.rim.store import StaleDecision, Store, StoreError, UnknownRollout
from crossfade.rim.store_address import VARIABLE
from crossfade.spec.parse import parse
from crossfade.state import IllegalMove, Move, Phase
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema

SPEC = """
name: r1
route: /v2/models/r/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: "http://127.0.0.1:8101"}
challenger: {name: v2, url: "http://127.0.0.1:8102"}
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  purchase: {from: outcome, kind: rate, window: 24h, better: higher, goal: true}
stages:
  - canary:  {steps: [1%, 5%, 20%], hold_for: 10m}
  - ab:      {weight: 50%, until: {decided: true, at_most: 14d}}
  - promote: {holdback: 2%, watch: 30d}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as where:
        yield where


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.skipif(INITDB is None, reason=MISSING))])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both places that a store may be in have to do the same."""
    if request.param == "server":
        monkeypatch.setenv(VARIABLE, schema(request.getfixturevalue("server")))
    return str(request.param)


@pytest.fixture
def store(place: str, tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.add(SPEC, parse(SPEC), 100.0)
    yield store
    store.close()


def alter(store: Store, sql: str, **values: object) -> None:
    """What somebody does who writes past the store."""
    with store._place.writing() as connection:
        connection.execute(sa.text(sql), values)


def move(store: Store, what: Move, at: float = 200.0, **more: object) -> ledger.Entry:
    return store.act("r1", what, actor="rule", rule="cleared", sentence="So.", at=at, **more)  # type: ignore[arg-type]


def test_a_new_spec_is_a_pending_rollout_with_one_entry(store: Store) -> None:
    stored = store.get("r1")
    assert (stored.position.phase, stored.seq, stored.revision) == (Phase.PENDING, 1, parse(SPEC).revision)
    (entry,) = store.entries("r1")
    assert (entry.kind, entry.move, entry.from_position) == ("spec", None, None)
    assert entry.to_position == stored.position.to_json()
    assert [s.name for s in store.rollouts()] == ["r1"]


def test_the_same_spec_again_changes_nothing(store: Store) -> None:
    before = store.version()
    store.add("# a remark\n" + SPEC, parse("# a remark\n" + SPEC), 300.0)
    assert len(store.entries("r1")) == 1
    assert store.version() == before


def test_a_changed_spec_is_a_new_revision_at_the_same_position(store: Store) -> None:
    move(store, Move.START)
    changed = SPEC.replace("10m", "20m")
    stored = store.add(changed, parse(changed), 300.0)
    assert stored.position == store.get("r1").position
    assert stored.position.phase is Phase.RUNNING
    assert [e.kind for e in store.entries("r1")] == ["spec", "decision", "spec"]
    assert store.get("r1").revision == parse(changed).revision
    assert store.spec("r1", parse(SPEC).revision) == SPEC
    assert ledger.verify(store.entries("r1")).intact


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("margin: 0.5pp", "margin: 5pp"),
        ("goal: true", "goal: true, outcome: sale"),
        ("metrics:", "alpha: 20%\nmetrics:"),
    ],
)
def test_what_is_asked_may_be_changed_before_the_start_and_not_after(store: Store, was: str, now: str) -> None:
    changed = SPEC.replace(was, now)
    store.add(changed, parse(changed), 150.0)
    move(store, Move.START)
    with pytest.raises(StoreError, match="judged by another rule"):
        store.add(SPEC, parse(SPEC), 300.0)
    assert store.get("r1").revision == parse(changed).revision


def test_a_changed_spec_that_does_not_fit_is_refused(store: Store) -> None:
    move(store, Move.START)
    move(store, Move.ADVANCE, 300.0)
    for old, new, words in (
        ("[1%, 5%, 20%]", "[1%]", "step 2"),
        ("[1%, 5%, 20%]", "[1%, 2%, 20%]", "move back"),
        ("x-user-id", "x-session", "unit"),
        ("{name: v2", "{name: v3", "challengers"),
    ):
        changed = SPEC.replace(old, new)
        with pytest.raises(StoreError, match=words):
            store.add(changed, parse(changed), 400.0)
    assert len(store.entries("r1")) == 3


def test_another_digest_is_another_model(store: Store) -> None:
    one, other = (f", digest: sha256:{part * 32}" for part in ("0f", "f0"))
    first, second = (SPEC.replace(':8102"}', f':8102"{digest}}}') for digest in (one, other))
    move(store, Move.START)
    store.add(first, parse(first), 300.0)
    for changed in (second, SPEC):
        with pytest.raises(StoreError, match="of another model"):
            store.add(changed, parse(changed), 400.0)


def test_a_move_writes_position_and_entry_together(store: Store) -> None:
    entry = move(store, Move.START, facts={"exposed": 3}, evidence=[{"metric": "errors", "estimate": float("nan")}])
    assert entry.to_position == store.get("r1").position.to_json()
    assert entry.evidence == ({"metric": "errors", "estimate": None},)
    assert store.entries("r1")[-1] == entry
    assert store.get("r1").seq == entry.n


def test_illegal_moves_leave_no_trace(store: Store) -> None:
    before = store.version()
    with pytest.raises(IllegalMove):
        move(store, Move.PROMOTE)
    assert len(store.entries("r1")) == 1
    assert store.version() == before


def test_a_decision_from_an_older_position_is_stale(store: Store) -> None:
    move(store, Move.START, expect_seq=1)
    with pytest.raises(StaleDecision, match="moved on"):
        move(store, Move.ADVANCE, expect_seq=1)


def test_unknown_rollouts_are_named_with_those_that_exist(store: Store) -> None:
    for ask in (store.get, store.entries):
        with pytest.raises(UnknownRollout, match="r1"):
            ask("r2")


def test_the_version_moves_with_specs_and_positions_in_other_stores_too(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path)
    seen = other.version()
    store.beat()
    store.save_view("r1", {"sentence": "hello"})
    assert other.version() == seen
    move(store, Move.START)
    assert other.version() != seen
    assert other.get("r1").position.phase is Phase.RUNNING
    other.close()


def test_the_heartbeat_moves_across_stores(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path)
    before = other.heartbeat()
    store.beat()
    assert other.heartbeat() == before + 1
    other.close()


@pytest.mark.parametrize("place", ["file"], indirect=True)
def test_polling_the_version_is_cheap(store: Store) -> None:
    best = min(_seconds(store) for _ in range(5))
    assert best < 50e-6


def _seconds(store: Store) -> float:
    started = time.perf_counter()
    for _ in range(200):
        store.version()
    return (time.perf_counter() - started) / 200


def test_views_come_back(store: Store) -> None:
    assert store.view("r1") is None
    store.save_view("r1", {"sentence": "hello", "lower": float("inf")})
    assert store.view("r1") == {"sentence": "hello", "lower": None}


def test_a_broken_file_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database, but it is long enough to look like one" * 40)
    with pytest.raises(StoreError, match=r"state\.db"):
        Store(tmp_path)


def test_an_entry_changed_on_disk_is_found(store: Store) -> None:
    move(store, Move.START)
    move(store, Move.ADVANCE, 300.0)
    alter(store, "UPDATE ledger SET entry = replace(entry, 'So.', 'No.') WHERE n = 2")
    assert ledger.verify(store.entries("r1")).first_broken == 2


def test_a_ledger_cut_short_on_disk_is_found(store: Store) -> None:
    move(store, Move.START)
    move(store, Move.ROLLBACK, 300.0)
    assert ledger.verify(store.entries("r1"), store.head("r1")).intact
    alter(store, "DELETE FROM ledger WHERE n = 3")
    found = ledger.verify(store.entries("r1"), store.head("r1"))
    assert (found.intact, found.first_broken) == (False, 3)


@pytest.mark.parametrize("broken", ["{}", "not json", "[]"])
def test_a_row_that_cannot_be_read_is_said_plainly(store: Store, broken: str) -> None:
    move(store, Move.START)
    alter(store, "UPDATE ledger SET entry = :broken WHERE n = 2", broken=broken)
    alter(store, "INSERT INTO views VALUES ('r1', 'not json')")
    with pytest.raises(StoreError, match="entry of r1"):
        move(store, Move.HOLD, 300.0)
    assert store.view("r1") is None
    alter(store, "UPDATE rollouts SET position = :broken", broken=broken)
    for ask in (store.get, store.head, lambda name: move(store, Move.HOLD, 300.0)):
        with pytest.raises(StoreError, match="position of r1"):
            ask("r1")


MOVER = """
import sys
from pathlib import Path
from crossfade.rim.store import Store
from crossfade.state import IllegalMove, Move
store = Store(Path(sys.argv[1]))
made = 0
while made < 20:
    for what in (Move.HOLD, Move.RESUME):
        try:
            store.act("r1", what, actor=sys.argv[2], rule="manual", sentence="So.", at=1000.0)
            made += 1
        except IllegalMove:
            pass
"""


def test_processes_that_act_at_once_write_one_ledger(store: Store, tmp_path: Path) -> None:
    move(store, Move.START)
    movers = [subprocess.Popen([sys.executable, "-c", MOVER, str(tmp_path), f"person-{n}"]) for n in range(2)]
    assert [mover.wait(120) for mover in movers] == [0, 0]
    entries = store.entries("r1")
    assert ledger.verify(entries).intact
    assert {entry.actor for entry in entries[2:]} == {"person-0", "person-1"}
    assert store.get("r1").position.to_json() == entries[-1].to_position
    assert store.get("r1").seq == len(entries)


def test_threads_share_a_store(store: Store) -> None:
    move(store, Move.START)
    problems: list[BaseException] = []

    def work() -> None:
        for _ in range(10):
            try:
                store.beat()
                store.version()
                json.dumps(store.get("r1").position.to_json())
                move(store, Move.HOLD)
            except IllegalMove:
                move_on(store)
            except BaseException as error:
                problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert ledger.verify(store.entries("r1")).intact


def move_on(store: Store) -> None:
    try:
        move(store, Move.RESUME)
    except IllegalMove:
        return
