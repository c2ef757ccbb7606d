"""Servers and clients as processes of their own environments, and a gateway in front of them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "build" / "servers"
PROGRAMS = HERE / "programs"

SPEC = """
name: iris
route: {route}
protocol: {protocol}
unit: {unit}
champion:   {{name: v1, url: "{url}"{champion}}}
challenger: {{name: v2, url: "{challenger_url}"{challenger}}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 5pp}}}}
stages:
  - canary:  {{steps: [50%], hold_for: 1h}}
  - promote: {{}}
"""


def python(name: str) -> str:
    """The interpreter of an installed server; skips the test, loudly, where there is none."""
    found = INSTALLED / name / "bin" / "python"
    if not (found.exists() and (found.parents[1] / ".installed").exists()):
        pytest.skip(f"REAL SERVER MISSING: {name} is not in {found.parents[1]}; `make test-servers` installs it")
    return str(found)


def ports(count: int) -> list[int]:
    """Ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    found = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return found


@contextmanager
def running(command: list[str], port: int, path: str, log: Path, **environment: str) -> Iterator[None]:
    """A server process, once it answers `path` with 200."""
    bin_first = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"PATH": bin_first, "OMP_NUM_THREADS": "1", "HOME": str(log.parent)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            cwd=log.parent,
            env=os.environ | quiet | environment,
        )
    try:
        until = time.monotonic() + 120
        while status(port, path) != 200:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{command} did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def status(port: int, path: str) -> int:
    """The status of a GET; 0 when nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def train(interpreter: str, where: Path) -> Path:
    """A tiny model, saved by the environment that will load it."""
    model = where / "model.joblib"
    subprocess.run([interpreter, str(PROGRAMS / "train.py"), str(model)], check=True, cwd=where)
    return model


def client(interpreter: str, program: str, *arguments: str) -> dict[str, Any]:
    """What an official client was told."""
    command = [interpreter, str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


class Gateway:
    """`crossfade serve` over one spec."""

    def __init__(self, data: Path, said: dict[str, str]) -> None:
        self.data = data
        self.url = said["data"]
        self.port = int(self.url.rpartition(":")[2])

    def metric(self, name: str) -> list[str]:
        """The lines of a metric on the control port's /metrics, or rather in the files behind them."""
        from crossfade.rim.metrics_text import read_metrics

        return [line for line in read_metrics(self.data).splitlines() if line.startswith(name)]

    def arms(self, count: int = 1) -> set[str]:
        """The arms that requests were assigned to, once so many requests were recorded."""
        until = time.monotonic() + 20
        while True:
            lines = self.metric("crossfade_requests_total")
            if sum(float(line.rpartition(" ")[2]) for line in lines) >= count or time.monotonic() > until:
                return {arm for arm in ("v1", "v2") for line in lines if f'arm="{arm}"' in line}
            time.sleep(0.2)

    def status(self) -> dict[str, Any]:
        """The rollout as programs read it."""
        command = [sys.executable, "-m", "crossfade.cli.main", "status", "--data", str(self.data), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rollout: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["rollouts"][0]
        return rollout


@contextmanager
def gateway(
    data: Path,
    *,
    url: str,
    route: str,
    protocol: str,
    unit: str = "header:x-user-id",
    names: tuple[str, str] = ("", ""),
    challenger_url: str = "",
) -> Iterator[Gateway]:
    """Both arms behind a gateway; `names` are the models' own where they differ from the public one."""
    own = [f", model: {name}" if name else "" for name in names]
    spec = data / "spec.yaml"
    spec.write_text(
        SPEC.format(
            route=route,
            protocol=protocol,
            unit=unit,
            url=url,
            challenger_url=challenger_url or url,
            champion=own[0],
            challenger=own[1],
        )
    )
    command = [sys.executable, "-m", "crossfade.cli.main", "serve", str(spec), "--data", str(data / "crossfade")]
    command += ["--port", "0", "--control-port", "0", "--tick", "0.5", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert "data" in said, said
        found = Gateway(data / "crossfade", said)
        until = time.monotonic() + 20
        while not any("lease_held" in line and line.endswith(" 1.0") for line in found.metric("crossfade_")):
            assert time.monotonic() < until, "the gateway holds no lease"
            time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        process.communicate(timeout=30)
