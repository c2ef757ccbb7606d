"""Facts by the million for the comparison of engines: one rollout in its shadow, canary and interleave stages.

Two challengers, a canary of two steps, two segments, outcomes by decision and by unit, early, late, repeated, for
nobody, from before the unit entered (a covariate), and corrected, some of these corrected again. What is reported
twice under one id never comes into a lake, so that the repeats here are other reports of the same thing.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import WriterProperties, write_deltalake

from benchmarks.facts_made import whole
from crossfade.spec.parse import parse
from crossfade.state import Phase, Position

START = 1_700_000_000.0
LENGTH = 86_400.0
"""Seconds of each stage."""

SPEC = """
name: bench
route: /r
protocol: json
unit: header:x-user
segments: [header:x-country, header:x-platform]
champion: {name: v1, url: "http://127.0.0.1:1"}
challengers:
  - {name: v2, url: "http://127.0.0.1:2"}
  - {name: v3, url: "http://127.0.0.1:3"}
alpha: 5%
ranking: {items: $.items, id: $.id}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  latency: {from: response, kind: quantile, q: 0.99, better: lower, guardrail: {margin: 20%}}
  buy: {from: outcome, kind: rate, window: 1h, better: higher, guardrail: {margin: 1pp}}
  money: {from: outcome, kind: mean, window: 1h, better: higher, goal: true, covariate: money}
  visits: {from: outcome, kind: count, window: 1h, better: higher, guardrail: {margin: 5%}}
  spend: {from: outcome, outcome: money, kind: ratio, per: visits, window: 1h, better: higher, guardrail: {margin: 5%}}
  basket: {from: outcome, outcome: money, kind: quantile, q: 0.5, window: 1h, better: higher, guardrail: {margin: 5%}}
stages:
  - shadow: {mirror: 100%, noise: 5%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}
  - canary: {steps: [10%, 30%]}
  - interleave: {weight: 30%, method: team-draft, credit: click, until: {decided: true, at_most: 3d}}
"""
"""Every kind that an engine is asked: rates, means with a covariate, counts, ratios, quantiles, signed differences."""

ROLLOUT = parse(SPEC)
STAGES = ("shadow", "canary", "interleave")
BLOCK = 20
CHUNK = 2_000_000

CANARY_EXPOSED, CANARY_OUTCOMES = 8, 5


def position(stage: int) -> Position:
    """Where the rollout stands in a stage's look: at its last step."""
    since = START + stage * LENGTH
    return Position(phase=Phase.RUNNING, stage=stage, step=int(stage == 1), stage_since=since, step_since=since)


def moment(stage: int) -> float:
    """When a stage is looked at: its last windows are open still."""
    return START + (stage + 1) * LENGTH + 600.0


_FACTS = """
CREATE OR REPLACE TEMP TABLE facts AS
SELECT i, i % {block} AS slot, i - i % {block} AS block, i / {total}.0 AS part,
    hash(i // 2 * 2 + 11) % {units} AS drawn FROM range({low}, {high}) AS t(i)"""

# A slot's fact belongs to the request of an earlier slot in its block: `of` is that request.
_OF = "CASE slot WHEN 2 THEN i - 2 WHEN 3 THEN i - 2 WHEN 5 THEN i - 1 WHEN 6 THEN i - 2 ELSE i END"
_UNIT = "'user-' || (hash({of} + 11) % {{units}})"
_BUCKET = "(hash('arm' || (hash({of} + 11) % {{units}})) % 10000) / 10000.0"
_DECISION = "printf('%08x-', CAST({of} AS BIGINT)) || md5(({of})::VARCHAR)[1:27]"
_AT = "({start} + {stage} * {length} + ({of}) / {{total}}.0 * {length})"


def _of(what: str, of: str, stage: int = 0) -> str:
    return what.format(of=of, start=repr(START), length=repr(LENGTH), stage=stage)


