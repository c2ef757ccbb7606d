"""A data folder as a busy team leaves it: fifty rollouts with ledgers and evidence, and a lake of millions of facts."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import duckdb
from deltalake import WriterProperties, write_deltalake

from benchmarks.facts_made import CHUNK, fill, whole
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move
from crossfade.view import ArmCounts, Exposure, Harm, Progress, view

ROLLOUTS = 50
SHADOWED = "ranker-00"
"""The rollout whose mirrored requests are in the lake."""

SPEC = """\
name: {name}
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
segments: [header:x-country, "json:$.platform"]
champion:   {{name: v1, url: "http://127.0.0.1:8101"}}
challenger: {{name: v2, url: "http://127.0.0.1:8102"}}
ranking: {{items: $.items, id: $.id}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  latency:  {{from: response, kind: quantile, q: 0.99, better: lower, guardrail: {{margin: 20%}}}}
  purchase: {{from: outcome, kind: rate, window: 24h, better: higher, goal: true}}
  revenue:  {{from: outcome, kind: mean, window: 24h, better: higher, guardrail: {{margin: 2%}}}}
stages:
  - shadow:     {{mirror: 100%, noise: 5%, until: {{requests: 5000}}, gates: {{disagreement: {{at_most: 5%}}}}}}
  - canary:     {{steps: [1%, 5%, 20%], hold_for: 10m}}
  - interleave: {{weight: 30%, method: team-draft, credit: click, until: {{decided: true, at_most: 3d}}}}
  - ab:         {{weight: 50%, until: {{decided: true, at_most: 14d}}}}
  - promote:    {{holdback: 2%, watch: 30d}}
"""

# Ten fields, of which each differs now and then; one pair in twenty has a second answer of the champion.
_COMPARED = """
SELECT '{name}' AS rollout, '{revision}' AS revision, 'd' || i AS decision_id, {start} + i / 100.0 AS "at",
    'user-' || (hash(i) % 100000) AS unit, 'v2' AS arm, 0 AS stage, false AS champion_failed,
    hash(i + 2) % 500 = 0 AS challenger_failed, CASE WHEN challenger_failed THEN 'timeout' ELSE '' END AS reason,
    hash(i + 1) % 30 = 0 AND NOT challenger_failed AS differs,
    CASE WHEN i % 20 = 0 THEN hash(i + 3) % 100 = 0 END AS noise_differs,
    10.0 + hash(i + 4) % 100 / 10.0 AS champion_ms, 10.0 + hash(i + 5) % 100 / 10.0 AS challenger_ms,
    CASE WHEN differs THEN ['$.items[*].score', '$.field_' || (hash(i + 6) % 10)] ELSE [] END AS fields,
    CASE WHEN differs THEN ['value', ['value', 'order', 'missing'][CAST(1 + hash(i + 7) % 3 AS BIGINT)]] ELSE [] END
        AS kinds,
    CASE WHEN noise_differs THEN ['$.items[*].score'] ELSE [] END AS noise_fields, 40 AS among,
    [['de', 'fr', 'us'][CAST(1 + hash(i + 8) % 3 AS BIGINT)], ['ios', 'web'][CAST(1 + hash(i + 9) % 2 AS BIGINT)]]
        AS segments,
    CASE WHEN differs THEN [0.05, 0.2] ELSE [] END AS sizes
FROM range({low}, {high}) AS facts(i)"""


def make(data: Path, facts: int) -> None:
    """Everything, in an empty folder: four fifths of the facts are exposures and outcomes, one fifth mirrored."""
    revision = rollouts(data)
    served = facts * 4 // 5
    fill(data, 0, served, served)
    mirrored(data, revision, facts - served)


def mirrored(data: Path, revision: str, count: int) -> None:
    """Mirrored requests of the first rollout."""
    connection = duckdb.connect(config={"threads": 2})
    for low in range(0, count, CHUNK):
        high = min(low + CHUNK, count)
        given = {"name": SHADOWED, "revision": revision, "start": time.time() - 1e6, "low": low, "high": high}
        rows = connection.sql(_COMPARED.format(**given)).to_arrow_table()
        write_deltalake(
            data / "lake" / "compared",
            whole("compared", rows),
            mode="append",
            writer_properties=WriterProperties(compression="ZSTD", compression_level=1),
        )
    connection.close()


def rollouts(data: Path, count: int = ROLLOUTS) -> str:
    """The rollouts alone, each with some thirty entries; the revision of the first."""
    store, rng, now = Store(data), random.Random(7), time.time()
    first = ""
    for n in range(count):
        name = f"ranker-{n:02d}"
        text = SPEC.format(name=name)
        first = first or store.add(text, parse(text), now - 1e6).revision
        store.add(text, parse(text), now - 1e6)
        at = now - 9e5
        store.act(name, Move.START, actor="ana", rule="manual", sentence="Started by ana: release 41", at=at)
        for _ in range(n % 5):
            at += 3600.0
            said = "Cleared: every guardrail is within its limit."
            store.act(name, Move.ADVANCE, actor="rule", rule="cleared", sentence=said, evidence=_json(rng), at=at)
        for k in range(12):
            at += 3600.0
            hold, back = ("Held: purchase has no outcome.", "Goes on: purchase is measured again.")
            store.act(name, Move.HOLD, actor="rule", rule="unmeasured", sentence=hold, evidence=_json(rng), at=at)
            at += 600.0
            if k == 11 and n % 7 == 3:
                harm = "Rolled back: errors is 3.1 pp worse."
                store.act(name, Move.ROLLBACK, actor="rule", rule="harm", sentence=harm, evidence=_json(rng), at=at)
            else:
                store.act(name, Move.RESUME, actor="rule", rule="unmeasured", sentence=back, evidence=_json(rng), at=at)
        save(store, name, rng)
    store.close()
    return first


def save(store: Store, name: str, rng: random.Random) -> None:
    """What the controller saves at each of its looks."""
    stored, entries = store.get(name), store.entries(name)
    lines = [
        *_lines(rng, None),
        *(line for value in ("de", "fr", "us") for line in _lines(rng, f"header:x-country={value}")),
    ]
    units = {"v1": rng.randrange(80_000, 90_000), "v2": rng.randrange(1000, 9000)}
    arms = {arm: ArmCounts(requests=n * 7, failures=n // 90, share=0.5) for arm, n in units.items()}
    record = view(
        stored.rollout,
        stored.position,
        lines,
        None,
        entries,
        now=time.time(),
        exposure=Exposure(actual=0.05, units=units),
        arms=arms,
        harm=Harm(units=units["v2"]),
        progress=Progress(requests=10**6, mirrored=10**5, dropped=3, missing_units=12, lease_held=True),
    )
    store.save_view(name, record)


def _json(rng: random.Random) -> list[dict[str, object]]:
    return [json.loads(json.dumps(line.to_json())) for line in _lines(rng, None)]


def _lines(rng: random.Random, segment: str | None) -> list[Evidence]:
    units = {"v1": rng.randrange(8000, 9000), "v2": rng.randrange(400, 900)}
    return [
        Evidence(
            metric=metric,
            kind=kind,
            arm="v2",
            baseline="v1",
            stage="canary",
            step=1,
            segment=segment,
            units=units,
            estimate=rng.gauss(0.0, 0.01),
            lower=-0.03,
            upper=0.03,
            confidence=0.95,
            e_value=rng.random() * 3,
            e_value_safe=rng.random() * 9,
            limit=0.005,
            verdict=rng.choice([Verdict.UNDECIDED, Verdict.SAFE]),
            role=role,
            values={"v1": 0.012, "v2": 0.013},
            events={"v1": 100, "v2": 6},
        )
        for metric, kind, role in (
            ("errors", "rate", "guardrail"),
            ("latency", "quantile", "guardrail"),
            ("purchase", "rate", "goal"),
            ("revenue", "mean", "guardrail"),
        )
    ]
