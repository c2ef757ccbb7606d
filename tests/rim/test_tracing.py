"""Spans of a real gateway process, as a collector gets them over OTLP, and the trace context that models get."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from crossfade.rim import options as module
from crossfade.rim.extras import install
from crossfade.rim.options import PLAIN, Options, OptionsError
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

from .gateway_kit import Answer, ask, post
from .test_gateway_process import beating, worker
from .toy_server import ToyServer, raw, says

SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
lease: 10s
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - {stage}
"""
CANARY = "canary: {steps: [98%], hold_for: 10m}"
SHADOW = "shadow: {mirror: 100%, until: {requests: 1000}}"

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UNIT = b"u1"


class Collector:
    """An OTLP/HTTP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
                collector.take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        told = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for group in told.resource_spans:
            self.resources.append(attributes(group.resource))
            for scope in group.scope_spans:
                self.spans += scope.spans

    async def wait(self, count: int, seconds: float = 15.0) -> list[Span]:
        until = time.monotonic() + seconds
        while len(self.spans) < count and time.monotonic() < until:
            await asyncio.sleep(0.02)
        assert len(self.spans) == count, [span.name for span in self.spans]
        return self.spans


def attributes(holder: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in holder.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield found
    found.server.shutdown()
    found.server.server_close()


@asynccontextmanager
async def served(data: Path, one: str, two: str) -> AsyncIterator[tuple[Any, int]]:
    """A gateway process with a canary and a shadow, once it exposes units."""
    store = Store(data)
    for name, stage in (("canary", CANARY), ("shadow", SHADOW)):
        text = SPEC.format(name=name, one=one, two=two, stage=stage)
        store.add(text, parse(text), time.time())
        store.act(name, Move.START, actor="ann", rule="person", sentence="So.", at=time.time())
    with worker(data) as (process, port):
        async with beating(store):
            until = time.monotonic() + 15.0
            while True:
                # The one request that is not sampled, whatever else is.
                await asked(port, "canary", "00")
                if store_lease(data):
                    break
                assert time.monotonic() < until, "the gateway holds no lease"
                await asyncio.sleep(0.1)
            yield process, port


def store_lease(data: Path) -> bool:
    from crossfade.rim.standing import lease_held

    return lease_held(data, time.time()) is True


async def asked(port: int, name: str, flags: str | None = "01", more: bytes = b"") -> Answer:
    headers = b"X-User-Id: %b\r\n" % UNIT
    if flags is not None:
        headers += f"Traceparent: 00-{TRACE}-{PARENT}-{flags}\r\nTracestate: acme=1\r\n".encode()
    return await ask(port, post(path=f"/{name}".encode(), headers=headers + more), 10)


async def test_a_request_and_each_of_its_calls_are_spans_of_the_callers_trace(
    collector: Collector, tmp_path: Path
) -> None:
    async with ToyServer(says(b"{}")) as one, ToyServer(says(b"{}")) as two:
        async with served(tmp_path, one.url, two.url) as (_, port):
            assert collector.spans == []
            assert all(got.get(b"traceparent") == [f"00-{TRACE}-{PARENT}-00".encode()] for got in one.requests)
            two.requests.clear()
            answer = await asked(port, "canary")
            whole, call = sorted(await collector.wait(2), key=lambda span: span.kind)
            assert {whole.trace_id.hex(), call.trace_id.hex()} == {TRACE}
            assert (whole.parent_span_id.hex(), call.parent_span_id) == (PARENT, whole.span_id)
            assert (whole.name, whole.kind, call.name, call.kind) == ("POST /canary", 2, "call v2", 3)
            (got,) = two.requests
            assert got.get(b"traceparent") == [f"00-{TRACE}-{call.span_id.hex()}-01".encode()]
            assert got.get(b"tracestate") == [b"acme=1"]
            told = attributes(whole)
            decision = (answer.get(b"x-crossfade-decision") or b"").decode()
            assert told.pop("crossfade.revision")
            assert told == {
                "http.request.method": "POST",
                "http.route": "/canary",
                "http.response.status_code": 200,
                "crossfade.rollout": "canary",
                "crossfade.stage": "canary",
                "crossfade.step": 0,
                "crossfade.arm": "v2",
                "crossfade.served_by": "v2",
                "crossfade.decision_id": decision,
            }
            of = attributes(call)
            assert (of["crossfade.arm"], of["server.port"], of["crossfade.mirrored"]) == ("v2", two.port, False)
            assert (of["crossfade.decision_id"], of["http.response.status_code"]) == (decision, 200)
            assert whole.start_time_unix_nano <= call.start_time_unix_nano < call.end_time_unix_nano
            assert call.end_time_unix_nano <= whole.end_time_unix_nano

            two.requests.clear()
            collector.spans.clear()
            await asked(port, "shadow")
            spans = {span.name: span for span in await collector.wait(3)}
            assert set(spans) == {"POST /shadow", "call v1", "mirror v2"}
            assert {span.parent_span_id for name, span in spans.items() if name != "POST /shadow"} == {
                spans["POST /shadow"].span_id
            }
            assert attributes(spans["mirror v2"])["crossfade.mirrored"] is True
            (got,) = two.requests
            assert got.get(b"traceparent") == [f"00-{TRACE}-{spans['mirror v2'].span_id.hex()}-01".encode()]
        assert collector.resources[0]["service.name"] == "crossfade-gateway"
        assert collector.resources[0]["service.instance.id"] == "gateway-0"
        assert not any(UNIT in span.SerializeToString() for span in collector.spans)


async def test_without_a_caller_a_trace_begins_here_and_failures_are_told(collector: Collector, tmp_path: Path) -> None:
    async with (
        ToyServer(says(b"{}")) as one,
        ToyServer(says(b"{}")) as two,
        served(tmp_path, one.url, two.url) as (process, port),
    ):
        two.behaviour = raw(b"no HTTP at all\r\n\r\n", close=True)
        invalid = b"Traceparent: 00-%b-%b-01\r\nTracestate: acme=1\r\n" % (b"0" * 32, PARENT.encode())
        assert (await asked(port, "canary", None, invalid)).status == 200
        process.terminate()
        await asyncio.to_thread(process.wait, 15)
        spans = {span.name: span for span in await collector.wait(3)}
        assert set(spans) == {"POST /canary", "call v2", "call v1"}
        assert len({span.trace_id for span in spans.values()}) == 1
        assert spans["POST /canary"].parent_span_id == b""
        assert (spans["call v2"].status.code, spans["POST /canary"].status.code) == (2, 0)
        assert attributes(spans["call v2"])["error.type"] == "broken"
        told = attributes(spans["POST /canary"])
        assert (told["crossfade.arm"], told["crossfade.served_by"]) == ("v2", "v1")
        assert one.requests[-1].get(b"tracestate") == []


async def test_what_is_not_sampled_here_is_not_sampled_by_models(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.0")
    async with (
        ToyServer(says(b"{}")) as one,
        ToyServer(says(b"{}")) as two,
        served(tmp_path, one.url, two.url) as (_, port),
    ):
        two.requests.clear()
        await asked(port, "canary", None)
        ((line,),) = [got.get(b"traceparent") for got in two.requests]
        assert int(line[-2:], 16) & 1 == 0
        await asked(port, "canary", "01")
        assert {span.trace_id.hex() for span in await collector.wait(2)} == {TRACE}


async def test_a_collector_that_is_away_costs_users_nothing_and_the_end_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with (
        ToyServer(says(b"{}")) as one,
        ToyServer(says(b"{}")) as two,
        served(tmp_path, one.url, two.url) as (process, port),
    ):
        for _ in range(20):
            assert (await asked(port, "shadow")).status == 200
        began = time.monotonic()
        process.terminate()
        assert await asyncio.to_thread(process.wait, 15) == 0
        assert time.monotonic() - began < 10.0


def test_traces_are_asked_for_by_the_usual_variables() -> None:
    assert not PLAIN.tracing({})
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert PLAIN.tracing(endpoint)
    assert PLAIN.tracing({"OTEL_TRACES_EXPORTER": "otlp"})
    assert not PLAIN.tracing(endpoint | {"OTEL_TRACES_EXPORTER": "none"})
    assert not PLAIN.tracing(endpoint | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert Options(trace=True).tracing({})
    assert not Options(trace=True).tracing({"OTEL_SDK_DISABLED": "true"})
    with pytest.raises(OptionsError, match="only http/protobuf is spoken"):
        Options(trace=True).tracing({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_who_asks_for_traces_without_the_extra_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert not PLAIN.tracing({"OTEL_TRACES_EXPORTER": "otlp"})
    with pytest.raises(OptionsError, match=re.escape(install("otel"))):
        Options(trace=True).tracing({})
