"""Traces: the gateway as a span between the client's and the models', and a span for each call to an arm.

Only a gateway that traces imports this, because the OpenTelemetry SDK is an extra (`crossfade[otel]`) and slow to
import. An exchange is watched from outside, by its events and commands, so that the path without traces knows nothing
of them. No span names a unit or a path: those may be personal.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from crossfade import __version__
from crossfade.facts import Exposed
from crossfade.live.exchange import Exchange
from crossfade.live.exchange.messages import (
    Abort,
    Arrived,
    Call,
    Cancel,
    Command,
    Event,
    Failed,
    Gone,
    Late,
    Mirror,
    More,
    Record,
    Reply,
    Started,
)
from crossfade.live.routes import Route
from crossfade.rim.endpoints import endpoint
from crossfade.rim.http_request import Request
from crossfade.spec.model import Arm

log = logging.getLogger("crossfade.gateway")

PARENT, STATE = b"traceparent", b"tracestate"

SERVICE = "crossfade-gateway"

LAST_SPANS = 3.0
"""Seconds that a gateway which ends waits for the collector to take the last spans."""


class Tracing:
    """Makes the spans of one gateway and sends them to a collector, both in a thread of the SDK's own."""

    def __init__(self, worker: str) -> None:
        given: dict[str, str | int] = {"service.instance.id": worker, "service.version": __version__}
        if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            given["service.name"] = SERVICE
        self._provider = TracerProvider(resource=Resource.create(given), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("crossfade", __version__)

    def watch(self, exchange: Exchange, request: Request, route: Route | None, arm: str, decision: str) -> Exchange:
        """The exchange as the gateway should use it: watched where the request is sampled, as it was where it is not.
        `route` None: the request is outside every route, and `arm` and `decision` are ''."""
        parent = _parent(request.headers)
        context = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
        known: dict[str, str | int] = {"http.request.method": request.method}
        if route is not None:
            known |= {
                "http.route": route.prefix,
                "crossfade.rollout": route.rollout,
                "crossfade.revision": route.revision,
                "crossfade.stage": route.mode,
                "crossfade.step": route.step,
                "crossfade.arm": arm,
                "crossfade.decision_id": decision,
            }
        name = f"{request.method} {route.prefix}" if route is not None else request.method
        span = self._tracer.start_span(name, context=context, kind=SpanKind.SERVER, attributes=known)
        if not span.is_recording():
            if parent is None:
                # Whoever comes after must not draw again what was decided here.
                kept = [pair for pair in request.headers if pair[0].lower() not in (PARENT, STATE)]
                request.headers[:] = [*kept, (PARENT, _line(span.get_span_context()))]
            return exchange
        told = _Told(keeps_state=parent is not None)
        request.rewrite = told.rewritten
        return _Watched(self._tracer, span, exchange, told, known)

    def close(self) -> None:
        """Send what is left. A collector that is away does not hold up the end for long."""
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(LAST_SPANS)
        if ending.is_alive():
            log.warning("the last spans may be lost: the collector did not take them in time")


def _parent(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """The caller's span; None where none, or no valid one, is named (W3C Trace Context)."""
    named = [value.strip() for name, value in headers if name.lower() == PARENT]
    if len(named) != 1:
        return None
    parts = named[0].split(b"-")
    known = len(parts) >= 4 and [len(part) for part in parts[:4]] == [2, 32, 16, 2]
    if not known or parts[0] == b"ff" or (parts[0] == b"00" and len(parts) != 4) or named[0] != named[0].lower():
        return None
    try:
        trace, span, flags = (int(part, 16) for part in parts[1:4])
    except ValueError:
        return None
    states = [value.decode("latin-1") for name, value in headers if name.lower() == STATE]
    found = SpanContext(trace, span, True, TraceFlags(flags & 3), TraceState.from_header(states))
    return found if found.is_valid else None


def _line(context: SpanContext) -> bytes:
    return b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)


class _Told:
    """Makes each call of a request name its own span as the parent of what the model does."""

    __slots__ = ("_keeps_state", "_spans")

    def __init__(self, *, keeps_state: bool) -> None:
        self._keeps_state = keeps_state
        self._spans: dict[str, deque[SpanContext]] = {}

    def next(self, arm: Arm, context: SpanContext) -> None:
        """The next request for this arm belongs to this span."""
        self._spans.setdefault(arm.name, deque()).append(context)

    def rewritten(self, arm: Arm, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The request as this arm gets it."""
        first, *rest = pieces
        head, end, body = first.partition(b"\r\n\r\n")
        begin, *lines = head.split(b"\r\n")
        gone = (PARENT,) if self._keeps_state else (PARENT, STATE)
        kept = [line for line in lines if line.partition(b":")[0].lower() not in gone]
        named = b"%b: %b" % (PARENT, _line(self._spans[arm.name].popleft()))
        return (b"\r\n".join((begin, *kept, named)) + end + body, *rest)


_SAME = frozenset(("crossfade.rollout", "crossfade.revision", "crossfade.stage", "crossfade.step"))
_SAME |= {"http.request.method", "crossfade.decision_id"}


class _Watched:
    """An exchange, and the spans of what it does."""

    __slots__ = ("_calls", "_common", "_exchange", "_span", "_told", "_tracer")

    def __init__(self, tracer: Any, span: Span, exchange: Exchange, told: _Told, known: dict[str, str | int]) -> None:
        self._tracer = tracer
        self._span = span
        self._exchange = exchange
        self._told = told
        self._common = {name: value for name, value in known.items() if name in _SAME}
        self._calls: dict[int, Span] = {}

    @property
    def done(self) -> bool:
        return self._exchange.done

    def receive(self, event: Event) -> list[Command]:
        """Pass on both ways, and note what passes."""
        self._happened(event)
        try:
            commands = self._exchange.receive(event)
        except Exception as error:
            for span in (*self._calls.values(), self._span):
                _failed(span, type(error).__name__)
                span.end()
            raise
        over = type(event) is Gone
        for command in commands:
            over = self._follows(command) or over
        if over:
            self._span.end()
        return commands

    def _happened(self, event: Event) -> None:
        match event:
            case Started(call=call) if call in self._calls:
                self._calls[call].add_event("left the queue")
            case Arrived(call=call) if call in self._calls:
                if event.head is not None:
                    _answered(self._calls[call], event.head.status, least=400)
                if event.ended:
                    self._calls.pop(call).end()
            case Failed(call=call) if call in self._calls:
                span = self._calls.pop(call)
                _failed(span, event.kind)
                span.end()
            case Late(call=call) if call in self._calls:
                _failed(self._calls[call], "timeout")
            case Gone():
                self._span.set_attribute("error.type", "client-left")
            case _:
                pass

    def _follows(self, command: Command) -> bool:
        """Note a command; whether the client's reply ends with it."""
        match command:
            case Call(call=call, arm=arm):
                self._begin(call, arm, mirrored=False)
            case Mirror(call=call, arm=arm):
                self._begin(call, arm, mirrored=True)
            case Cancel(call=call) if call in self._calls:
                span = self._calls.pop(call)
                span.set_attribute("crossfade.cancelled", True)
                span.end()
            case Reply():
                _answered(self._span, command.head.status, least=500)
                return command.ended
            case More():
                return command.ended
            case Abort():
                _failed(self._span, "cut")
                return True
            case Record(fact=Exposed() as fact):
                self._span.set_attribute("crossfade.served_by", fact.served_by)
                if fact.reason:
                    self._span.set_attribute("crossfade.reason", fact.reason)
            case _:
                pass
        return False

    def _begin(self, call: int, arm: Arm, *, mirrored: bool) -> None:
        where = endpoint(arm.url)
        own = {"crossfade.arm": arm.name, "server.address": where.host, "server.port": where.port}
        span = self._tracer.start_span(
            f"{'mirror' if mirrored else 'call'} {arm.name}",
            context=set_span_in_context(self._span),
            kind=SpanKind.CLIENT,
            attributes=self._common | own | {"crossfade.mirrored": mirrored},
        )
        self._calls[call] = span
        self._told.next(arm, span.get_span_context())


def _answered(span: Span, status: int, *, least: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= least:
        _failed(span, str(status))


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
