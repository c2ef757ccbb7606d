"""`crossfade replay-traffic`: recorded requests through two real servers, at a bounded rate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .conftest import Crossfade

SPEC = """
name: demo
route: /predict
protocol: json
unit: header:x-user-id
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
dry_run_header: x-dry-run
redact: [$.email]
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 5pp}}}}
stages:
  - shadow: {{noise: 100%}}
  - canary: {{steps: [10%]}}
"""


class Model(ThreadingHTTPServer):
    """A real server; `seen` is what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Any], bytes | None]) -> None:
        self.seen: list[tuple[str, dict[str, str], Any, float]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append((self.path, headers, body, time.monotonic()))
                said = answer(body)
                self.send_response(200 if said is not None else 503)
                self.send_header("content-length", str(len(said or b"")))
                self.end_headers()
                self.wfile.write(said or b"")

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def models(*answers: Callable[[Any], bytes | None]) -> Iterator[list[Model]]:
    made = [Model(answer) for answer in answers]
    for one in made:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        for one in made:
            one.shutdown()
            one.server_close()


def scores(slope: float) -> Callable[[Any], bytes]:
    return lambda body: json.dumps({"score": slope * body["x"], "email": "a@b.example"}).encode()


def written(folder: Path, one: Model, two: Model, requests: list[dict[str, Any]]) -> tuple[str, str]:
    spec, file = folder / "spec.yaml", folder / "requests.jsonl"
    spec.write_text(SPEC.format(one=one.url, two=two.url))
    file.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return str(file), str(spec)


def test_both_models_get_every_request_marked_and_no_faster_than_said(crossfade: Crossfade, tmp_path: Path) -> None:
    asked = [{"id": f"r{n}", "body": {"x": n}, "headers": {"X-User-Id": f"u{n}"}} for n in range(40)]
    with models(scores(1.0), scores(1.0)) as (one, two):
        where = written(tmp_path, one, two, asked)
        ran = crossfade("replay-traffic", *where, "--rate", "100", "--json")
        assert ran.code == 0
        record = json.loads(ran.out)
        assert (record["pairs"], record["twice"], record["requests"]) == (40, 40, 40)
        assert record["disagreement"]["differing"] == 0
        assert record["latency"]["pairs"] == 40
        assert (len(one.seen), len(two.seen)) == (80, 40)
        assert {headers["x-dry-run"] for _, headers, _, _ in (*one.seen, *two.seen)} == {"true"}
        assert sorted(headers["x-user-id"] for _, headers, _, _ in two.seen) == sorted(f"u{n}" for n in range(40))
        assert {path for path, *_ in two.seen} == {"/predict"}
        took = max(at for *_, at in two.seen) - min(at for *_, at in two.seen)
        assert took >= 39 / 100 - 0.1


def test_what_differs_is_told_and_what_is_hidden_is_not(crossfade: Crossfade, tmp_path: Path) -> None:
    asked = [{"body": {"x": n + 1}, "path": f"/predict?n={n}"} for n in range(60)]
    secret = lambda body: json.dumps({"score": 2.0 * body["x"], "email": "c@d.example"}).encode()  # noqa: E731
    with models(scores(1.0), secret) as (one, two):
        where = written(tmp_path, one, two, asked)
        ran = crossfade("replay-traffic", *where, "--rate", "1000")
        assert ran.code == 1
        assert "v2 against the champion  60 pairs" in ran.out
        assert "✖ $.score  harmful" in ran.out
        assert "latency:" in ran.out
        assert "example" not in ran.out.replace("examples", "")
        assert two.seen[0][0].startswith("/predict?n=")


def test_a_model_that_does_not_answer_is_counted(crossfade: Crossfade, tmp_path: Path) -> None:
    asked = [{"body": {"x": 1}} for _ in range(20)]
    with models(scores(1.0), lambda _: None) as (one, two):
        where = written(tmp_path, one, two, asked)
        record = json.loads(crossfade("replay-traffic", *where, "--rate", "1000", "--json").out)
        assert record["failed"]["challenger"] == {"status": 20}
        assert record["latency"]["difference"] is None


def test_wrong_use_is_told(crossfade: Crossfade, tmp_path: Path) -> None:
    with models(scores(1.0), scores(1.0)) as (one, two):
        file, spec = written(tmp_path, one, two, [])
        Path(file).write_text('[1]\n{"path": "predict"}\n')
        ran = crossfade("replay-traffic", file, spec)
        assert (ran.code, "nothing could be compared of 2 requests" in ran.err) == (2, True)
        assert "line 1" in ran.err
        assert crossfade("replay-traffic", file, spec, "--arm", "v9").code == 2
        assert crossfade("replay-traffic", str(tmp_path / "none"), spec).code == 2
        assert crossfade("replay-traffic", file, spec, "--noise", "3").code == 2
