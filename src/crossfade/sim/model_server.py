"""A small model server: one model behind the Open Inference Protocol, in its own process, slow and faulty on demand.

`python -m crossfade.sim.model_server --model FILE --name NAME` prints one JSON line with its port when it listens.
An `asyncio.Protocol` on llhttp's parser, because the demo's machine has to carry the gateway, the evidence and
two of these at a few hundred requests a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import httptools
import uvloop

from crossfade.sim import oip
from crossfade.sim.faults import Fault, Misbehaviour, failure, spoiled
from crossfade.sim.models import Model, Ranker, load

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    500: b"Internal Server Error",
}


@dataclass(slots=True, kw_only=True)
class ServedModel:
    """One model, how long it takes and how it fails: turns a request into (seconds to wait, reply)."""

    model: Model
    name: str
    version: str = "1"
    latency_ms: float = 4.0
    """Median."""
    jitter: float = 0.25
    """Standard deviation of the log latency."""
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    rng: Random = field(default_factory=Random)
    clock: Callable[[], float]
    crash: Callable[[], None]
    born: float = 0.0

    def __post_init__(self) -> None:
        self.born = self.clock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[float, oip.Reply]:
        """What to reply and after how many seconds."""
        if method == "GET":
            ranks = isinstance(self.model, Ranker)
            return 0.0, oip.describe(path, model=self.name, version=self.version, width=self.model.width, ranks=ranks)
        base = f"/v2/models/{self.name}"
        if path not in (f"{base}/infer", f"{base}/versions/{self.version}/infer"):
            return 0.0, oip.error(404, f"nothing to infer at {path}; this server has the model {self.name!r}")
        if method != "POST":
            return 0.0, oip.error(405, f"{method} is not allowed here; use POST")
        return self._infer(headers, body)

    def _infer(self, headers: dict[str, str], body: bytes) -> tuple[float, oip.Reply]:
        wait = self.latency_ms / 1000.0 * math.exp(self.rng.gauss(0.0, self.jitter))
        try:
            request = oip.parse_infer(body, headers, self.model.width)
        except oip.BadRequest as problem:
            return 0.0, oip.error(400, str(problem))
        fault = self.misbehaviour.strikes(self.clock() - self.born, self.rng)
        match fault:
            case Fault.CRASH:
                self.crash()
            case Fault.ERRORS:
                return wait, failure()
            case Fault.SLOW:
                wait += self.misbehaviour.extra_ms / 1000.0
            case _:
                pass
        output = spoiled(oip.run(self.model, request.rows), fault)
        return wait, oip.build_infer(request, output, model=self.name, version=self.version)


class Connection(asyncio.Protocol):
    """One client connection: requests are parsed as they come and answered in order."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[str, str, dict[str, str], bytes, bool]] = deque()
        self._busy = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; what it waited for is dropped."""
        self._transport = None
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.write(_encode(oip.error(400, "this is not HTTP/1.1"), keep=False))
                self._transport.close()

    def on_url(self, url: bytes) -> None:
        """Parser callback."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser callback."""
        lowered = name.decode("latin-1").lower()
        self._headers[lowered] = value.decode("latin-1")
        if lowered == "expect" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Parser callback."""
        self._body += body

    def on_message_complete(self) -> None:
        """Parser callback: one whole request is in."""
        path = self._url.partition(b"?")[0].decode("latin-1")
        method = self._parser.get_method().decode("latin-1")
        self._waiting.append((method, path, self._headers, self._body, self._parser.should_keep_alive()))
        self._reset()
        if not self._busy:
            self._next()

    def _next(self) -> None:
        if not self._waiting:
            return
        method, path, headers, body, keep = self._waiting.popleft()
        self._busy = True
        wait, reply = self._served.answer(method, path, headers, body)
        if wait > 0.0:
            self._loop.call_later(wait, self._send, reply, keep)
        else:
            self._send(reply, keep)

    def _send(self, reply: oip.Reply, keep: bool) -> None:
        self._busy = False
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(_encode(reply, keep=keep))
        if keep:
            self._next()
        else:
            self._transport.close()


def _encode(reply: oip.Reply, *, keep: bool) -> bytes:
    head = b"HTTP/1.1 %d %s\r\ncontent-length: %d\r\n" % (reply.status, _REASONS[reply.status], len(reply.body))
    for name, value in reply.headers:
        head += f"{name}: {value}\r\n".encode("latin-1")
    return head + (b"\r\n" if keep else b"connection: close\r\n\r\n") + reply.body


async def _serve(served: ServedModel, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(served), host, port, reuse_address=True)
    done = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, done.set)
    bound = server.sockets[0].getsockname()[1]
    print(json.dumps({"ready": True, "model": served.name, "port": bound, "pid": os.getpid()}), flush=True)
    await done.wait()
    server.close()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="crossfade-model-server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a model file written by crossfade.sim.models.save")
    parser.add_argument("--name", required=True, help="the model's public name")
    parser.add_argument("--version", default="1")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=4.0, help="median latency")
    parser.add_argument("--jitter", type=float, default=0.25, help="standard deviation of the log latency")
    parser.add_argument("--fault", type=Fault, choices=list(Fault), default=Fault.NONE)
    parser.add_argument("--fault-after", type=float, default=0.0, help="seconds of good behaviour first")
    parser.add_argument("--fault-rate", type=float, default=1.0, help="share of requests hit")
    parser.add_argument("--fault-ms", type=float, default=250.0, help="added latency of a slow answer")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    asked = _arguments(argv)
    loop = uvloop.new_event_loop()
    try:
        model = load(asked.model)
    except (OSError, ValueError) as problem:
        print(f"crossfade-model-server: cannot load the model: {problem}", file=sys.stderr)
        return 2
    served = ServedModel(
        model=model,
        name=asked.name,
        version=asked.version,
        latency_ms=asked.latency_ms,
        jitter=asked.jitter,
        misbehaviour=Misbehaviour(
            fault=asked.fault, after=asked.fault_after, rate=asked.fault_rate, extra_ms=asked.fault_ms
        ),
        rng=Random(asked.seed),
        clock=loop.time,
        # A crash is a crash: no goodbye to the open connections.
        crash=lambda: os._exit(70),
    )
    try:
        loop.run_until_complete(_serve(served, asked.host, asked.port))
    except OSError as problem:
        print(f"crossfade-model-server: cannot listen on {asked.host}:{asked.port}: {problem}", file=sys.stderr)
        return 2
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
