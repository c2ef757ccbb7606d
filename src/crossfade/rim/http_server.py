"""The client's side of a connection: requests answered in order, replies written as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from crossfade.live.exchange.messages import Head, Headers
from crossfade.live.exchange.problems import problem
from crossfade.rim.http_incoming import Incoming, Room
from crossfade.rim.http_request import Request
from crossfade.rim.http_text import CONTINUE, LAST_CHUNK, chunk, reply_lines
from crossfade.rim.limits import TOO_SLOW, Refusal
from crossfade.rim.logs import Access, access_line


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


class Host(Room, Protocol):
    """What a connection needs of the gateway."""

    draining: bool
    in_flight: int
    """Requests being answered."""

    def turn(self, connection: ClientConnection, request: Request) -> Turn:
        """Somebody to answer a request."""
        ...

    def joined(self, connection: ClientConnection) -> Refusal | None:
        """A client connected; perhaps one too many."""
        ...

    @property
    def access(self) -> Access | None:
        """Where each request is noted, if anywhere."""
        ...

    def refused(self, refusal: Refusal) -> None:
        """A client was answered before anybody was asked."""
        ...

    def parted(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        ...


class ClientConnection(Incoming):
    """One client's connection. `reply`, `more` and `abort` are for the turn in progress."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_decision",
        "_host",
        "_queue",
        "_reading_paused",
        "_replied",
        "_reply_close",
        "_request",
        "_status",
        "_stuck_since",
        "_turn",
        "_unsent",
        "_until_close",
        "trailers",
    )

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._host = host
        self._queue: deque[Request | Refusal] = deque()
        self._turn: Turn | None = None
        self._request: Request | None = None
        self._reading_paused = False
        self._begun = self._stuck_since = 0.0
        self._unsent = 0
        self._status, self._decision = 0, b""
        self._chunked = self._replied = self._reply_close = self._until_close = False
        self.trailers = b""
        """Lines to go behind the last chunk of the reply in progress."""

    # -- from the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = transport
        self._since = self._host.now()
        refusal = self._host.joined(self)
        if refusal is not None:
            self._answer(refusal)

    def eof_received(self) -> bool:
        """The client will send no more, and so will not be read to: it left."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it whoever waited for the reply."""
        self._closing = True
        self._queue.clear()
        turn = self._turn
        self._over()
        self._host.parted(self)
        self._body, self._held = [], None
        # It refers back to here, and a cycle would keep the last request until the next garbage collection.
        self._parser = None
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

    @property
    def _free(self) -> bool:
        return self._turn is None and not self._queue

    def _take(self, request: Request) -> None:
        if self._turn is None and not self._queue:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= self._host.limits.pipelined:
                self._wait_until_free()

    def _take_upload(self, request: Request) -> None:
        self._start(request)

    def _wait_until_free(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    # -- for the turn ------------------------------------------------------------------------------------------------

    def reply(self, head: Head, extra: Headers, body: bytes, ended: bool) -> None:
        """Write the reply's head and the first of its body."""
        request = self._request
        if request is None:
            return
        self._replied = True
        self._status = head.status
        if extra:
            self._decision = extra[0][1]
        lines, sized = reply_lines(head, extra)
        bodyless = request.method == "HEAD" or head.status in (204, 304)
        self._chunked = not sized and not bodyless and request.modern
        self._until_close = not sized and not bodyless and not request.modern
        close = not request.keep_alive or self._host.draining or self._until_close or self._upload is not None
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
            lines.append(self._last_chunk())
        self._transport.write(b"".join(lines))
        if ended:
            self._end()

    def more(self, body: bytes, ended: bool) -> None:
        """Write more of the reply."""
        if self._request is None:
            return
        if self._chunked:
            framed = (chunk(body) if body else b"") + (self._last_chunk() if ended else b"")
            if framed:
                self._transport.write(framed)
        elif body:
            self._transport.write(body)
        if ended:
            self._end()

    def _last_chunk(self) -> bytes:
        return b"0\r\n%b\r\n" % self.trailers if self.trailers else LAST_CHUNK

    def abort(self) -> None:
        """The reply cannot be finished, and the client must notice."""
        self._over()
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

    def _over(self) -> None:
        if self._request is not None:
            self._host.in_flight -= 1
            if self._host.access is not None:
                self._host.access.note(access_line(self._request, self._status, self._decision, self._ms()))
        self._turn = self._request = None
        self.trailers = b""
        if self._upload is not None:
            self._upload.detach()

    def _end(self) -> None:
        self._over()
        self._since = self._host.now()
        if self._reply_close:
            self._closing = True
            self._queue.clear()
            if self._upload is not None:
                self._linger()
            else:
                self._transport.close()
        elif self._queue:
            # Not from here: a client may have sent thousands of requests in one go, and each would nest in the last.
            asyncio.get_running_loop().call_soon(self._next)
        elif self._letting_go and self._upload is None:
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._expects and self._head_done:
            self._expects = False
            self._transport.write(CONTINUE)

    def _ms(self) -> float:
        return round((self._host.now() - self._begun) * 1000.0, 3)

    def _next(self) -> None:
        if self._turn is not None or not self._queue:
            return
        following = self._queue.popleft()
        if self._reading_paused and len(self._queue) < self._host.limits.pipelined and not self._letting_go:
            self._reading_paused = False
            self._transport.resume_reading()
        if isinstance(following, Refusal):
            self._answer(following)
        else:
            self._start(following)

    def _go_on(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()
            self._read_at = self._host.now()
            self._let_go()

    def _start(self, request: Request) -> None:
        self._request = request
        self._replied = False
        self._host.in_flight += 1
        self._begun = self._host.now()
        self._status, self._decision = 0, b""
        self._turn = turn = self._host.turn(self, request)
        turn.begin()

    # -- errors of ours ----------------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in order, then close."""
        self._closing = True
        if self._upload is not None:
            # Its turn waits for the rest of a body that will not come.
            turn, replied = self._turn, self._replied
            self._over()
            self._upload = None
            if turn is not None:
                turn.gone()
            if turn is not None and replied:
                self._transport.abort()
                return
        if self._turn is None and not self._queue:
            self._answer(refusal)
        else:
            self._queue.append(refusal)

    def _answer(self, refusal: Refusal) -> None:
        self._host.refused(refusal)
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
        """Close a connection that has been silent for too long, in either direction."""
        if self._stuck(now):
            self._transport.abort()
        elif self._closing or self._turn is not None:
            if self._upload is not None and not self._closing and self._overdue(now):
                self._refuse(TOO_SLOW)
        elif self._waiting and self._head_bytes == 0:
            if now - self._since > self._host.limits.idle_seconds:
                self._transport.close()
        elif self._overdue(now):
            self._refuse(TOO_SLOW)

    def _stuck(self, now: float) -> bool:
        """Whether the client takes nothing of what waits for it. Without an end to that, even a connection that is to
        be closed would stay as long as such a client likes."""
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._stuck_since = unsent, now
            return False
        return now - self._stuck_since > self._host.limits.request_seconds

    def drain(self) -> None:
        """Take no further request; close now when none is in progress."""
        if not self.busy:
            self._closing = True
            self._transport.close()

    def drop(self) -> None:
        """Close whatever is in progress."""
        self._transport.abort()
