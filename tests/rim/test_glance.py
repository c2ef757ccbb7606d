"""What gateways read of the store: the same as the store says, without what makes the store slow to import."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.rim import parsed
from crossfade.rim.glance import FILE, Glance
from crossfade.rim.parsed import packed, unpacked
from crossfade.rim.store import Store, StoreError
from crossfade.spec.model import STAGE_NAMES, Ab, Canary, Interleave, Protocol, Stage
from crossfade.spec.parse import parse
from crossfade.spec.template import template
from crossfade.state import Move

SPEC = """
name: {name}
route: /v1/{name}
protocol: json
unit: json:$.user.id
segments: [header:x-country]
champion: {{name: v1, url: "http://127.0.0.1:1", timeout: 2s}}
challengers:
  - {{name: v2, url: "http://127.0.0.1:2", model: m2, probe: {{path: /healthz, every: 2s}}}}
  - {{name: v3, url: "http://127.0.0.1:3"}}
ranking: {{items: $.items, id: $.id}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  latency:  {{from: response, kind: quantile, q: 0.99, better: lower, guardrail: {{margin: 20%}}}}
  purchase: {{from: outcome, kind: rate, window: 24h, better: higher, goal: true}}
stages:
  - shadow: {{mirror: 50%, noise: 5%, until: {{requests: 50}}, gates: {{disagreement: {{at_most: 5%}}}}}}
  - canary: {{steps: [1%, 5%], budget: {{purchase: 50}}, hold_for: 10m}}
  - ab:     {{weight: 20%, until: {{decided: true, at_most: 3d}}}}
"""
IMPORTED = """
import sys
sys.argv = ["worker", "gateway", "--data", sys.argv[1], "--fd", sys.argv[2]]
import threading, os, signal, time
def end():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end).start()
from crossfade.rim.worker import main
main()
heavy = ("sqlalchemy", "pydantic", "yaml", "numpy", "prometheus_client", "opentelemetry")
print(" ".join(name for name in heavy if name in sys.modules))
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path)
    for name in ("a", "b"):
        text = SPEC.format(name=name)
        found.add(text, parse(text), time.time())
    found.act("b", Move.START, actor="ana", rule="manual", sentence="So.", at=time.time())
    return found


def test_it_sees_what_the_store_says(store: Store) -> None:
    glance = Glance(store.data / FILE)
    seen = [(one.rollout, one.position) for one in glance.rollouts()]
    assert seen == [(one.rollout, one.position) for one in store.rollouts()]
    assert seen[0][0] == parse(SPEC.format(name="a"))
    before = (glance.version(), glance.heartbeat())
    store.beat()
    store.act("b", Move.HOLD, actor="ana", rule="manual", sentence="So.", at=time.time())
    assert (glance.version(), glance.heartbeat()) == (before[0] + 1, before[1] + 1)
    assert str(glance.rollouts()[1].position.phase) == "held"


def test_a_store_without_records_or_with_foreign_ones_is_read_by_its_texts(store: Store) -> None:
    wanted = [one.rollout for one in store.rollouts()]
    for change in ("UPDATE parsed SET record = x'93a0'", "UPDATE parsed SET record = x''", "DELETE FROM parsed"):
        with sqlite3.connect(store.data / FILE) as connection:
            connection.execute(change)
        assert [one.rollout for one in Glance(store.data / FILE).rollouts()] == wanted


def test_a_record_of_another_version_or_revision_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = parse(SPEC.format(name="a"))
    record = packed(rollout)
    assert unpacked(record, rollout.revision) == rollout
    assert unpacked(record, "another") is None
    assert unpacked(record[:-1], rollout.revision) is None
    monkeypatch.setattr(parsed, "SHAPE", "of another version")
    assert unpacked(record, rollout.revision) is None


@pytest.mark.parametrize("protocol", list(Protocol))
def test_whatever_the_template_shows_can_be_handed_over(protocol: Protocol) -> None:
    rollout = parse(template(protocol=protocol))
    assert unpacked(packed(rollout), rollout.revision) == rollout


def test_stages_of_every_kind_are_handed_over() -> None:
    stages = tuple(Canary(steps=(0.1,)) if kind is Canary else _plain(kind) for kind in STAGE_NAMES)
    rollout = replace(parse(SPEC.format(name="a")), stages=stages)
    assert unpacked(packed(rollout), rollout.revision) == rollout


def _plain(kind: type) -> Stage:
    return kind(weight=0.5) if kind in (Interleave, Ab) else kind()


def test_looking_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        Glance(tmp_path / FILE).version()
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_process_loads_nothing_that_only_others_need(store: Store) -> None:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        command = [sys.executable, "-c", IMPORTED, str(store.data), str(sock.fileno())]
        done = subprocess.run(command, pass_fds=[sock.fileno()], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
