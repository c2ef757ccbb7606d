"""Database roles that may do what their process does, and nothing else: tried on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from crossfade.ledger import Seal
from crossfade.rim import store_roles, store_tables
from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.leading import Candidate
from crossfade.rim.stop_orders import Order
from crossfade.rim.stopping import carry_out, stop_now
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import VARIABLE
from crossfade.rim.store_place import make, place
from crossfade.rim.store_server import StoreServer
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase
from rim.engine.postgres_kit import INITDB, MISSING, postgres
from rim.test_store import SPEC, move
from rim.test_store_server import soon

pytestmark = pytest.mark.skipif(INITDB is None, reason=MISSING)


@dataclass
class Roles:
    """A store laid out by its owner, in a database whose other roles may do little."""

    admin: str
    data: Path
    monkeypatch: pytest.MonkeyPatch

    def address(self, role: str) -> str:
        with psycopg.connect(self.admin) as connection:
            return f"postgresql://crossfade_{role}@{connection.info.host}:{connection.info.port}/postgres"

    def store(self, role: str) -> Store:
        self.monkeypatch.setenv(VARIABLE, self.address(role))
        return Store(self.data / role)


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    with postgres() as where:
        yield where


@pytest.fixture
def roles(admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roles:
    found = Roles(admin, tmp_path, monkeypatch)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS crossfade CASCADE")
        for _ in range(2):
            for statement in store_roles.creation("crossfade", "crossfade"):
                connection.execute(statement.encode())
    monkeypatch.setenv(VARIABLE, found.address("owner"))
    where = place(tmp_path / "owner")
    assert [step.version for step in make(where)] == [1, 2]
    with where.writing(unfenced=True) as inside:
        assert store_roles.grant(inside, "crossfade") == [f"crossfade_{role}" for role in store_roles.MAY]
    where.close()
    return found


def refused(act: Callable[[], object]) -> None:
    with pytest.raises((StoreError, psycopg.errors.InsufficientPrivilege), match="permission denied"):
        act()


def test_each_role_does_its_work(roles: Roles) -> None:
    deciding = roles.store("controller")
    deciding.add(SPEC, parse(SPEC), 100.0)
    changed = SPEC.replace("10m", "20m")
    deciding.add(changed, parse(changed), 101.0)
    term = Candidate(deciding).seek(0.0)
    deciding.lead(term)
    move(deciding, Move.START)
    deciding.leaders.renew(term or 0)
    deciding.save_looks("r1", {})
    deciding.beat()
    deciding.seal(Seal(at=1.0, why="periodic"), 0)

    serving = roles.store("gateway")
    assert [one.position.phase for one in serving.rollouts()] == [Phase.RUNNING]
    glance = ServerGlance(roles.address("gateway"), roles.data / "gateway")
    assert [one.position.phase for one in glance.rollouts()] == [Phase.RUNNING]
    assert glance.heartbeat() > 0

    telling = roles.store("console")
    move(telling, Move.HOLD, 300.0)
    assert (telling.view("r1"), telling.told("r1").seals_head) == (None, 1)
    stopped = stop_now(roles.data / "console", Order(name="r1", actor="ana", reason="it is on fire", at=400.0))
    assert stopped.entry is not None
    assert stopped.entry.move == "rollback"
    soon(lambda: glance.stopped() == frozenset(), within=30.0)
    glance.close()

    deciding.save_view("r1", {"sentence": "hello"})
    assert telling.view("r1") == {"sentence": "hello"}
    other = SPEC.replace("name: r1", "name: r2").replace("models/r/", "models/q/")
    deciding.add(other, parse(other), 500.0)
    deciding.act("r2", Move.START, actor="ana", rule="manual", sentence="So.", at=501.0)
    shared = StoreServer(roles.address("console"), roles.data / "console")
    shared.give(Order(name="r2", actor="ana", reason="it is on fire, too", at=502.0))
    shared.close()
    assert carry_out(deciding, "r2") is not None
    for one in (deciding, serving, telling):
        one.close()


def test_a_gateway_cannot_change_anything(roles: Roles) -> None:
    deciding = roles.store("controller")
    deciding.add(SPEC, parse(SPEC), 100.0)
    before = deciding.told("r1")
    serving = roles.store("gateway")
    refused(lambda: move(serving, Move.START))
    refused(lambda: serving.add(SPEC.replace("10m", "20m"), parse(SPEC.replace("10m", "20m")), 200.0))
    refused(serving.beat)
    refused(lambda: serving.save_view("r1", {}))
    refused(lambda: serving.seal(Seal(at=1.0, why="periodic"), 0))
    refused(lambda: serving.leaders.take(serving.leaders.present(), {}))
    with psycopg.connect(roles.address("gateway"), autocommit=True) as inside:
        for table in [*store_tables.TABLES.tables, "stop_orders"]:
            refused(lambda table=table: inside.execute(f"DELETE FROM {table}".encode()))  # type: ignore[misc]
            refused(lambda table=table: inside.execute(f"TRUNCATE {table}".encode()))  # type: ignore[misc]
            refused(lambda table=table: inside.execute(f"INSERT INTO {table} SELECT * FROM {table}".encode()))  # type: ignore[misc]
        for question in ("SELECT * FROM ledger", "CREATE TABLE crossfade.own (n int)", "UPDATE rollouts SET seq = 0"):
            refused(lambda question=question: inside.execute(question.encode()))  # type: ignore[misc]
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="owner"):
            inside.execute("DROP TABLE ledger")
    assert deciding.told("r1") == before
    serving.close()
    deciding.close()


@pytest.mark.parametrize("role", ["controller", "console"])
def test_who_decides_appends_and_never_rewrites(roles: Roles, role: str) -> None:
    store = roles.store("controller")
    store.add(SPEC, parse(SPEC), 100.0)
    store.seal(Seal(at=1.0, why="periodic"), 0)
    store.close()
    with psycopg.connect(roles.address(role), autocommit=True) as inside:
        for table, column in (("ledger", "entry"), ("seals", "seal"), ("specs", "text"), ("layout", "about")):
            refused(lambda: inside.execute(f"UPDATE {table} SET {column} = ''".encode()))  # noqa: B023
            refused(lambda: inside.execute(f"DELETE FROM {table}".encode()))  # noqa: B023
        refused(lambda: inside.execute("DELETE FROM rollouts"))
        if role == "console":
            refused(lambda: inside.execute("UPDATE leader SET term = 9"))
            refused(lambda: inside.execute("INSERT INTO specs SELECT 'r1', 'x', text, at FROM specs"))


def test_every_table_has_been_thought_of() -> None:
    tables = {*store_tables.TABLES.tables, "stop_orders"}
    assert {role: set(may) for role, may in store_roles.MAY.items()} == dict.fromkeys(store_roles.MAY, tables)


@pytest.mark.parametrize("name", ["x; DROP TABLE ledger", 'a"b', "", "Älter", "1a", "a" * 42])
def test_names_that_would_be_sql_are_refused(name: str) -> None:
    for given in ((name, "crossfade"), ("crossfade", name)):
        with pytest.raises(store_roles.NameProblem, match="cannot be"):
            store_roles.creation(*given)
        with pytest.raises(store_roles.NameProblem, match="cannot be"):
            store_roles.grants(*given)
