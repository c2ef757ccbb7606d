"""Measured once, asked anywhere: the same numbers on DuckDB, PostgreSQL, Spark and ClickHouse."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import duckdb
import ibis
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossfade.facts import Exposed, Fact, by_kind
from crossfade.judge.measure import Question, ask, corrections, counts, gates, received, spread, tables, triggers
from crossfade.judge.measure.segments import by_segment, heard_in_shadow
from crossfade.judge.measure.tables import FACTS, LOOK, arrivals, exposures, fallen, greetings, homes, units, visits
from crossfade.judge.measure.votes import votes
from crossfade.rim.lake_columns import SCHEMAS, columns
from crossfade.spec.model import Better, Comparison, Credit, Kind, Metric, Source
from rim.by_hand import ROLLOUT, World, make
from rim.engine.postgres_kit import INITDB, MISSING, postgres
from rim.engine.test_law import METRICS
from rim.engine.test_law import STAGES as STAGED
from rim.facts_made import START, compared

Build = Callable[[], Any]

SPEC = replace(
    ROLLOUT,
    stages=STAGED,
    compare=(Comparison(path="$.a", mute="random"), Comparison(path="$.d", mute="a time")),
    metrics=(
        *ROLLOUT.metrics,
        Metric(
            name="quality",
            source=Source.PREDICTION,
            kind=Kind.MAE,
            better=Better.LOWER,
            window=9.0,
            outcome="money",
        ),
        *(replace(m, name=f"{m.name}-2", outcome=m.outcome and "money", per=m.per and "visits") for m in METRICS[5:]),
    ),
)
"""Every kind of metric there is."""

CREDIT = (Credit(outcome="click", weight=0.5), Credit(outcome="money", valued=True))
NOW = START + 70.0
HOP: dict[str, Build] = {
    "followed": corrections.hop,
    "chains": lambda: ibis.table(dict(corrections.CHAINS.schema().items()), name="followed"),
}
KEPT: dict[str, Build] = {
    "chains": corrections.chains,
    # Eight is further than the chains of these worlds go.
    **{name + " " * n: build for n in range(1, 4) for name, build in HOP.items()},
    "replaced": corrections.replaced,
    "outcome": corrections.outcomes,
    "exposures": exposures,
    "visits": visits,
    "arrivals": arrivals,
    "greetings": greetings,
    "units": units,
    "fallen": fallen,
    "homes": homes,
    "copied": tables.copied,
    "triggered": triggers.triggered,
    "said": partial(spread.said, len(ROLLOUT.segments)),
    "named": spread.named,
    "labels": spread.labels,
    "touched": counts.touched,
}
COUNTS = (
    counts.requests,
    counts.exposed_units,
    counts.step_units,
    counts.mirrored,
    counts.drops,
    counts.faults,
    counts.leases,
    counts.lists,
    counts.reach,
    counts.orphans,
    triggers.tallied,
)


@cache
def written(build: Build, dialect: str) -> str:
    """A question in one engine's words; most are the same in every stage, and writing them takes longer than asking."""
    return str(ibis.to_sql(build(), dialect=dialect))


class Asked(Protocol):
    """Somewhere that questions can be put."""

    def load(self, name: str, rows: pa.Table) -> None:
        """Fill a table."""

    def keep(self, name: str, build: Build) -> None:
        """Keep the rows of a query under a name."""

    def rows(self, build: Build) -> list[dict[str, Any]]:
        """The rows of a query."""


class Duck:
    def __init__(self) -> None:
        self._connection = duckdb.connect(config={"threads": 1})

    def load(self, name: str, rows: pa.Table) -> None:
        self._connection.register("given", rows)
        self._connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")

    def keep(self, name: str, build: Build) -> None:
        self._connection.execute(f"CREATE OR REPLACE TABLE {name} AS {written(build, 'duckdb')}")

    def rows(self, build: Build) -> list[dict[str, Any]]:
        found = self._connection.execute(written(build, "duckdb"))
        return [dict(zip([c[0] for c in found.description], row, strict=True)) for row in found.fetchall()]


class Postgres:
    TYPES: Mapping[str, str] = {
        "string": "text",
        "double": "double precision",
        "int64": "bigint",
        "bool": "boolean",
        "list<element: string>": "text[]",
        "list<element: double>": "double precision[]",
        "list<item: double>": "double precision[]",
        "list<item: string>": "text[]",
        "list<element: int64>": "bigint[]",
        "list<item: int64>": "bigint[]",
    }

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def load(self, name: str, rows: pa.Table) -> None:
        told = ", ".join(f'"{field.name}" {self.TYPES[str(field.type)]}' for field in rows.schema)
        with self._connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} ({told})")
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                    copy.write_row(row)

    def keep(self, name: str, build: Build) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")
        self._connection.execute(f"CREATE TABLE {name} AS {written(build, 'postgres')}")

    def rows(self, build: Build) -> list[dict[str, Any]]:
        found = self._connection.execute(written(build, "postgres"))
        return [dict(zip([c.name for c in found.description], row, strict=True)) for row in found.fetchall()]


