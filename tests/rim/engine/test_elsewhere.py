"""A look, and a recorded decision, computed by other engines than DuckDB: reached as an operator names them."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pytest
import sqlglot
from benchmarks import engines_made as made
from benchmarks.engines import apart
from benchmarks.engines_asked import plain

from crossfade.judge.assess import assess
from crossfade.judge.measure import counts, tables
from crossfade.rim.engine import Engine
from crossfade.rim.engine.backend import Backend, EngineError
from crossfade.rim.engine.elsewhere import FORMS, VARIABLE, chosen, opened, spoken
from crossfade.rim.engine.elsewhere.clickhouse import exact
from crossfade.rim.engine.elsewhere.lasting import Lasting, Urls
from crossfade.rim.engine.full import Full
from crossfade.rim.engine.here import Here
from crossfade.rim.engine.look import take
from crossfade.rim.engine.session import Session
from crossfade.rim.extras import install
from crossfade.rim.lake import Lake
from rim.engine.postgres_kit import INITDB, MISSING, postgres

FACTS = 6_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    data = tmp_path_factory.mktemp("lake")
    made.fill(data, FACTS)
    found = Lake(data)
    yield found
    found.close()


def looks(lake: Lake, backend: Backend, stages: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    """Everything that looks at the stages find, moments and evidence, as plain values."""
    versions = lake.versions()
    full = Full(lake, versions, 1, backend=backend)
    found = {}
    for stage in stages:
        where, now = made.position(stage), made.moment(stage)
        full.look(made.ROLLOUT.name, stage, made.STAGES[stage], where.stage_since, now)
        measured = take(full, made.ROLLOUT, where, now, versions)
        evidence = [line.to_json() for line in assess(made.ROLLOUT, measured)]
        found[made.STAGES[stage]] = {"moments": plain(measured), "evidence": evidence}
    return found


class Recording:
    """DuckDB that notes every question that it is asked."""

    def __init__(self) -> None:
        self._here = Here(Session(1))
        self.asked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here, name)

    def view(self, name: str, key: Any, build: Any) -> None:
        self.asked.append(build())
        self._here.view(name, key, build)

    def keep(self, name: str, key: Any, build: Any, *, as_written: bool = False) -> None:
        self.asked.append(build())
        self._here.keep(name, key, build, as_written=as_written)

    def rows(self, key: Any, build: Any) -> Any:
        self.asked.append(build())
        return self._here.rows(key, build)


@pytest.fixture(scope="module")
def recorded(lake: Lake) -> tuple[dict[str, Any], list[Any]]:
    """What DuckDB finds, and every question that it was asked, as expressions."""
    backend = Recording()
    try:
        return looks(lake, backend), list({question.op(): question for question in backend.asked}.values())
    finally:
        backend.close()


@pytest.fixture(scope="module")
def expected(recorded: tuple[dict[str, Any], list[Any]]) -> dict[str, Any]:
    return recorded[0]


def same(one: Any, other: Any) -> int:
    """How many numbers are the same, within 1e-9; fails where one is not."""
    worst, numbers = apart(one, other)
    assert worst <= 1e-9
    return numbers


@contextmanager
def server() -> Iterator[str]:
    if INITDB is None:
        pytest.skip(MISSING)
    pytest.importorskip("psycopg", reason="PSYCOPG IS NOT INSTALLED: nothing is compared with PostgreSQL")
    with postgres() as where:
        told = dict(part.split("=", 1) for part in where.split())
        yield f"postgresql://{told['user']}@{told['host']}:{told['port']}/{told['dbname']}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("thoroughly", [False, pytest.param(True, marks=pytest.mark.full)])
def test_postgresql_finds_the_same_and_keeps_nothing(lake: Lake, expected: Mapping[str, Any], thoroughly: bool) -> None:
    import psycopg

    with server() as address:
        backend = opened(chosen(address))
        for stages in ((0, 1, 2), (1,)) if thoroughly else ((1,),):
            # The second time with facts and kept tables of the first about.
            found = looks(lake, backend, stages)
            assert same({mode: expected[mode] for mode in found}, found) > 100
        backend.close()
        with psycopg.connect(address) as connection:
            left = connection.execute(
                "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.relkind IN ('r', 'v') AND n.nspname !~ '^(pg_catalog|information_schema|pg_toast)$'"
            ).fetchone()
        assert left == (0,)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_spark_finds_the_same(lake: Lake, expected: Mapping[str, Any]) -> None:
    pytest.importorskip("pyspark", reason="PYSPARK IS NOT INSTALLED: nothing is compared with Spark")
    if shutil.which("java") is None:
        pytest.skip("JAVA IS NOT INSTALLED: nothing is compared with Spark")
    backend = opened(chosen("spark:local-cluster[2,1,1024]"))
    try:
        assert same(expected, looks(lake, backend)) > 1_000
    finally:
        backend.close()
    # The cluster has gone, or a file, or a column: whoever asks is told in words.
    with pytest.raises(EngineError, match="Spark could not answer"):
        looks(lake, backend, (1,))


@pytest.mark.full
@pytest.mark.timeout(600)
def test_clickhouse_finds_the_same(lake: Lake, expected: Mapping[str, Any]) -> None:
    pytest.importorskip("chdb", reason="CHDB IS NOT INSTALLED: nothing is compared with ClickHouse")
    backend = opened(chosen("clickhouse:local"))
    try:
        assert same(expected, looks(lake, backend)) > 1_000
    finally:
        backend.close()


def test_the_comparison_notices_what_differs() -> None:
    one = {"a": [1, 2.0, "x"], "b": None}
    assert apart(one, one) == (0.0, 2)
    assert apart(one, {"a": [1, 2.000001, "x"], "b": None})[0] == pytest.approx(5e-7, rel=1e-3)
    for other in ({"a": [1, 2.0, "y"], "b": None}, {"a": [1, 2.0], "b": None}, {"a": [2, 2.0, "x"], "b": None}):
        assert apart(one, other)[0] == float("inf")
    assert apart(one, {**one, "b": 0.0})[0] == float("inf")


@pytest.mark.parametrize(
    "dialect",
    ["clickhouse", *(pytest.param(one, marks=pytest.mark.full) for one in ("bigquery", "snowflake", "trino"))],
)
def test_every_question_can_be_written_for_engines_that_are_not_asked_here(
    recorded: tuple[dict[str, Any], list[Any]], dialect: str
) -> None:
    told = {str(ibis.to_sql(question, dialect=dialect)) for question in recorded[1]}
    assert len(told) > 60
    for sql in told:
        assert isinstance(sqlglot.parse_one(sql, dialect=dialect), sqlglot.exp.Query)


def test_clickhouse_counts_distinct_things_exactly() -> None:
    told = exact(counts.exposed_units())
    assert "uniqExact(" in told
    assert "uniq(" not in told


class Failing:
    """An engine whose connection breaks at the second look."""

    def __init__(self) -> None:
        self._here = Here(Session(1))
        self.looks = 0
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here, name)

    def look(self, *told: Any) -> None:
        self.looks += 1
        if self.looks == 2:
            raise EngineError("the connection is gone")
        self._here.look(*told)

    def close(self) -> None:
        self.closed = True
        self._here.close()


def test_an_engine_that_failed_is_opened_anew_at_the_next_look(lake: Lake) -> None:
    opened_: list[Failing] = []

    def open_(engine: str) -> Backend:
        opened_.append(Failing())
        return opened_[-1]

    lasting = Lasting("postgresql://somewhere", lake, open_=open_)
    versions, told = lake.versions(), (made.ROLLOUT.name, 1, "canary", made.position(1).stage_since, made.moment(1))

    def look() -> None:
        with lasting.full(versions, within=60.0) as full:
            full.look(*told)

    look()
    with pytest.raises(EngineError, match="is gone"):
        look()
    assert opened_[0].closed
    look()
    assert len(opened_) == 2
    assert not opened_[1].closed
    lasting.close()
    assert opened_[1].closed


def test_a_look_that_outlasts_the_lease_is_told_in_the_log(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    lasting = Lasting("postgresql://me:secret@host/db", lake, open_=lambda engine: Here(Session(1)))
    with caplog.at_level(logging.WARNING), lasting.full(lake.versions(), within=0.0):
        pass
    lasting.close()
    assert "longer than the lease" in caplog.text
    assert "secret" not in caplog.text


def test_the_engine_of_a_controller_may_be_another(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    where, now = made.position(1), made.moment(1)
    usual = Engine(lake, threads=1)
    expected = plain(usual.measure(made.ROLLOUT, where, now))
    usual.close()
    with server() as address:
        monkeypatch.setenv(VARIABLE, address)
        other = Engine(lake, threads=1, engine=chosen(None))
        assert same(expected, plain(other.measure(made.ROLLOUT, where, now))) > 100
        other.close()


@pytest.mark.parametrize(
    ("told", "means"),
    [
        (None, "duckdb"),
        ("duckdb", "duckdb"),
        ("postgres://me@host/db", "postgresql://me@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
    ],
)
def test_engines_are_named_in_one_spelling(told: str | None, means: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen(told) == means


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("mysql://root:hunter2@host/db", "'mysql' names no engine"),
        ("spark", "'spark' names no engine"),
        ("clickhouse://host:8123", "a ClickHouse server cannot be asked yet"),
        ("trino://host", "nobody has run them there"),
    ],
)
def test_what_is_no_engine_is_refused_without_repeating_a_password(told: str, says: str) -> None:
    with pytest.raises(EngineError, match=says) as refused:
        chosen(told)
    assert "hunter2" not in str(refused.value)
    assert FORMS.split(",")[0] in str(refused.value) or "clickhouse:local" in str(refused.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.rim.engine.elsewhere.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=re.escape(install("spark"))):
        chosen("spark:local[2]")


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(EngineError, match="PostgreSQL cannot be reached") as refused:
        opened("postgresql://me:hunter2@127.0.0.1:9/db")
    assert "hunter2" not in str(refused.value)
    assert spoken("postgresql://me:hunter2@host/db") == "postgresql://me@host/db"


def test_a_cluster_is_given_the_urls_of_the_object_store(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stored:
        def urls(self, kind: str, version: int | None = None) -> list[str]:
            return [f"s3://facts/{kind}/part-{version}.parquet", "gs://facts/other.parquet"]

    assert Urls(Stored()).files("exposed", 3) == [  # type: ignore[arg-type]
        "s3a://facts/exposed/part-3.parquet",
        "gs://facts/other.parquet",
    ]
    assert all(url == file for url, file in zip(lake.urls("exposed"), lake.files("exposed"), strict=True))


def test_odd_texts_and_absent_values_reach_postgresql_as_they_are(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    from crossfade.facts import by_kind
    from crossfade.rim.lake_columns import columns
    from rim.facts_made import exposed, shown

    odd = ("", "\\N", "NULL", 'a"b', "back\\slash", "a,b", "{c}", "new\nline", "O'Brien", "ünï", "tab\t")
    facts = [exposed(n, unit=text, segments=(text, "x")) for n, text in enumerate(odd)] + [exposed(99, segments=())]
    lists = [shown(n, items=odd, credits=(1, -2)) for n in range(2)]
    for kind, rows in by_kind([*facts, *lists]).items():
        write_deltalake(tmp_path / "lake" / kind, columns(kind, rows))
    lake = Lake(tmp_path)
    with server() as address:
        here, there = Here(Session(1)), opened(chosen(address))
        for kind in ("exposed", "shown"):
            table = tables.FACTS[kind].order_by("decision_id")
            found = []
            for backend in (here, there):
                backend.facts(kind, kind, lake.files(kind))
                rows = backend.rows((kind,), lambda table=table: table)
                found.append({name: [plain(value) for value in column] for name, column in rows.items()})
            assert found[0] == found[1]
        here.close()
        there.close()
    lake.close()
