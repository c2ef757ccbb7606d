"""`analyze` over tables of another engine, by name: the same evidence as over files."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim.analyze import AnalysisError, analyze
from crossfade.rim.replaying import same
from rim.engine.postgres_kit import INITDB, MISSING, postgres

METRICS = [
    "buy:rate:higher:1pp",
    "money:mean:higher:covariate=before",
    "money_count:count",
    "money/views:ratio",
    "wait:quantile:0.5",
]


def made(folder: Path) -> tuple[Path, Path]:
    """An experiment of a few hundred units, with a column that nobody asks for."""
    rng = random.Random(5)
    exposures, outcomes = folder / "exposures.csv", folder / "outcomes.csv"
    with exposures.open("w", newline="") as one, outcomes.open("w", newline="") as other:
        units, happened = csv.writer(one), csv.writer(other)
        units.writerow(["unit", "arm", "at", "before", "country", "wide"])
        happened.writerow(["unit", "name", "value", "at"])
        for n in range(600):
            arm, at = ("old", "new")[n % 2], 1_700_000_000.0 + n
            units.writerow([f"u{n}", arm, at, round(rng.gauss(5, 1), 2), ("fr", "de")[n % 3 % 2], "x" * 100])
            for name in ("buy", "money", "money_count", "views", "wait"):
                if rng.random() < 0.7:
                    happened.writerow([f"u{n}", name, round(rng.expovariate(0.2), 2), at + rng.random() * 50])
    return exposures, outcomes


def found(exposures: Any, outcomes: Any, engine: str | None) -> list[dict[str, Any]]:
    told = analyze(
        exposures, outcomes, metrics=METRICS, baseline="old", segments=["country"], window="100s", engine=engine
    )
    return list(told.to_json()["evidence"])


@pytest.mark.skipif(INITDB is None, reason=MISSING)
def test_tables_of_postgresql_give_the_evidence_of_files(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    exposures, outcomes = made(tmp_path)
    with postgres() as where:
        told = dict(part.split("=", 1) for part in where.split())
        address = f"postgresql://{told['user']}@{told['host']}:{told['port']}/{told['dbname']}"
        with psycopg.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA lab")
            cursor.execute(
                "CREATE TABLE lab.exposures (unit text, arm text, at double precision, before double precision,"
                " country text, wide text)"
            )
            cursor.execute("CREATE TABLE outcomes (unit text, name text, value double precision, at double precision)")
            for table, file in (("lab.exposures", exposures), ("outcomes", outcomes)):
                with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy:
                    copy.write(file.read_text())
        assert same(found(exposures, outcomes, None), found("lab.exposures", "outcomes", address))
        with pytest.raises(AnalysisError, match="PostgreSQL has no table nowhere") as refused:
            found("nowhere", "outcomes", address)
        assert "outcomes" in refused.value.what_to_do


@pytest.mark.full
@pytest.mark.timeout(900)
def test_parquet_read_by_spark_gives_the_evidence_of_files(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="PYSPARK IS NOT INSTALLED: nothing is compared with Spark")
    if shutil.which("java") is None:
        pytest.skip("JAVA IS NOT INSTALLED: nothing is compared with Spark")
    import pyarrow.csv as text
    import pyarrow.parquet as parquet

    files = made(tmp_path)
    for file in files:
        parquet.write_table(text.read_csv(file), file.with_suffix(".parquet"))
    exposures, outcomes = (str(file.with_suffix(".parquet")) for file in files)
    assert same(found(*files, None), found(exposures, outcomes, "spark:local[2]"))


def test_an_engine_without_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.rim.engine.elsewhere.find_spec", lambda name: name)
    with pytest.raises(AnalysisError, match="clickhouse:local"):
        analyze("a", "b", metrics=["x:rate"], engine="clickhouse:local")
    with pytest.raises(AnalysisError, match="'mysql' names no engine"):
        analyze("a", "b", metrics=["x:rate"], engine="mysql://host/db")