class Spark:
    """Tables are views of this session alone, so that nothing is written to a warehouse."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._backend = ibis.pyspark.connect(session)

    def load(self, name: str, rows: pa.Table) -> None:
        self._session.createDataFrame(rows).createOrReplaceTempView(name)

    def keep(self, name: str, build: Build) -> None:
        self.load(name, self._backend.to_pyarrow(build()))

    def rows(self, build: Build) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._backend.to_pyarrow(build()).to_pylist()
        return found


def world(stage: int) -> World:
    made = make(70 + stage, stage, steps=(0.0, 30.0, 50.0) if stage == 1 else (0.0,), requests=600)
    if made.mode in ("canary", "ab"):
        made.facts = [fact for one in made.facts for fact in (copied(one) if isinstance(one, Exposed) else [one])]
    return made


def copied(of: Exposed) -> list[Fact]:
    """An exposure as it is where requests are copied; of most of them both answers are known."""
    n = zlib.crc32(of.decision_id.encode())
    pair = compared(
        0,
        **{name: getattr(of, name) for name in ("rollout", "decision_id", "at", "unit", "stage")},
        served=of.arm,
        differs=n % 3 == 0,
        challenger_failed=n % 13 == 0,
        unmeasured=("$.a: late",) if n % 17 == 0 else (),
        champion_numbers=(n % 8 / 4.0,),
        challenger_numbers=(n % 5 / 4.0,),
    )
    return [msgspec.structs.replace(of, copied=of.unit != ""), *([pair] if n % 11 else [])]


def fill(place: Asked, made: World) -> None:
    """The facts of a world, as the lake has them; reports that were repeated come once."""
    reports = list({report.outcome_id: report for report in made.outcomes}.values())
    kinds: Mapping[str, Sequence[Fact]] = by_kind([*made.facts, *reports])
    for kind, table in FACTS.items():
        rows = columns(kind, kinds[kind]) if kind in kinds else SCHEMAS[kind].empty_table()
        place.load("reported" if kind == "outcome" else kind, rows.select(table.columns))
    look = looked(made.stage, made.mode)
    types = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    schema = pa.schema([(name, types[str(type_)]) for name, type_ in LOOK.schema().items()])
    place.load("look", pa.Table.from_pylist([look], schema=schema))


def looked(stage: int, mode: str) -> dict[str, Any]:
    """The look at these worlds."""
    return {"rollout": "r1", "stage": stage, "mode": mode, "since": START, "now": NOW}


def answers(place: Asked, stage: int, mode: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that a look asks."""
    found = {"told": place.rows(partial(exposures, look=looked(stage, mode)))}
    for name, build in KEPT.items():
        place.keep(name.strip(), build)
    for metric in SPEC.metrics:
        question = ask(SPEC, mode, metric)
        if isinstance(question, Question):
            if question.judged is not None:
                place.keep("settled", question.judged.build)
            found[metric.name] = place.rows(question.build)
            segmented(place, found, metric.name, question)
    for name, question in gates(SPEC, stage, mode).items():
        found[name] = place.rows(question.build)
        segmented(place, found, name, question)
    found["heard"] = place.rows(spread.heard)
    found["heard in shadow"] = place.rows(heard_in_shadow(len(SPEC.segments)).build)
    found["graded"] = place.rows(lambda: votes(CREDIT, "v1", ("v2", "v3"), whole=False))
    for build in COUNTS:
        found[build.__name__] = place.rows(build)
    for build in (received.received, received.corrected, received.astray):
        found[build.__name__] = place.rows(partial(build, ("click", "money", "purchase")))
    place.keep("told", lambda: counts.told("purchase"))
    place.keep("loose", lambda: counts.loose("purchase"))
    found["outcome_reach"] = place.rows(lambda: counts.outcome_reach("v1"))
    return found


def segmented(place: Asked, found: dict[str, list[dict[str, Any]]], name: str, question: Question) -> None:
    """The same question of every segment."""
    each = by_segment(question, len(SPEC.segments))
    if each is not None:
        found[f"{name} by segment"] = place.rows(each.build)


@pytest.fixture(autouse=True)
def soon_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """These worlds are small, and not all of their segments can be told apart."""
    monkeypatch.setattr(spread, "SUPPORT", 20)
    monkeypatch.setattr(spread, "MOST", 3)