def _exposed(slots: str, stage: int, mode: str, weight: str, arm: str) -> str:
    at = _of(_AT, "i", stage)
    return f"""
SELECT 'bench' AS rollout, '{{revision}}' AS revision, {_of(_DECISION, "i")} AS decision_id, {at} AS "at",
    {_of(_UNIT, "i")} AS unit, {arm} AS arm, arm AS served_by, '{mode}' AS mode, {stage} AS stage,
    {"CAST(part >= 0.5 AS BIGINT)" if mode == "canary" else "0"} AS step, {weight} AS weight, 200 AS status,
    hash(i + 5) % 200 < CASE arm WHEN 'v3' THEN 2 ELSE 1 END AS failed,
    5.0 + hash(i + 1) % 100000 / 1000.0 + CASE arm WHEN 'v3' THEN 4.0 ELSE 0.0 END AS latency_ms,
    latency_ms + 0.3 AS total_ms, 400 + hash(i + 2) % 4000 AS size,
    ['c' || (hash(unit) % 5), ['ios', 'web', 'android'][CAST(1 + hash(unit || 'p') % 3 AS BIGINT)]] AS segments
FROM (SELECT *, {_of(_BUCKET, "i")} AS bucket FROM facts) WHERE slot IN ({slots})"""


_ARM = "CASE WHEN bucket < {w} THEN 'v2' WHEN bucket < 2 * {w} THEN 'v3' ELSE 'v1' END"
_STEP = "(CASE WHEN part >= 0.5 THEN 0.3 ELSE 0.1 END)"

_COMPARED = f"""
SELECT 'bench' AS rollout, '{{revision}}' AS revision, {_of(_DECISION, "i - 2")} AS decision_id,
    {_of(_AT, "i - 2")} AS "at", {_of(_UNIT, "i - 2")} AS unit, a AS arm, 0 AS stage,
    hash(i + 21) % 500 = 0 AS champion_failed, hash(a || i) % 300 = 0 AS challenger_failed, '' AS reason,
    hash(a || (i + 1)) % 100 < CASE a WHEN 'v3' THEN 7 ELSE 3 END AS differs,
    CASE WHEN hash(i + 22) % 20 = 0 THEN hash(i + 23) % 100 < 2 END AS noise_differs,
    5.0 + hash(i + 24) % 100000 / 1000.0 AS champion_ms, 5.5 + hash(a || (i + 2)) % 100000 / 1000.0 AS challenger_ms,
    [hash(i + 25) % 1000 / 8.0] AS champion_numbers, [hash(a || (i + 3)) % 1000 / 8.0] AS challenger_numbers,
    ['c' || (hash({_of(_UNIT, "i - 2")}) % 5), 'web'] AS segments
FROM facts, (VALUES ('v2'), ('v3')) AS arms(a) WHERE slot = 2"""

_SHOWN = f"""
SELECT 'bench' AS rollout, '{{revision}}' AS revision, {_of(_DECISION, "i - 1")} AS decision_id,
    {_of(_AT, "i - 1", 2)} AS "at", {_of(_UNIT, "i - 1")} AS unit, 2 AS stage, 'team-draft' AS method,
    ['a', 'b', 'c', 'd'] AS items, [b, 'v1', b, ''] AS owners, b AS arm
FROM (SELECT *, CASE WHEN {_of(_BUCKET, "i - 1")} < 0.3 THEN 'v2' ELSE 'v3' END AS b FROM facts
      WHERE slot = 5 AND {_of(_BUCKET, "i - 1")} < 0.6)"""


def _outcome(
    slot: str, of: str, name: str, value: str, *, stage: int = 1, later: str = "20.0", by_unit: bool = False
) -> str:
    """`later`: seconds after the request; it is received ten after that, and one in fifty much later."""
    decision = "''" if by_unit else f"CASE WHEN hash(i + 31) % 100 = 0 THEN 'lost-' || i ELSE {_of(_DECISION, of)} END"
    at = f"({_of(_AT, of, stage)} + {later})"
    return f"""
SELECT 'o' || i AS outcome_id, {"'bench'" if by_unit else "''"} AS rollout, {decision} AS decision_id,
    {_of(_UNIT, of) if by_unit else "''"} AS unit, '{name}' AS name, {value} AS value, {at} AS "at",
    "at" + CASE WHEN hash(i + 32) % 50 = 0 THEN 9000.0 ELSE 1.5 END AS received_at,
    {"['a', 'b', 'c', 'd'][CAST(1 + hash(i + 33) % 4 AS BIGINT)]" if name == "click" else "''"} AS item
FROM facts WHERE slot = {slot}"""


