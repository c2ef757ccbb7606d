"""A real Prometheus scrapes a real `crossfade serve`, has the rules, and answers the dashboard's questions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from servers.kit import ports

from .test_dashboard import questions
from .test_rules import ALERTS, FILE

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]

SPEC = """
name: ranker
route: /rank
protocol: json
unit: header:x-user-id
champion:   {{name: v1, url: "http://127.0.0.1:{port}"}}
challenger: {{name: v2, url: "http://127.0.0.1:{port}"}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 5pp}}}}
  latency:  {{from: response, kind: quantile, q: 0.9, better: lower, guardrail: {{margin: 100%}}}}
  purchase: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
stages:
  - canary: {{steps: [50%], hold_for: 1h}}
"""


class Model(BaseHTTPRequestHandler):
    """Answers everything with the same."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Prometheus:
    """A server with our rules."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **asked: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(asked)}", timeout=30) as reply:
            return json.loads(reply.read())["data"]

    def firing(self) -> set[str]:
        return {one["labels"]["alertname"] for one in self.get("/api/v1/alerts")["alerts"] if one["state"] == "firing"}

    def ask(self, expr: str) -> list[Any]:
        found: list[Any] = self.get("/api/v1/query", query=expr)["result"]
        return found


def until(true: Callable[[], Any], what: str, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (OSError, urllib.error.URLError):
            pass
        assert time.monotonic() < end, what
        time.sleep(0.5)


@contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as err:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, cwd=log.parent)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGCONT)
        running.terminate()
        running.communicate(timeout=60)


@contextmanager
def prometheus(where: Path, target: str) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("REAL SERVER MISSING: prometheus is not installed; `make test-servers` installs it")
    (port,) = ports(1)
    shutil.copy(FILE, where / "crossfade.rules.yml")
    (where / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [crossfade.rules.yml]\n"
        f"scrape_configs: [{{job_name: crossfade, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    command = [program, f"--config.file={where / 'prometheus.yml'}", f"--storage.tsdb.path={where / 'tsdb'}"]
    with process([*command, f"--web.listen-address=127.0.0.1:{port}"], where / "prometheus.log"):
        there = Prometheus(f"http://127.0.0.1:{port}")
        until(
            lambda: [one["health"] for one in there.get("/api/v1/targets")["activeTargets"]] == ["up"], "it is not up"
        )
        yield there


@pytest.fixture
def model() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def test_a_killed_controller_fires_its_alert_and_questions_have_answers(model: int, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.format(port=model))
    command = [sys.executable, "-m", "crossfade.cli.main", "serve", "spec.yaml", "--data", "data", "--json"]
    command += ["--port", "0", "--control-port", "0", "--tick", "0.5", "--workers", "1"]
    with process(command, tmp_path / "serve.log") as serve:
        assert serve.stdout is not None
        said = json.loads(serve.stdout.readline())
        assert "control" in said, said
        with prometheus(tmp_path, said["control"].partition("//")[2]) as there:
            groups = there.get("/api/v1/rules")["groups"]
            assert sum(len(group["rules"]) for group in groups) == len(ALERTS)
            assert not [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
            until(lambda: there.ask("crossfade_lease_held == 1"), "the gateway holds no lease")

            def asked() -> bool:
                """Again and again: who asks while the lease has run out, as on a slow machine, is not of this stage."""
                for n in range(100):
                    one = urllib.request.Request(f"{said['data']}/rank", b"{}", {"x-user-id": f"u{n}"})
                    with urllib.request.urlopen(one, timeout=60) as reply:
                        assert reply.status == 200
                return bool(there.ask('sum(crossfade_units{rollout="ranker"}) == 100'))

            until(asked, "the units were never scraped")
            answered = [expr for expr in questions() if there.ask(expr)]
            for wanted in ("crossfade_phase", "crossfade_exposure", "crossfade_verdict", "crossfade_arm_seconds_bucket",
                           "crossfade_requests_total", "crossfade_evidence_limit", "crossfade_disk_bytes",
                           "crossfade_part_ready", "crossfade_journal_facts", "crossfade_lease_held"):  # fmt: skip
                assert any(wanted in expr for expr in answered), f"no question about {wanted} has an answer"
            assert len(answered) > 20, answered
            until(lambda: not there.firing(), "something fires although all is well", 300.0)
            pids = json.loads((tmp_path / "data" / "run" / "serve.json").read_text())["pids"]
            # The supervisor would start another at once.
            serve.send_signal(signal.SIGSTOP)
            os.kill(pids["controller"], signal.SIGKILL)
            until(lambda: {"CrossfadeControllerSilent", "CrossfadeLeaseLost"} <= there.firing(), "nobody was told")
            serve.send_signal(signal.SIGCONT)
            until(lambda: not there.firing(), "it fires still")
            serve.send_signal(signal.SIGSTOP)
            os.kill(next(pid for name, pid in pids.items() if name.startswith("gateway")), signal.SIGKILL)
            until(lambda: "CrossfadeGatewayDown" in there.firing(), "nobody was told of the gateway")
