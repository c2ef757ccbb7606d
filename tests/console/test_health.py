"""Whether the control port tells the truth about itself and the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from crossfade.console import health
from crossfade.rim import figures
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move
from view.sample import ROLLOUT, SPEC


async def ready(client: httpx.AsyncClient) -> tuple[int, dict[str, bool]]:
    answer = await client.get("/readyz")
    return answer.status_code, {name: check["ok"] for name, check in answer.json()["checks"].items()}


def started(data: Path, pid: int) -> None:
    (data / "run" / "serve.json").write_text(json.dumps({"pids": {"gateway-0": pid, "controller": 1}}))
    figures.write(figures.path(data, "gateway-0"), b"{}")


async def test_ready_only_once_the_heart_was_seen_to_beat_and_the_gateways_live(
    client: httpx.AsyncClient, store: Store, data: Path
) -> None:
    assert await ready(client) == (503, {"store": True, "controller": False, "gateways": False})
    started(data, os.getpid())
    store.beat()
    assert await ready(client) == (200, {"store": True, "controller": True, "gateways": True})


async def test_where_hosts_share_the_store_a_console_needs_no_gateway_of_its_own(
    client: httpx.AsyncClient, store: Store, data: Path, monkeypatch
) -> None:
    (data / "run" / "serve.json").write_text(json.dumps({"pids": {"console": os.getpid(), "shipper": 1}}))
    assert (await ready(client))[1]["gateways"] is False
    monkeypatch.setenv("CROSSFADE_STORE", "postgresql://db/crossfade")
    assert (await ready(client))[1]["gateways"] is True
    (data / "run" / "serve.json").write_text(json.dumps({"pids": {"host-gateway-0": None}}))
    answer = (await client.get("/readyz")).json()
    assert answer["checks"]["gateways"] == {"ok": False, "reason": "not running: host-gateway-0"}


async def test_a_dead_gateway_is_named(client: httpx.AsyncClient, data: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    started(data, gone.pid)
    answer = (await client.get("/readyz")).json()
    assert answer["checks"]["gateways"] == {"ok": False, "reason": "not running: gateway-0"}


def test_a_heart_that_stops_is_noticed_by_our_own_clock(store: Store, monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(health.time, "monotonic", lambda: now)
    pulse = health.Pulse(store)
    pulse.look()
    store.beat()
    assert pulse.look()["ok"]
    now += ROLLOUT.lease - 0.5
    assert pulse.look()["ok"]
    now += 1.0
    told = pulse.look()
    assert not told["ok"]
    assert f"silent for {ROLLOUT.lease + 0.5} s, longer than the lease of {ROLLOUT.lease:g} s" in told["reason"]


def test_silence_is_judged_by_the_shortest_lease_of_what_is_under_way(store: Store, monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(health.time, "monotonic", lambda: now)
    pulse = health.Pulse(store)
    text = (
        SPEC.replace("name: ranker-v2", "name: hasty", 1).replace("route: /v2", "route: /hasty/v2", 1) + "\nlease: 2s\n"
    )
    store.add(text, parse(text), 1.0)
    pulse.look()
    store.beat()
    assert pulse.look()["ok"]
    now += 3.0
    assert pulse.look()["ok"], "a pending rollout exposes nobody"
    store.act("hasty", Move.START, actor="ana", rule="manual", sentence="So.", at=2.0)
    assert "lease of 2 s" in pulse.look()["reason"]
    store.act("hasty", Move.ROLLBACK, actor="ana", rule="manual", sentence="So.", at=3.0)
    assert pulse.look()["ok"]


async def test_a_gateway_that_hangs_is_not_ready(client: httpx.AsyncClient, store: Store, data: Path) -> None:
    started(data, os.getpid())
    assert (await client.get("/readyz")).json()["checks"]["gateways"]["ok"]
    left = figures.path(data, "gateway-0")
    then = time.time() - 30.0
    os.utime(left, (then, then))
    told = (await client.get("/readyz")).json()["checks"]["gateways"]
    assert not told["ok"]
    assert "gateway-0 has not been heard for 30 s" in told["reason"]
    left.unlink()
    assert "has not been heard yet" in (await client.get("/readyz")).json()["checks"]["gateways"]["reason"]


async def test_metrics_say_what_the_page_says(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/outcomes", json=[{"decision_id": "d", "name": "click"}, {}])
    text = (await client.get("/metrics")).text
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["crossfade_outcomes_total", (("result", "accepted"),)] == 1
    assert found["crossfade_outcomes_total", (("result", "rejected"),)] == 1
    assert found["crossfade_exposure", (("rollout", "ranker-v2"), ("which", "planned"))] == 0.05
    line = (("arm", "v2"), ("metric", "errors"), ("rollout", "ranker-v2"), ("stage", "canary"))
    assert found["crossfade_evidence_limit", line] == 0.005
    assert ("crossfade_evidence_upper", line) not in found
    assert found["crossfade_verdict", (*line, ("verdict", "undecided"))] == 1


def test_as_a_process_it_serves_and_stops_when_asked(
    running: tuple[str, subprocess.Popen[bytes]], data: Path, store: Store
) -> None:
    url, process = running
    answer = httpx.post(f"{url}/api/v1/outcomes", json=[{"outcome_id": "a", "decision_id": "d", "name": "click"}])
    assert answer.json()["accepted"] == 1
    auth = {"authorization": "Bearer open-sesame"}
    assert httpx.post(f"{url}/api/v1/rollouts/ranker-v2/hold", json={"reason": "x"}, headers=auth).status_code == 200
    assert store.get("ranker-v2").position.phase == "held"
    deadline = time.monotonic() + 20.0
    while httpx.get(f"{url}/readyz").status_code != 200:
        started(data, os.getpid())
        store.beat()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) in (0, -signal.SIGTERM)
