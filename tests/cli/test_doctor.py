"""What `crossfade doctor` finds out, beside real sockets: models that answer, refuse, say something else or hang."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import Crossfade

SPEC = """
name: m
route: {route}
protocol: {protocol}
unit: header:x-user-id
segments: [header:x-country]
champion:   {{name: v1, url: "{v1}", timeout: 1s}}
challenger: {{name: v2, url: "{v2}", timeout: 1s}}
{more}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 1pp}}}}
stages:
  - canary: {{steps: [10%], hold_for: 1m}}
"""
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "t", "datatype": "BYTES", "shape": [1]}]


@contextmanager
def model(*, posts: Any, gets: Any = None, status: int = 200, date: float = 0.0, wait: float = 0.0) -> Iterator[Any]:
    """A model server that says this; yields it with `.url` and the `.got` requests."""

    class Handler(BaseHTTPRequestHandler):
        def _say(self, said: Any) -> None:
            length = int(self.headers.get("content-length", 0))
            server.got.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            time.sleep(wait)
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status if said is not None else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._say(gets)

        def do_POST(self) -> None:
            self._say(posts)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + date)

        def log_message(self, *_: object) -> None: ...

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url, server.got = f"http://127.0.0.1:{server.server_port}", []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def doctor(crossfade: Crossfade, tmp_path: Path) -> Any:
    """Runs it on a spec of two models; findings by what they are about."""

    def run(v1: str, v2: str, *options: str, route: str = "/p", protocol: str = "json", more: str = "") -> Any:
        spec = tmp_path / "spec.yaml"
        spec.write_text(SPEC.format(v1=v1, v2=v2, route=route, protocol=protocol, more=more))
        ran = crossfade("doctor", str(spec), "--json", "--data", str(tmp_path), *free(), *options)
        found = json.loads(ran.out)
        assert ran.code == (1 if found["problems"] else 0)
        return {one["what"]: one for one in found["findings"]}

    return run


def free() -> list[str]:
    ports = []
    for option in ("--port", "--control-port"):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            ports += [option, str(one.getsockname()[1])]
    return ports


def request_file(folder: Path, line: Any) -> str:
    file = folder / "requests.jsonl"
    file.write_text(line if isinstance(line, str) else json.dumps(line))
    return str(file)


def test_what_is_read_of_a_request_and_of_both_replies(doctor: Any, tmp_path: Path) -> None:
    line = {"body": {"q": "shoes"}, "headers": {"x-user-id": "42"}}
    with (
        model(posts={"items": [{"id": "a"}, {"id": "b"}], "took": 3}) as v1,
        model(posts={"items": [{"id": "b"}, {"id": "a"}], "took": 4}) as v2,
    ):
        more = "ranking: {items: $.items, id: $.id}\ndry_run_header: x-dry-run"
        found = doctor(v1.url, v2.url, "--request", request_file(tmp_path, line), more=more)
        assert found["unit"]["sentence"] == "header:x-user-id says '42'"
        assert (found["segment"]["state"], "header:x-country" in found["segment"]["sentence"]) == ("note", True)
        assert found["v1"]["state"] == found["v2"]["state"] == "fine"
        assert found["v1, list"]["sentence"] == "2 items: a, b"
        assert found["v2 and v1"]["sentence"].startswith("built alike; ")
        ((method, path, headers, body),) = v1.got
        assert (method, path, json.loads(body), headers["x-dry-run"]) == ("POST", "/p", {"q": "shoes"}, "true")


def test_answers_that_differ_within_what_compare_allows_are_not_called_the_same(doctor: Any, tmp_path: Path) -> None:
    request = request_file(tmp_path, {"body": {}, "headers": {"x-user-id": "42"}})
    more = "compare: {$.minutes: {as: number, absolute: 15}}"
    with model(posts={"minutes": 40}) as v1, model(posts={"minutes": 45.0}) as v2:
        found = doctor(v1.url, v2.url, "--request", request, more=more)
        assert found["v2 and v1"]["sentence"] == "differ by no more than `compare:` allows, for this request"
        same = doctor(v1.url, v1.url, "--request", request, more=more)
        assert same["v2 and v1"]["sentence"] == "say the same for this request"


def test_tensors_are_made_up_of_what_the_model_says_it_takes(doctor: Any) -> None:
    reply = {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.5]}]}
    with model(posts=reply, gets={"name": "m", "inputs": INPUTS}) as v1, model(posts=reply) as v2:
        found = doctor(v1.url, v2.url, route="/v2/models/m/infer", protocol="open-inference")
        assert found["v1"]["sentence"].endswith("read as y = [1, 1] 0.5"), found["v1"]
        assert found["v2 and v1"]["sentence"] == "say the same for this request"
        assert [(method, path) for method, path, *_ in v1.got] == [
            ("GET", "/v2/models/m"),
            ("POST", "/v2/models/m/infer"),
        ]
        sent = json.loads(v2.got[0][3])["inputs"]
        assert [(one["name"], one["shape"], one["data"]) for one in sent] == [
            ("x", [1, 3], [0, 0, 0]),
            ("t", [1], [""]),
        ]


def test_replies_that_are_built_differently_are_told_before_any_user_is(doctor: Any, tmp_path: Path) -> None:
    with model(posts={"score": 1.0, "by": "x"}) as v1, model(posts={"score": "high"}) as v2:
        found = doctor(v1.url, v2.url, "--request", request_file(tmp_path, {"body": {}}))
        assert found["v2 and v1"]["state"] == "note"
        assert "(missing)" in found["v2 and v1"]["sentence"]
        assert "(type)" in found["v2 and v1"]["sentence"]


def test_models_that_refuse_err_hang_or_speak_otherwise_are_problems_with_a_way_on(doctor: Any, tmp_path: Path) -> None:
    file = request_file(tmp_path, {"body": {}})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with model(posts={"error": "no such model"}, status=404) as v2:
            found = doctor(nobody, v2.url, "--request", file)
            assert (found["v1"]["state"], found["v2"]["state"]) == ("problem", "problem")
            assert found["v1"]["sentence"].startswith("nothing listens at 127.0.0.1:")
            assert found["v2"]["sentence"] == 'answered 404: {"error": "no such model"}'
    with model(posts={}, wait=1.5) as v1, model(posts=b"<html>") as v2:
        found = doctor(v1.url, v2.url, "--request", file)
        assert found["v1"]["sentence"] == "no answer within 1 s"
        assert found["v2"]["sentence"].startswith("its reply is no json answer (broken")
    found = doctor("http://no.such.machine.invalid", nobody, "--request", file)
    assert found["v1"]["sentence"] == "no machine is named no.such.machine.invalid"


def test_what_cannot_be_asked_is_unknown_and_not_fine(doctor: Any) -> None:
    with model(posts={}) as v1, model(posts={}) as v2:
        found = doctor(v1.url, v2.url)
        assert found["protocol"]["state"] == "unknown"
        assert "--request FILE" in found["protocol"]["todo"]
        assert found["v1"]["sentence"].startswith("something answers HTTP")


def test_clocks_apart_and_a_ranking_that_is_not_there(doctor: Any, tmp_path: Path) -> None:
    more = "ranking: {items: $.hits, id: $.id}"
    with model(posts={"items": []}, date=-60.0) as v1, model(posts={"hits": [{"id": 1}]}) as v2:
        found = doctor(v1.url, v2.url, "--request", request_file(tmp_path, {"body": {}}), more=more)
        assert found["v1, list"]["state"] == "problem"
        assert "behind this machine" in found["v1, clock"]["sentence"]
        assert found["v2, list"]["sentence"] == "1 items: 1"


def test_the_data_port_is_left_to_the_router_that_carries(crossfade: Crossfade, tmp_path: Path) -> None:
    plain = SPEC.format(v1="http://127.0.0.1:1", v2="http://127.0.0.1:2", route="/p", protocol="json", more="{more}")
    plain = plain.replace(", timeout: 1s", "")
    router = f"router: {{envoy: {{routes: {tmp_path / 'routes.yaml'}, admin: [http://127.0.0.1:9901]}}}}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for more, expected in ((router, None), ("", "problem")):
            spec = tmp_path / "spec.yaml"
            spec.write_text(plain.replace("{more}", more))
            ran = crossfade("doctor", str(spec), "--json", "--data", str(tmp_path), *free(), "--port", port)
            found = {one["what"]: one["state"] for one in json.loads(ran.out)["findings"]}
            assert (found.get("port"), found["control port"]) == (expected, "fine"), more or "no router"


def test_the_machine_is_looked_at_without_a_spec(crossfade: Crossfade, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = crossfade("doctor", "--data", str(tmp_path), *free(), "--port", str(port))
        assert ran.code == 1
        assert f"{port} cannot be opened" in ran.out
        assert "1 problem found." in ran.out
    future = time.time() + 3600
    (tmp_path / "state.db").touch()
    os.utime(tmp_path / "state.db", (future, future))
    ran = crossfade("doctor", "--data", str(tmp_path), *free(), "--json")
    found = {one["what"]: one for one in json.loads(ran.out)["findings"]}
    assert "this clock was turned back" in found["clock"]["sentence"]
    assert list(tmp_path.iterdir()) == [tmp_path / "state.db"], "nothing is left behind"


@pytest.mark.parametrize(
    ("line", "why"),
    [("", "it is empty"), ("{", "line 1"), ('{"path": "nowhere"}', "begins with /")],
)
def test_a_file_without_a_request(crossfade: Crossfade, tmp_path: Path, line: str, why: str) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(v1="http://127.0.0.1:1", v2="http://127.0.0.1:2", route="/p", protocol="json", more=""))
    ran = crossfade("doctor", str(spec), "--request", request_file(tmp_path, line), *free())
    assert ran.code == 2
    assert why in ran.err