_MONEY = "0.01 + hash(i + 3) % 250000 / 100.0"
# Every second block's money by decision is corrected, and every eighth correction is corrected in its turn.
_CORRECTED = f"""
SELECT 'o' || i AS outcome_id, '' AS rollout,
    CASE WHEN hash(i - 3 + 31) % 100 = 0 THEN 'lost-' || (i - 3) ELSE {_of(_DECISION, "i - 11")} END AS decision_id,
    '' AS unit, 'money' AS name, {_MONEY} AS value, {_of(_AT, "i - 11", 1)} + 60.0 AS "at", "at" + 40.0 AS received_at,
    'o' || (i - 3) AS corrects
FROM facts WHERE slot = 19 AND block // {BLOCK} % 2 = 0"""
_AGAIN = f"""
SELECT 'again' || outcome_id AS outcome_id, rollout, decision_id, unit, name, value / 3.0 AS value, "at",
    received_at + 30.0 AS received_at, outcome_id AS corrects
FROM ({_CORRECTED} AND block // {BLOCK} % 16 = 0)"""
_BEFORE = f"""
SELECT 'o' || i AS outcome_id, 'bench' AS rollout, '' AS decision_id, {_of(_UNIT, "i - 10")} AS unit, 'money' AS name,
    {_MONEY} AS value, {START + LENGTH - 5000.0!r} AS "at", "at" + 2.0 AS received_at
FROM facts WHERE slot = 19 AND block // {BLOCK} % 2 = 1"""

_ALL = (
    ("exposed", _exposed("0, 1", 0, "shadow", "0.0", "'v1'")),
    ("exposed", _exposed("4", 2, "interleave", "0.3", _ARM.format(w="0.3"))),
    ("exposed", _exposed("7, 8, 9, 10, 11, 12, 13, 14", 1, "canary", _STEP, _ARM.format(w=_STEP))),
    ("compared", _COMPARED),
    ("shown", _SHOWN),
    ("outcome", _outcome("6", "i - 2", "click", "1.0", stage=2, later="1.0")),
    ("outcome", _outcome("15", "i - 8", "buy", "1.0")),
    ("outcome", _outcome("16", "i - 8", "money", _MONEY)),
    ("outcome", _outcome("17", "i - 8", "money", _MONEY, by_unit=True)),
    ("outcome", _outcome("18", "i - 8", "visits", "1.0 + hash(i + 34) % 3", by_unit=True, later="hash(i + 35) % 7200")),
    ("outcome", _CORRECTED),
    ("outcome", _AGAIN),
    ("outcome", _BEFORE),
)


def fill(data: Path, total: int) -> None:
    """A lake with about so many facts: a unit has ten."""
    connection = duckdb.connect(config={"threads": 2})
    for low in range(0, total, CHUNK):
        given = {"low": low, "high": min(low + CHUNK, total), "units": max(total // 10, 1), "block": BLOCK}
        connection.execute(_FACTS.format(**given, total=total))
        rows: dict[str, list[str]] = {}
        for kind, sql in _ALL:
            rows.setdefault(kind, []).append(sql.format(**given, total=total, revision=ROLLOUT.revision))
        for kind, parts in rows.items():
            union = " UNION ALL BY NAME ".join(f"({part})" for part in parts)
            write_deltalake(
                data / "lake" / kind,
                whole(kind, connection.sql(f'SELECT * FROM ({union}) ORDER BY "at"').to_arrow_table()),
                mode="append",
                writer_properties=WriterProperties(compression="ZSTD", compression_level=1),
            )
    connection.close()
