"""What orchestrators hear: of the health port, of `crossfade.rim.healthy`, and through systemd's socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim import figures
from crossfade.rim.healthy import why_not
from crossfade.rim.probes import HealthPort, own_checks
from crossfade.rim.processes import Child
from crossfade.rim.service_manager import ServiceManager
from rim.drivers.test_cluster import certificate as make_certificate
from view.sample import SPEC


def ask(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def test_alive_and_ready_are_two_things(tmp_path: Path) -> None:
    alive, ok = True, False
    port = HealthPort(
        "127.0.0.1", 0, alive=lambda: alive, checks=lambda: {"a": {"ok": ok, "reason": "why"}}, data=tmp_path
    )
    try:
        assert ask(port.port, "/healthz") == (200, b'{"status": "alive"}')
        status, said = ask(port.port, "/readyz?verbose")
        assert (status, json.loads(said)) == (503, {"ready": False, "checks": {"a": {"ok": False, "reason": "why"}}})
        ok, alive = True, False
        assert ask(port.port, "/readyz")[0] == 200
        assert ask(port.port, "/healthz")[0] == 503
        assert ask(port.port, "/metrics")[0] == 200
        status, said = ask(port.port, "/api/v1/rollouts")
        assert status == 404
        assert "/readyz" in json.loads(said)["what_to_do"]
    finally:
        port.close()
    with pytest.raises(urllib.error.URLError):
        ask(port.port, "/healthz")


def test_what_has_died_or_is_not_heard_is_named(tmp_path: Path) -> None:
    assert not own_checks(tmp_path, [])["processes"]["ok"]
    (tmp_path / "run").mkdir()
    child = Child("host-gateway-0", [sys.executable, "-c", "import time; time.sleep(600)"])
    child.start()
    try:
        assert not own_checks(tmp_path, [child])["gateways"]["ok"]
        figures.write(figures.path(tmp_path, child.name), b"{}")
        assert all(check["ok"] for check in own_checks(tmp_path, [child]).values())
    finally:
        assert child.process is not None
        child.process.kill()
        child.process.wait()
    assert own_checks(tmp_path, [child])["processes"]["reason"] == "not running: host-gateway-0"


def test_systemd_is_told_and_its_children_cannot_speak_for_it(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    told = ServiceManager.found()
    assert "NOTIFY_SOCKET" not in os.environ
    assert told.every == 1.0
    told.tell("READY=1")
    told.alive()
    told.alive()
    assert [manager.recv(99), manager.recv(99)] == [b"READY=1", b"WATCHDOG=1"]
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(99)


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    told = ServiceManager.found()
    told.tell("READY=1")
    assert told.every == 0.0


def test_nothing_serves_a_folder_that_does_not_say_so(tmp_path: Path) -> None:
    assert "nothing serves" in why_not(tmp_path)
    (tmp_path / "run").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = {"data_url": f"http://127.0.0.1:{free.getsockname()[1]}", "control_url": None}
        (tmp_path / "run" / "serve.json").write_text(json.dumps(told))
        assert "does not answer" in why_not(tmp_path)
        free.listen()
        assert why_not(tmp_path) == ""


def test_a_control_port_that_speaks_tls_is_alive_and_no_proxy_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path, "here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    (tmp_path / "run").mkdir()
    state = tmp_path / "run" / "serve.json"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def meet() -> None:
            with contextlib.suppress(OSError), context.wrap_socket(listening.accept()[0], server_side=True) as client:
                client.recv(1)

        thread = threading.Thread(target=meet)
        thread.start()
        state.write_text(json.dumps({"control_url": f"https://127.0.0.1:{listening.getsockname()[1]}"}))
        assert why_not(tmp_path) == ""
        thread.join(30)
    assert "does not answer" in why_not(tmp_path)
    port = HealthPort("::1", 0, alive=lambda: True, checks=dict, data=tmp_path)
    state.write_text(json.dumps({"health_url": f"http://[::1]:{port.port}"}))
    try:
        assert why_not(tmp_path) == ""
    finally:
        port.close()


def test_serve_tells_systemd_answers_probes_and_logs_where_it_is_told(manager: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    data = tmp_path / "data"
    command = [sys.executable, "-m", "crossfade.cli.main", "serve", str(tmp_path / "spec.yaml"), "--data", str(data)]
    command += ["--port", "0", "--control-port", "0", "--health-port", "0", "--log-stderr"]
    with (tmp_path / "stderr").open("wb") as log:
        serving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        assert manager.recv(99) == b"READY=1"
        port = json.loads((data / "run" / "serve.json").read_text())["health_port"]
        assert ask(port, "/healthz")[0] == 200
        ready = wait_ready(port)
        assert {name: check["ok"] for name, check in ready["checks"].items()} == {"processes": True, "gateways": True}
        assert why_not(data) == ""
        serving.send_signal(signal.SIGTERM)
        assert manager.recv(99) == b"STOPPING=1"
        assert serving.wait(60) == 0
    finally:
        serving.kill()
    assert not list((data / "logs").glob("*.log"))
    assert '"worker":"gateway-0"' in (tmp_path / "stderr").read_text()


def wait_ready(port: int) -> Any:
    """What `/readyz` says once it says yes."""
    deadline = time.monotonic() + 60
    while True:
        status, said = ask(port, "/readyz")
        if status == 200:
            return json.loads(said)
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
