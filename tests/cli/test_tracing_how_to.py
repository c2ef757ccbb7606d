"""The commands in docs/how-to/tracing.md do what the page says, against a collector and models of the test's own."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tracing.md"


class Server(ThreadingHTTPServer):
    """Keeps what it is sent and says `{}`: a model, or a collector that has nothing to complain of."""

    def __init__(self) -> None:
        kept = self.kept = list[tuple[str, dict[str, str], bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                kept.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                answer = b"" if self.path == "/v1/traces" else b"{}"
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


def spans(collector: Server) -> dict[str, str]:
    """Names of spans and their traces."""
    told = [ExportTraceServiceRequest.FromString(body) for path, _, body in collector.kept if path == "/v1/traces"]
    return {
        span.name: span.trace_id.hex()
        for one in told
        for group in one.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }


def test_its_commands_lead_to_the_spans_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    (spec,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    serving, asking, sampling = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    collector, champion, challenger = Server(), Server(), Server()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"4318": collector.port, "8080": port, "8101": champion.port, "8102": challenger.port}
    for there, instead in here.items():
        spec, serving, asking = (text.replace(f":{there}", f":{instead}") for text in (spec, serving, asking))
    (tmp_path / "ranker.yaml").write_text(spec)
    assert "OTEL_TRACES_SAMPLER=parentbased_traceidratio" in sampling
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    serving = serving.replace("crossfade serve", f"exec crossfade serve --port {port} --control-port 0 --json")
    process = subprocess.Popen(["sh", "-c", serving], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "data" in json.loads(process.stdout.readline())
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        until = time.monotonic() + 30.0
        # Once the gateway has heard the controller, requests are mirrored, and the page's own is followed to its end.
        while spans(collector).get("mirror v2") != trace:
            assert time.monotonic() < until, spans(collector)
            subprocess.run(["sh", "-c", asking], check=True, cwd=tmp_path, capture_output=True)
            time.sleep(0.2)
        assert spans(collector) == dict.fromkeys(("POST /rank", "call v1", "mirror v2"), trace)
        assert challenger.kept[-1][1]["traceparent"].split("-")[1] == trace
        unasked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        unasked.request("POST", "/rank", b"{}", {"content-type": "application/json", "x-user-id": "user-7"})
        assert unasked.getresponse().status == 200
        assert trace not in champion.kept[-1][1]["traceparent"]
    finally:
        process.terminate()
        process.communicate(timeout=30)
        for server in (collector, champion, challenger):
            server.shutdown()
            server.server_close()
