"""What /metrics says of Crossfade's own parts."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from crossfade.console import part_numbers
from crossfade.facts import Fault
from crossfade.rim import figures
from crossfade.rim.journal import Journal
from crossfade.rim.store import Store

Numbers = dict[tuple[str, tuple[str, ...]], float]


async def numbers(client: httpx.AsyncClient) -> Numbers:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    found: Numbers = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.values()))
            assert key not in found, f"{key} is there twice, which Prometheus refuses"
            found[key] = sample.value
    return found


async def test_parts_are_told_as_readyz_tells_them(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    before = await numbers(client)
    assert before["crossfade_part_ready", ("store",)] == 1.0
    assert before["crossfade_part_ready", ("gateways",)] == 0.0, "nobody knows which should run"
    (data / "run" / "serve.json").write_text(json.dumps({"pids": {"controller": os.getpid()}}))
    store.beat()
    after = await numbers(client)
    assert after["crossfade_part_ready", ("controller",)] == 1.0
    assert ("crossfade_part_ready", ("gateways",)) not in after, "none was started, so none is missing"


async def test_the_disk_and_facts_on_their_way(client: httpx.AsyncClient, data: Path) -> None:
    journal = Journal(data, "gateway-0")
    journal.append([Fault(at=1.0, worker="gateway-0", rollout="", what="tail", detail="")] * 7)
    journal.close()
    figures.write(figures.path(data, "gateway-0"), b'{"worker": "gateway-0"}')
    told = await numbers(client)
    usage = shutil.disk_usage(data)
    assert told["crossfade_disk_bytes", ("size",)] == usage.total
    assert 0 < told["crossfade_disk_bytes", ("free",)] <= usage.total
    assert told["crossfade_journal_facts", ("gateway-0",)] == 7
    assert 0 <= told["crossfade_figures_age_seconds", ("gateway-0",)] < 60


async def test_a_ledger_that_was_changed_is_told(
    client: httpx.AsyncClient, store: Store, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await numbers(client))["crossfade_ledger_intact", ("ranker-v2",)] == 1.0
    with sqlite3.connect(data / "state.db") as changed:
        changed.execute("UPDATE ledger SET entry = replace(entry, 'release 41', 'release 42')")
    monkeypatch.setattr(part_numbers, "LOOK_AGAIN", 0.0)
    assert (await numbers(client))["crossfade_ledger_intact", ("ranker-v2",)] == 0.0
