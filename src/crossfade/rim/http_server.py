"""The client's side of a connection: requests parsed strictly and answered in order, replies written as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import httptools

from crossfade.live.exchange.messages import Head, Headers
from crossfade.live.exchange.problems import problem
from crossfade.rim.http_refusals import (
    Limits,
    Malformed,
    Refusal,
    check,
    malformed,
    other_protocol,
    too_large_body,
    too_large_head,
)
from crossfade.rim.http_request import Request
from crossfade.rim.http_text import CONTINUE, LAST_CHUNK, chunk, reply_lines


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


_UPGRADED = b"POST / HTTP/1.1\r\nHost: -\r\n"
_BODIES = (b"content-length", b"transfer-encoding")


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
        "_trailer_bytes",
        "_transport",
        "_turn",
        "_until_close",
        "_waiting",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request | Refusal] = deque()
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
        self._size = self._head_bytes = self._trailer_bytes = 0
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
            if other_protocol(data):
                self._refuse(malformed("the request line is not HTTP's"))
                return
        try:
            self._feed(data)
            if not self._head_done and self._head_bytes > self._host.limits.head_bytes:
                raise too_large_head(self._host.limits)
        except Malformed as error:
            self._refuse(error.refusal)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, Malformed) else malformed(str(error)))
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(malformed(str(error)))

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
        if self._replaying:
            return
        if not self._head_done:
            self._headers.append((name, value))
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > self._host.limits.head_bytes:
            raise too_large_head(self._host.limits)
        if name.lower() in _BODIES:
            raise Malformed(400, "a trailer that speaks of framing", "send it as a header, once")

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what is ambiguous before anybody acts on it."""
        if self._replaying:
            return
        parser = self._parser
        self._method = parser.get_method().decode()
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Malformed(400, f"HTTP/{version} is not spoken here", "send HTTP/1.1")
        self._modern = version == "1.1"
        checked = check(self._method, self._target, self._headers, self._modern, self._host.limits)
        self._target, self._framed, self._expects = checked.target, checked.framed, checked.expects
        if self._expects and self._turn is None and not self._queue:
            self._transport.write(CONTINUE)
            self._expects = False
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body, free of chunk framing."""
        self._size += len(body)
        if self._size > self._host.limits.body_bytes:
            raise too_large_body(self._host.limits)
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
        if isinstance(following, Refusal):
            self._answer(following)
        else:
            self._start(following)

    def _start(self, request: Request) -> None:
        self._request = request
        self._replied = False
        self._turn = turn = self._host.turn(self, request)
        turn.begin()

    # -- errors of ours ----------------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in order, then close."""
        self._closing = True
        if self._turn is None and not self._queue:
            self._answer(refusal)
        else:
            self._queue.append(refusal)

    def _answer(self, refusal: Refusal) -> None:
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
            self._refuse(Refusal(408, "the request took too long to arrive", "send it in one go"))

    def drain(self) -> None:
        """Take no further request; close now when none is in progress."""
        if not self.busy:
            self._closing = True
            self._transport.close()

    def drop(self) -> None:
        """Close whatever is in progress."""
        self._transport.abort()