def same(one: dict[str, list[dict[str, Any]]], other: dict[str, list[dict[str, Any]]]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        found, expected = (sorted(map(_plain, rows), key=str) for rows in (one[name], other[name]))
        assert [keys for keys, _ in found] == [keys for keys, _ in expected], name
        for (_, a), (_, b) in zip(found, expected, strict=True):
            # Sums of doubles may round by their order; everything else is the same to the bit.
            assert a == pytest.approx(b, rel=1e-11, abs=1e-9), name


def _plain(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """What has to be the same, and what may round."""
    exact = {
        k: v if isinstance(v, str) or v is None else str(list(v)) if isinstance(v, list) else int(v)
        for k, v in row.items()
        if not isinstance(v, float)
    }
    return dict(sorted(exact.items())), {k: v for k, v in sorted(row.items()) if isinstance(v, float)}


class ClickHouse:
    """ClickHouse as a library. Where a join finds nothing it has to give nulls, as everybody else does."""

    TYPES: Mapping[str, str] = {
        "string": "String",
        "double": "Float64",
        "int64": "Int64",
        "bool": "Bool",
    }

    def __init__(self, session: Any, folder: Path) -> None:
        self._session, self._file = session, folder / "rows.parquet"
        session.query("SET join_use_nulls = 1")
        session.query("CREATE DATABASE IF NOT EXISTS facts ENGINE = Atomic")
        session.query("USE facts")

    def load(self, name: str, rows: pa.Table) -> None:
        told = ", ".join(f"`{field.name}` {self._type(field.type)}" for field in rows.schema)
        pq.write_table(rows, self._file)
        self._session.query(f"DROP TABLE IF EXISTS {name}")
        self._session.query(f"CREATE TABLE {name} ({told}) ENGINE = Memory")
        self._session.query(f"INSERT INTO {name} SELECT * FROM file('{self._file}', Parquet)")

    def keep(self, name: str, build: Build) -> None:
        self._session.query(f"CREATE TABLE kept ENGINE = Memory AS {self._sql(build)}")
        self._session.query(f"DROP TABLE IF EXISTS {name}")
        self._session.query(f"RENAME TABLE kept TO {name}")

    def rows(self, build: Build) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._session.query(self._sql(build), "ArrowTable").to_pylist()
        return [{k: v.decode() if isinstance(v, bytes) else v for k, v in row.items()} for row in found]

    def _type(self, of: pa.DataType) -> str:
        if pa.types.is_list(of):
            return f"Array({self.TYPES[str(of.value_type)]})"
        return f"Nullable({self.TYPES[str(of)]})"

    def _sql(self, build: Build) -> str:
        return written(build, "clickhouse")


STAGES = {0: "shadow", 1: "canary", 2: "interleave", 3: "ab"}


@pytest.mark.timeout(600)
@pytest.mark.skipif(INITDB is None, reason=MISSING)
@pytest.mark.parametrize(
    "stages", [(2,), pytest.param((0, 1, 3), marks=pytest.mark.full)], ids=["lists", "all the others"]
)
def test_postgresql_gives_the_same_numbers(stages: Sequence[int]) -> None:
    psycopg = pytest.importorskip("psycopg", reason="PSYCOPG IS NOT INSTALLED: nothing is compared with PostgreSQL")
    with postgres() as where:
        for stage in stages:
            made, mode = world(stage), STAGES[stage]
            duck = Duck()
            fill(duck, made)
            with psycopg.connect(where, autocommit=True) as connection:
                connection.execute(f"CREATE SCHEMA {mode}")
                connection.execute(f"SET search_path TO {mode}")
                place = Postgres(connection)
                fill(place, made)
                same(answers(place, stage, mode), answers(duck, stage, mode))


def test_a_look_told_outright_has_the_exposures_of_a_look_that_is_joined() -> None:
    for stage, mode in STAGES.items():
        duck = Duck()
        fill(duck, world(stage))
        told, joined = (duck.rows(build) for build in (partial(exposures, look=looked(stage, mode)), exposures))
        assert sorted(map(str, told)) == sorted(map(str, joined))
        assert told


@pytest.mark.full
@pytest.mark.timeout(600)
def test_clickhouse_gives_the_same_numbers(tmp_path: Path) -> None:
    chdb = pytest.importorskip("chdb.session", reason="CHDB IS NOT INSTALLED: nothing is compared with ClickHouse")
    session = chdb.Session(str(tmp_path / "clickhouse"))
    try:
        for stage, mode in STAGES.items():
            made = world(stage)
            duck = Duck()
            fill(duck, made)
            place = ClickHouse(session, tmp_path)
            fill(place, made)
            same(answers(place, stage, mode), answers(duck, stage, mode))
    finally:
        session.close()


@contextmanager
def spark() -> Iterator[Any]:
    """Spark with two executors in processes of their own."""
    pyspark = pytest.importorskip("pyspark.sql", reason="PYSPARK IS NOT INSTALLED: nothing is compared with Spark")
    if shutil.which("java") is None:
        pytest.skip("JAVA IS NOT INSTALLED: nothing is compared with Spark")
    builder = pyspark.SparkSession.builder.master("local-cluster[2,1,1024]").appName("crossfade-test")
    for key, value in {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2"}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_spark_gives_the_same_numbers() -> None:
    with spark() as session:
        for stage, mode in STAGES.items():
            made = world(stage)
            duck = Duck()
            fill(duck, made)
            place = Spark(session)
            fill(place, made)
            same(answers(place, stage, mode), answers(duck, stage, mode))
