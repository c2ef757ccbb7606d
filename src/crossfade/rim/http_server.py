"""The client's side of a connection: requests parsed strictly and answered in order, replies written as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import httptools

from crossfade.live.exchange.messages import Head, Headers
from crossfade.live.exchange.problems import problem
from crossfade.rim.http_request import Request
from crossfade.rim.http_text import CONTINUE, LAST_CHUNK, chunk, reply_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take up."""

    head_bytes: int = 64 * 1024
    body_bytes: int = 32 * 1024 * 1024
    pipelined: int = 16
    """Requests waiting behind the one being answered before reading pauses."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request."""
    request_seconds: float = 60.0
    """How long a request may take to arrive."""
    linger_seconds: float = 1.0
    """How long to read on after an error was answered, so that the client gets to see it."""


class Turn(Protocol):
    """Whoever answers a request."""

    def begin(self) -> None:
        """Start."""
        ...

    def gone(self) -> None:
        """The client left."""
        ...

    def hold(self) -> None:
        """The client does not keep up with the reply."""
        ...

    def unhold(self) -> None:
        """It does again."""
        ...


class Host(Protocol):
    """What a connection needs of the gateway."""

    limits: Limits
    draining: bool

    def turn(self, connection: ClientConnection, request: Request) -> Turn:
        """Somebody to answer a request."""
        ...

    def joined(self, connection: ClientConnection) -> None:
        """A client connected."""
        ...

    def parted(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        ...

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        ...


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A request that is answered with an error of ours, after which the connection closes."""

    status: int
    error: str
    what_to_do: str


_UPGRADED = b"POST / HTTP/1.1\r\nHost: -\r\n"
_BODIES = (b"content-length", b"transfer-encoding")


class _Malformed(Exception):
    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.refusal = _Refusal(status, error, what_to_do)


class ClientConnection(asyncio.Protocol):
    """One client's connection. `reply`, `more` and `abort` are for the turn in progress."""

    __slots__ = (
        "_body",
        "_chunked",
        "_closing",
        "_expects",
        "_framed",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_host",
        "_method",
        "_modern",
        "_parser",
        "_queue",
        "_reading_paused",
        "_replaying",
        "_replied",
        "_reply_close",
        "_request",
        "_since",
        "_size",
        "_target",
        "_transport",
        "_turn",
        "_until_close",
        "_waiting",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request | _Refusal] = deque()
        self._turn: Turn | None = None
        self._request: Request | None = None
        self._closing = False
        """No further request is read."""
        self._reading_paused = False
        self._replaying = False
        self._chunked = self._replied = self._reply_close = self._until_close = False
        self._waiting = True
        """Between requests."""
        self._since = 0.0
        self._begin_request()

    def _begin_request(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._head_bytes = 0
        self._head_done = self._expects = self._framed = False
        self._modern = True
        self._method = ""

    # -- from the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = transport
        self._since = self._host.now()
        self._host.joined(self)

    def data_received(self, data: bytes) -> None:
        """Parse one read; complete requests start or queue up."""
        if self._closing:
            return
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            self._feed(data)
            if not self._head_done and self._head_bytes > self._host.limits.head_bytes:
                raise _too_large_head(self._host.limits)
        except _Malformed as error:
            self._refuse(error.refusal)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, _Malformed) else _bad(str(error)))
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(_bad(str(error)))

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # We decline upgrades by answering the request itself. llhttp has skipped its body, which is parsed here.
            rest = data[upgrade.args[0] :]
            framing = b"".join(b"%b: %b\r\n" % pair for pair in self._headers if pair[0].lower() in _BODIES)
            self._parser = httptools.HttpRequestParser(self)
            self._replaying = True
            self._parser.feed_data(_UPGRADED + framing + b"\r\n")
            if rest and not self._closing:
                self._feed(rest)

    def eof_received(self) -> bool:
        """The client will send no more, and so will not be read to: it left."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it whoever waited for the reply."""
        self._closing = True
        self._queue.clear()
        turn, self._turn = self._turn, None
        self._host.parted(self)
        if turn is not None:
            turn.gone()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        if self._turn is not None:
            self._turn.hold()

    def resume_writing(self) -> None:
        """It does again."""
        if self._turn is not None:
            self._turn.unhold()

    # -- from the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._waiting = False
        self._since = self._host.now()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        if not self._replaying:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are discarded (RFC 9110 §6.5)."""
        if not self._head_done and not self._replaying:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what is ambiguous before anybody acts on it."""
        if self._replaying:
            return
        parser = self._parser
        self._method = parser.get_method().decode()
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise _Malformed(400, f"HTTP/{version} is not spoken here", "send HTTP/1.1")
        self._modern = version == "1.1"
        self._check_head()
        if self._expects and self._turn is None and not self._queue:
            self._transport.write(CONTINUE)
            self._expects = False
        self._head_done = True

    def _check_head(self) -> None:
        limits = self._host.limits
        hosts = size = 0
        for name, value in self._headers:
            size += len(name) + len(value) + 4
            match len(name):
                case 4 if name.lower() == b"host":
                    hosts += 1
                case 6 if name.lower() == b"expect":
                    self._expects = self._modern and value.lower() == b"100-continue"
                case 14 if name.lower() == b"content-length":
                    self._framed = True
                    if int(value) > limits.body_bytes:
                        raise _too_large_body(limits)
                case 17 if name.lower() == b"transfer-encoding":
                    self._framed = True
                    if not self._modern or value.lower() != b"chunked":
                        raise _Malformed(400, "this Transfer-Encoding cannot be taken apart", "send `chunked` alone")
        if size + len(self._target) > limits.head_bytes:
            raise _too_large_head(limits)
        if hosts > 1 or (hosts == 0 and self._modern):
            raise _Malformed(400, f"a request has exactly one Host header, this one has {hosts}", "send one")
        if self._method == "CONNECT":
            raise _Malformed(501, "this is no forward proxy", "send requests for the models served here")
        self._target = _origin_form(self._target)

    def on_body(self, body: bytes) -> None:
        """A piece of the body, free of chunk framing."""
        self._size += len(body)
        if self._size > self._host.limits.body_bytes:
            raise _too_large_body(self._host.limits)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._replaying and self._parser.should_upgrade():
            return
        keep_alive = self._parser.should_keep_alive() or self._replaying
        self._replaying = False
        body = self._body
        request = Request(
            method=self._method,
            target=self._target,
            headers=self._headers,
            body=body[0] if len(body) == 1 else b"".join(body),
            framed=self._framed,
            modern=self._modern,
            keep_alive=keep_alive,
        )
        self._begin_request()
        self._waiting = True
        self._since = self._host.now()
        if not keep_alive:
            self._closing = True
        if self._turn is None and not self._queue:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= self._host.limits.pipelined and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()

    # -- for the turn ------------------------------------------------------------------------------------------------

    def reply(self, head: Head, extra: Headers, body: bytes, ended: bool) -> None:
        """Write the reply's head and the first of its body."""
        request = self._request
        if request is None:
            return
        self._replied = True
        lines, sized = reply_lines(head, extra)
        bodyless = request.method == "HEAD" or head.status in (204, 304)
        self._chunked = not sized and not bodyless and request.modern
        self._until_close = not sized and not bodyless and not request.modern
        close = not request.keep_alive or self._host.draining or self._until_close
        self._reply_close = close
        if self._chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        if close:
            lines.append(b"Connection: close\r\n")
        elif not request.modern:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if body and not bodyless:
            lines.append(chunk(body) if self._chunked else body)
        if ended and self._chunked:
            lines.append(LAST_CHUNK)
        self._transport.write(b"".join(lines))
        if ended:
            self._end()

    def more(self, body: bytes, ended: bool) -> None:
        """Write more of the reply."""
        if self._request is None:
            return
        if self._chunked:
            framed = (chunk(body) if body else b"") + (LAST_CHUNK if ended else b"")
            if framed:
                self._transport.write(framed)
        elif body:
            self._transport.write(body)
        if ended:
            self._end()

    def abort(self) -> None:
        """The reply cannot be finished, and the client must notice."""
        self._turn = self._request = None
        self._closing = True
        if self._until_close:
            # Only a reset tells a reply that was cut from one that was whole.
            self._transport.abort()
        else:
            self._transport.close()

    def fail(self, head: Head, body: bytes) -> None:
        """Answer with an error where that is still possible."""
        if self._replied:
            self.abort()
        else:
            self.reply(head, (), body, True)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or waits to be."""
        return self._turn is not None or bool(self._queue)

    def _end(self) -> None:
        self._turn = self._request = None
        self._since = self._host.now()
        if self._reply_close:
            self._closing = True
            self._queue.clear()
            self._transport.close()
        elif self._queue:
            # Not from here: a client may have sent thousands of requests in one go, and each would nest in the last.
            asyncio.get_running_loop().call_soon(self._next)
        elif self._expects and self._head_done:
            self._expects = False
            self._transport.write(CONTINUE)

    def _next(self) -> None:
        if self._turn is not None or not self._queue:
            return
        following = self._queue.popleft()
        if self._reading_paused and len(self._queue) < self._host.limits.pipelined:
            self._reading_paused = False
            self._transport.resume_reading()
        if isinstance(following, _Refusal):
            self._answer(following)
        else:
            self._start(following)

    def _start(self, request: Request) -> None:
        self._request = request
        self._replied = False
        self._turn = turn = self._host.turn(self, request)
        turn.begin()

    # -- errors of ours ----------------------------------------------------------------------------------------------

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer in order, then close."""
        self._closing = True
        if self._turn is None and not self._queue:
            self._answer(refusal)
        else:
            self._queue.append(refusal)

    def _answer(self, refusal: _Refusal) -> None:
        head, body = problem(refusal.status, refusal.error, refusal.what_to_do)
        lines, _ = reply_lines(head, ())
        self._transport.write(b"".join((*lines, b"Connection: close\r\n\r\n", body)))
        self._linger()

    def _linger(self) -> None:
        # Closing with unread bytes makes the kernel send a reset, which can overtake the answer just written.
        self._closing = True
        transport = self._transport
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(self._host.limits.linger_seconds, transport.close)

    # -- housekeeping ------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Close a connection that has been silent for too long."""
        if self._turn is not None or self._closing:
            return
        limits = self._host.limits
        silent = now - self._since
        if self._waiting and self._head_bytes == 0:
            if silent > limits.idle_seconds:
                self._transport.close()
        elif silent > limits.request_seconds:
            self._refuse(_Refusal(408, "the request took too long to arrive", "send it in one go"))

    def drain(self) -> None:
        """Take no further request; close now when none is in progress."""
        if not self.busy:
            self._closing = True
            self._transport.close()

    def drop(self) -> None:
        """Close whatever is in progress."""
        self._transport.abort()


def _bad(error: str) -> _Refusal:
    return _Refusal(400, f"not a well-formed HTTP request: {error}", "send HTTP/1.1 as RFC 9112 has it")


def _too_large_head(limits: Limits) -> _Malformed:
    return _Malformed(431, f"the headers are larger than {limits.head_bytes} bytes", "send fewer or shorter headers")


def _too_large_body(limits: Limits) -> _Malformed:
    return _Malformed(413, f"the body is larger than {limits.body_bytes} bytes", "send smaller batches")


def _origin_form(target: bytes) -> bytes:
    """Path and query of a request target; the absolute form loses its authority."""
    if target.startswith(b"/") or target == b"*":
        return target
    _, found, rest = target.partition(b"://")
    if not found:
        raise _Malformed(400, "the request target is neither a path nor a url", "send the path and query")
    slash = rest.find(b"/")
    return rest[slash:] if slash >= 0 else b"/"
