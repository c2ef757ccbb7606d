"""Facts by the million for the cases that ask them: a lake as a busy A/B test leaves it, made by DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

from crossfade.rim.lake_columns import SCHEMAS
from crossfade.spec.model import Ab, Arm, Better, Field, From, Kind, Metric, Protocol, Rollout, Source
from crossfade.state import Phase, Position

START = 1_700_000_000.0
LENGTH = 7 * 86_400.0
"""Seconds of the stage over which the facts are spread."""

BLOCK = 10
"""Facts of which one is a value from before the unit entered, six are exposures and three are outcomes of such."""

CHUNK = 2_000_000
"""Facts in one commit."""

REVENUE = Metric(
    name="revenue",
    source=Source.OUTCOME,
    kind=Kind.MEAN,
    better=Better.HIGHER,
    window=3600.0,
    outcome="money",
    covariate="money",
)

ROLLOUT = Rollout(
    name="bench",
    route="/r",
    protocol=Protocol.JSON,
    unit=Field(source=From.HEADER, name="x-user"),
    champion=Arm(name="v1", url="http://127.0.0.1:1"),
    challengers=(Arm(name="v2", url="http://127.0.0.1:2"),),
    metrics=(
        Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER),
        Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, q=0.99, better=Better.LOWER),
        Metric(name="buy", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=3600.0),
        REVENUE,
    ),
    stages=(Ab(weight=0.5),),
    revision="bench",
)
POSITION = Position(phase=Phase.RUNNING, stage=0, step=0, stage_since=START, step_since=START)

# Fact i happens at i / total of the stage. Ids as gateways make them: the time first, so that what is near in time is
# near in the table. A unit is drawn anew for each fact, so that its ten are spread over the whole stage.
_EXPOSED = """
SELECT 'bench' AS rollout, 'bench' AS revision, {decision} AS decision_id, {at} AS "at", 'user-' || u AS unit,
    CASE WHEN hash(u + 3) % 2 = 0 THEN 'v2' ELSE 'v1' END AS arm, arm AS served_by, 'ab' AS mode, 0.5 AS weight,
    200 AS status, hash(i + 5) % 200 = 0 AS failed, 5.0 + hash(i + 1) % 10000 / 100.0 AS latency_ms,
    latency_ms + 0.3 AS total_ms, 400 + hash(i + 2) % 4000 AS size, ['c' || (hash(u + 5) % 5)] AS segments
FROM (SELECT i, hash(i) % {units} AS u FROM range({low}, {high}) AS facts(i) WHERE i % {block} < 6)"""

_OUTCOME = """
SELECT 'o' || i AS outcome_id, {decision} AS decision_id, ['buy', 'money', 'money'][1 + i % 3] AS name,
    1.0 + hash(i + 3) % 400 / 4.0 AS value, {at} + 20.0 AS "at", {at} + 30.0 AS received_at
FROM (SELECT j AS told, j - 6 AS i FROM range({low}, {high}) AS facts(j) WHERE j % {block} IN (6, 7, 8))"""

_BEFORE = """
SELECT 'b' || i AS outcome_id, 'bench' AS rollout, 'user-' || (hash(i) % {units}) AS unit, 'money' AS name,
    1.0 + hash(i + 4) % 400 / 4.0 AS value, {start} - 1000.0 AS "at", {at} AS received_at
FROM range({low}, {high}) AS facts(i) WHERE i % {block} = 9"""


def fill(data: Path, low: int, high: int, total: int) -> None:
    """Put facts `low` to `high` of `total` into the lake: ten a unit, one of them from before it entered."""
    connection = duckdb.connect(config={"threads": 2})
    at = f"({START!r} + i / {total}.0 * {LENGTH!r})"
    hex_ = f"printf('%012x', CAST({at} * 1000 AS BIGINT))"
    noise = "md5(i::VARCHAR)"
    decision = (
        f"{hex_}[1:8] || '-' || {hex_}[9:12] || '-7' || {noise}[1:3] || '-8' || {noise}[4:6] || '-' || {noise}[7:18]"
    )
    for begin in range(low, high, CHUNK):
        given = {
            "low": begin,
            "high": min(begin + CHUNK, high),
            "units": max(total // BLOCK, 1),
            "block": BLOCK,
            "at": at,
            "decision": decision,
            "start": repr(START),
        }
        for kind, sql in (("exposed", _EXPOSED), ("outcome", _OUTCOME), ("outcome", _BEFORE)):
            rows = connection.sql(sql.format(**given)).to_arrow_table()
            write_deltalake(
                data / "lake" / kind,
                whole(kind, rows),
                mode="append",
                writer_properties=WriterProperties(compression="ZSTD", compression_level=1),
            )
    connection.close()


def whole(kind: str, rows: pa.Table) -> pa.Table:
    """With every column that the lake has: those that questions do not ask for are empty."""
    blanks = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}
    told = []
    for column in SCHEMAS[kind]:
        if column.name in rows.column_names:
            # A unit that one part names and another does not is empty there, as in every fact.
            found = rows[column.name].cast(column.type)
            told.append(
                found
                if column.type not in blanks or column.type == pa.bool_()
                else found.fill_null(blanks[column.type])
            )
        elif column.type in blanks:
            told.append(pa.repeat(pa.scalar(blanks[column.type], column.type), rows.num_rows))
        else:
            told.append(pa.repeat(pa.scalar([], column.type), rows.num_rows))
    return pa.table(told, schema=SCHEMAS[kind])
