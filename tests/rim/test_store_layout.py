"""The store's layout: what release 0.1.0 left is gone on with by whoever comes first; what is newer is left alone."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from crossfade import ledger
from crossfade.cli.main import main
from crossfade.ledger import Seal
from crossfade.rim import store_layout, store_tables
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import VARIABLE
from crossfade.rim.store_layout import NEWEST, TooNew, Unmade
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema
from rim.test_store import SPEC

OLD = Path(__file__).parents[1] / "golden" / "store-0.1.0"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as where:
        yield where


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.skipif(INITDB is None, reason=MISSING))])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """The address of a schema in which nothing is yet; None for a file."""
    if request.param == "file":
        return None
    address = schema(request.getfixturevalue("server"))
    monkeypatch.setenv(VARIABLE, address)
    return address


@pytest.fixture
def old(place: str | None, tmp_path: Path) -> Path:
    """A data folder whose store release 0.1.0 has written."""
    with closing(sqlite3.connect(tmp_path / "state.db" if place is None else ":memory:")) as file:
        file.executescript((OLD / "file.sql").read_text())
        if place is not None:
            with psycopg.connect(place) as connection:
                connection.execute((OLD / "server.sql").read_text().encode())
                for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    rows = file.execute(f"SELECT * FROM {name}").fetchall()
                    for row in rows:
                        connection.execute(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(row))})".encode(), row)
    return tmp_path


def rows(data: Path, table: str) -> list[tuple[Any, ...]]:
    store = Store(data)
    with store._place.reading() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {table}")).all()
    store.close()
    return sorted(tuple(row) for row in found)


def shape(store: Store) -> dict[str, Any]:
    """The tables as the database has them."""
    with store._place.reading() as connection:
        look = sa.inspect(connection)
        return {
            name: (
                [(one["name"], str(one["type"]), one["nullable"], one["default"]) for one in look.get_columns(name)],
                look.get_pk_constraint(name)["constrained_columns"],
            )
            for name in sorted(look.get_table_names())
        }


def test_what_release_0_1_0_wrote_is_gone_on_with(old: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as file:
        file.executescript((OLD / "file.sql").read_text())
        names = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        before = {name: sorted(file.execute(f"SELECT * FROM {name}").fetchall()) for name in names}
    assert {name: rows(old, name) for name in before} == before, "nothing that was there is lost or changed"
    store = Store(old)
    assert [(one.name, one.position.phase, one.seq) for one in store.rollouts()] == [
        ("r1", Phase.HELD, 5),
        ("r2", Phase.ROLLED_BACK, 3),
    ]
    entry = store.act("r1", Move.RESUME, actor="ana", rule="manual", sentence="So.", at=1764001000.0)
    assert entry.n == 6
    assert store.seal(Seal(at=1764001000.0, why="periodic"), 1).n == 2
    store.add(SPEC.replace("10m", "30m"), parse(SPEC.replace("10m", "30m")), 1764001001.0)
    for name in ("r1", "r2"):
        assert ledger.verify(store.entries(name), store.head(name)).intact
    assert (store.view("r1"), store.leaders.present().term) == ({"sentence": "hello"}, 1)
    store.close()


def test_an_old_store_ends_as_a_new_one_begins(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrated = Store(old)
    found = shape(migrated)
    server = "stop_orders" in found
    if server:
        with migrated._place.writing() as connection:
            connection.exec_driver_sql("CREATE SCHEMA afresh")
        address, _, _ = migrated._place._engine.url.render_as_string(hide_password=False).partition("?")
        monkeypatch.setenv(VARIABLE, address.replace("+psycopg", "") + "?options=-csearch_path%3Dafresh")
    fresh = Store(tmp_path / "fresh")
    assert shape(fresh) == found
    said = dict(store_tables.TABLES.tables) | ({"stop_orders": store_tables.stop_orders} if server else {})
    assert {name: [column for column, *_ in columns] for name, (columns, _) in found.items()} == {
        name: [column.name for column in table.columns] for name, table in said.items()
    }, "the tables that the program names are those that the steps make"
    assert {name: keys for name, (_, keys) in found.items()} == {
        name: [column.name for column in table.primary_key.columns] for name, table in said.items()
    }
    migrated.close()
    fresh.close()
    if server:
        with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA afresh CASCADE")


def test_every_step_is_told_once(old: Path) -> None:
    for _ in range(2):
        Store(old).close()
        told = rows(old, "layout")
        assert [row[0] for row in told] == [step.version for step in store_layout.STEPS] == list(range(1, NEWEST + 1))


def test_a_store_of_a_later_release_is_left_alone(
    place: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.add(SPEC, parse(SPEC), 100.0)
    with store._place.writing() as connection:
        connection.exec_driver_sql(f"INSERT INTO layout VALUES ({NEWEST + 1}, 'what is to come', '9.9.9', 1.0)")
    store.close()
    words = f"layout {NEWEST + 1}, made by Crossfade 9.9.9.*knows layouts up to {NEWEST}.*nothing was changed"
    with pytest.raises(TooNew, match=words):
        Store(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["status", "--data", str(tmp_path), "--json"])
    assert ended.value.code != 0
    assert "9.9.9" in json.loads(capsys.readouterr().out)["error"]


def test_those_who_start_at_once_take_each_step_once(old: Path) -> None:
    together = threading.Barrier(4)

    def start() -> None:
        # Each opens the store by connections of its own, as another process would.
        together.wait(30)
        Store(old).close()

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(start) for _ in range(4)]:
            each.result()
    assert [row[0] for row in rows(old, "layout")] == list(range(1, NEWEST + 1))


def test_a_step_that_fails_leaves_the_layout_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = store_layout.Step(version=NEWEST + 1, about="bad", both=("CREATE TABLE half (n INTEGER)", "NO SQL"))
    monkeypatch.setattr(store_layout, "STEPS", [*store_layout.STEPS, bad])
    monkeypatch.setattr(store_layout, "NEWEST", NEWEST + 1)
    with pytest.raises(StoreError, match="syntax error"):
        Store(old)
    monkeypatch.setattr(store_layout, "STEPS", store_layout.STEPS[:-1])
    monkeypatch.setattr(store_layout, "NEWEST", NEWEST)
    store = Store(old)
    assert "half" not in shape(store)
    store.close()


def test_a_role_that_may_not_lay_out_a_store_is_told_who_has_to(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if INITDB is None:
        pytest.skip(MISSING)
    address = schema(request.getfixturevalue("server"))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody_much LOGIN")
        place = connection.execute("SELECT current_schema()").fetchone()
        assert place is not None
        connection.execute(f"GRANT USAGE ON SCHEMA {place[0]} TO nobody_much".encode())
    monkeypatch.setenv(VARIABLE, address.replace("//test@", "//nobody_much@"))
    with pytest.raises(Unmade, match="run `crossfade store migrate` once as the role that owns the tables"):
        Store(tmp_path)
