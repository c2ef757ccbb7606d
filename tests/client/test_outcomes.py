"""Outcomes from an application: against a real control port, and against one that misbehaves on purpose."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import crossfade
from crossfade.client.outcomes import OutcomeClient, Port
from crossfade.facts import Outcome
from crossfade.rim import batches


class Flaky(ThreadingHTTPServer):
    """A control port that keeps outcomes by id and answers each request as its script says, then well."""

    daemon_threads = True

    def __init__(self, script: list[object] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.script = list(script or [])
        self.kept: dict[str, dict] = {}
        self.sizes: list[int] = []
        self.largest = 10_000
        self.gate = threading.Event()
        self.gate.set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def do_POST(self) -> None:
        self.server.gate.wait(20)
        items = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.sizes.append(len(items))
        step = self.server.script.pop(0) if self.server.script else 202
        if len(items) > self.server.largest:
            step = 413
        answer: object = {"error": "no", "what_to_do": "nothing"}
        if step in (202, "lost"):
            new = [item for item in items if item["outcome_id"] not in self.server.kept]
            self.server.kept.update({item["outcome_id"]: item for item in new})
            answer = {"accepted": len(new), "duplicates": len(items) - len(new), "rejected": []}
        if step == "lost":
            # Kept, but the acknowledgement never arrives.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = json.dumps(answer).encode()
        self.send_response(int(step))  # type: ignore[call-overload]
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    server = Flaky()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()


def test_everything_recorded_arrives_once_in_batches(flaky: Flaky) -> None:
    with OutcomeClient(flaky.url, batch=50, interval=0.05) as client:
        for n in range(230):
            client.record("click", decision_id=f"d{n}", item=f"doc-{n}")
    assert {item["decision_id"] for item in flaky.kept.values()} == {f"d{n}" for n in range(230)}
    assert max(flaky.sizes) <= 50
    assert client.delivered.accepted == 230
    assert client.delivered.pending == 0


@pytest.mark.parametrize("trouble", [[503, 503], ["lost"], [429, "lost", 500]])
def test_trouble_on_the_way_loses_nothing_and_counts_nothing_twice(flaky: Flaky, trouble: list[object]) -> None:
    flaky.script = list(trouble)
    with OutcomeClient(flaky.url, interval=0.01, longest_wait=0.2) as client:
        ids = [client.record("purchase", rollout="r", unit=f"u{n}") for n in range(20)]
        assert client.flush(15.0)
    assert sorted(flaky.kept) == sorted(ids)
    told = client.delivered
    assert told.accepted + told.duplicates == 20
    assert (told.duplicates == 0) == ("lost" not in trouble)


def test_a_server_that_comes_back_gets_what_waited_for_it(flaky: Flaky) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        client = OutcomeClient(url, interval=0.01, longest_wait=0.1, timeout=1.0)
        client.record("click", decision_id="d")
        assert not client.flush(0.3)
        assert "cannot reach" in client.delivered.failure
    client._port = Port(flaky.url)
    assert client.close(15.0)
    assert len(flaky.kept) == 1


def test_a_batch_that_is_too_large_is_halved_until_it_fits(flaky: Flaky) -> None:
    flaky.largest = 3
    with OutcomeClient(flaky.url, batch=20, interval=5.0) as client:
        for n in range(20):
            client.record("click", decision_id=f"d{n}")
        assert client.flush(15.0)
    assert len(flaky.kept) == 20


def test_a_refusal_is_told_and_not_repeated_for_ever(flaky: Flaky) -> None:
    flaky.script = [422]
    with OutcomeClient(flaky.url, interval=0.01) as client:
        client.record("click", decision_id="d")
        assert client.flush(10.0)
    assert client.delivered.rejected == 1
    assert "status 422" in client.problems[0]


def test_a_full_queue_holds_the_caller_back_instead_of_losing_outcomes(flaky: Flaky) -> None:
    flaky.gate.clear()
    client = OutcomeClient(flaky.url, batch=5, interval=0.01, capacity=10)
    for n in range(10):
        client.record("click", decision_id=f"d{n}")
    with pytest.raises(TimeoutError, match="10 outcomes are waiting"):
        client.record("click", decision_id="late", timeout=0.1)
    threading.Timer(0.2, flaky.gate.set).start()
    client.record("click", decision_id="patient", timeout=15.0)
    assert client.close(15.0)
    assert len(flaky.kept) == 11


def test_closing_gives_up_in_time_and_says_so(flaky: Flaky) -> None:
    flaky.script = [503] * 1000
    client = OutcomeClient(flaky.url, interval=0.01)
    client.record("click", decision_id="d")
    began = time.monotonic()
    assert client.close(0.3) is False
    assert time.monotonic() - began < 10.0
    assert client.delivered.pending == 1
    with pytest.raises(RuntimeError, match="closed"):
        client.record("click", decision_id="d")


def test_wrong_use_is_said_at_once(flaky: Flaky) -> None:
    with pytest.raises(ValueError, match="control port"):
        OutcomeClient("127.0.0.1:8090")
    with OutcomeClient(flaky.url) as client:
        with pytest.raises(ValueError, match="belongs to"):
            client.record("click", rollout="r")
        with pytest.raises(ValueError, match="needs a name"):
            client.record("", decision_id="d")
        with pytest.raises(ValueError, match="cannot correct itself"):
            client.record("click", decision_id="d", outcome_id="a", corrects="a", value=0.0)
        with pytest.raises(ValueError, match="which value is right"):
            client.record("click", decision_id="d", corrects="a")


def test_it_needs_the_standard_library_only() -> None:
    program = (
        "import sys\n"
        "import crossfade.client.outcomes\n"
        "outside = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'crossfade'}\n"
        "print(sorted(name for name in outside if not name.startswith('_')))\n"
    )
    source = {"PYTHONPATH": str(Path(crossfade.__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env=source)
    assert ran.stdout.strip() == "[]", ran.stderr


def test_against_the_real_control_port(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        fd, port = listening.fileno(), listening.getsockname()[1]
        command = [sys.executable, "-m", "crossfade.console", "--data", str(tmp_path), "--fd", str(fd)]
        process = subprocess.Popen(command, pass_fds=(fd,), stderr=subprocess.DEVNULL)
    try:
        with OutcomeClient(f"http://127.0.0.1:{port}", interval=0.01, timeout=30.0) as client:
            ids = [client.record("purchase", decision_id=f"d{n}", value=n, at=1.5e9 + n) for n in range(700)]
            client.record("purchase", rollout="nobody", unit="u")
            assert client.flush(45.0)
        assert (client.delivered.accepted, client.delivered.rejected) == (700, 1)
        assert "no rollout is named 'nobody'" in client.problems[0]
    finally:
        process.terminate()
        process.wait(timeout=20)
    connection = batches.connect(tmp_path / "journal" / "outcomes.db")
    kept = [fact for row in batches.rows(connection, 0, 10_000) for fact in row.facts]
    connection.close()
    assert [fact.outcome_id for fact in kept if isinstance(fact, Outcome)] == ids
