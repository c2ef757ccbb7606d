"""One connection to a model server: one request at a time, llhttp reading the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

import httptools

from crossfade.live.exchange.messages import Head
from crossfade.rim.endpoints import Endpoint
from crossfade.rim.upload import Upload

MOST_HEAD: Final = 128 * 1024
"""Bytes of a reply's head; a longer one is broken."""

MOST_TRAILERS: Final = 64


class Sink(Protocol):
    """Whoever made a call."""

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        """One read's worth of the reply."""
        ...

    def failed(self, call: int, kind: str) -> None:
        """The call ended without a whole reply."""
        ...


class Asking:
    """One call in progress."""

    __slots__ = (
        "bodyless",
        "call",
        "cancelled",
        "connection",
        "data",
        "retried",
        "sink",
        "task",
        "trailers",
        "upload",
        "where",
    )

    def __init__(
        self, sink: Sink, call: int, where: Endpoint, data: Sequence[bytes], bodyless: bool, upload: Upload | None
    ) -> None:
        self.sink = sink
        self.call = call
        self.where = where
        self.data = data
        self.upload = upload
        """What follows `data`, as it comes."""
        self.trailers: list[tuple[bytes, bytes]] | None = None
        """Behind the reply's body, known when it has ended."""
        self.bodyless = bodyless
        """The reply has no body whatever its head says (HEAD)."""
        self.connection: Connection | None = None
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False
        self.retried = False

    def cancel(self) -> None:
        """End the call; the sink hears no more of it."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()
        if self.connection is not None:
            self.connection.abandon()

    def pause(self) -> None:
        """Stop reading the reply: the client does not keep up."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.connection is not None:
            self.connection.resume()


class Keeper(Protocol):
    """The pool, as a connection sees it."""

    def opened(self, connection: Connection) -> None:
        """It stands."""
        ...

    def keep(self, connection: Connection) -> None:
        """Its reply is complete and it may be used again."""
        ...

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        ...

    def retry(self, asking: Asking) -> None:
        """It was stale: nothing of the reply had come."""
        ...


class Connection(asyncio.Protocol):
    """One connection to a model server."""

    __slots__ = (
        "_asking",
        "_ended",
        "_head",
        "_head_bytes",
        "_headers",
        "_informational",
        "_parser",
        "_parts",
        "_paused",
        "_pool",
        "_reason",
        "_received",
        "_reusable",
        "_surplus",
        "_transport",
        "_until_eof",
        "_used",
        "idle_since",
        "where",
    )

    def __init__(self, pool: Keeper, where: Endpoint) -> None:
        self.where = where
        self.idle_since = 0.0
        self._pool = pool
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._asking: Asking | None = None
        self._used = False
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._head: Head | None = None
        self._head_bytes = 0
        self._parts: list[bytes] = []
        self._informational = self._ended = self._received = self._reusable = self._surplus = self._until_eof = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._asking is None and self._transport is not None and not self._transport.is_closing()

    def start(self, asking: Asking) -> None:
        """Send a request."""
        self._reset()
        self._asking = asking
        asking.connection = self
        if len(asking.data) == 1:
            self._transport.write(asking.data[0])
        else:
            self._transport.writelines(asking.data)
        if asking.upload is not None:
            asking.upload.attach(self._transport.write)

    def abandon(self) -> None:
        """Nobody wants this reply any more; without it the connection is worth nothing."""
        self._stop_upload(self._asking)
        self._asking = None
        self._transport.abort()

    def close(self) -> None:
        """Close, once what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        """Stop reading."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # -- from the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = transport
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse one read, and pass on what it held."""
        asking = self._asking
        if asking is None:
            self._transport.abort()
            return
        self._received = True
        if self._head is None:
            self._head_bytes += len(data)
        before = self._head
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._surplus = True
            if not self._ended:
                self._fail(asking)
                return
        if self._head is None and self._head_bytes > MOST_HEAD:
            self._fail(asking)
            return
        parts, self._parts = self._parts, []
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        head = self._head if before is None else None
        if self._ended:
            self._finish(asking, head, body)
        elif head is not None or body:
            asking.sink.arrived(asking.call, head, body, False)

    def pause_writing(self) -> None:
        """The server does not keep up with a body."""
        if self._asking is not None and self._asking.upload is not None:
            self._asking.upload.hold()

    def resume_writing(self) -> None:
        """It does again."""
        if self._asking is not None and self._asking.upload is not None:
            self._asking.upload.unhold()

    def eof_received(self) -> bool:
        """The server closes; that ends a reply which never said its length."""
        asking = self._asking
        if asking is not None and self._until_eof and self._head is not None:
            self._reusable = False
            self._finish(asking, None, b"")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._parser = None
        self._pool.lost(self)
        asking, self._asking = self._asking, None
        if asking is None:
            return
        asking.connection = None
        self._stop_upload(asking)
        if self._used and not self._received and not asking.retried:
            self._pool.retry(asking)
        else:
            asking.sink.failed(asking.call, "broken")

    def _finish(self, asking: Asking, head: Head | None, body: bytes) -> None:
        self._asking = None
        asking.connection = None
        self._used = True
        if self._paused:
            self.resume()
        if self._stop_upload(asking):
            self._transport.abort()
        elif self._reusable and not self._surplus and not self._transport.is_closing():
            self._pool.keep(self)
        else:
            self._transport.close()
        asking.sink.arrived(asking.call, head, body, True)

    def _stop_upload(self, asking: Asking | None) -> bool:
        """Whether the reply came, or was lost, with a part of the body still to come."""
        if asking is None or asking.upload is None:
            return False
        asking.upload.detach()
        return asking.upload.ended_at is None

    def _fail(self, asking: Asking) -> None:
        self._stop_upload(asking)
        self._asking = None
        asking.connection = None
        self._transport.abort()
        asking.sink.failed(asking.call, "broken")

    # -- from the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A status line begins; a second one in the same reply is nobody's."""
        if self._ended:
            self._surplus = True
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self._head is None:
            self._headers.append((name, value))
        elif self._asking is not None and not self._ended:
            if self._asking.trailers is None:
                self._asking.trailers = []
            if len(self._asking.trailers) < MOST_TRAILERS:
                self._asking.trailers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._ended:
            return
        status = self._parser.get_status_code()
        self._informational = 100 <= status < 200
        if self._informational:
            return
        headers = tuple(self._headers)
        self._head = Head(status, self._reason, headers)
        asking = self._asking
        if asking is not None and asking.bodyless:
            # llhttp cannot know that this was a HEAD, and would wait for the body that the head describes.
            self._ended = True
            self._reusable = self._parser.should_keep_alive()
            self._parser = httptools.HttpResponseParser(self)
            return
        self._until_eof = status not in (204, 304)
        for name, value in headers:
            if len(name) == 14 and name.lower() == b"content-length":
                self._until_eof = False
            elif len(name) == 17 and name.lower() == b"transfer-encoding":
                if value.lower() != b"chunked":
                    # Passed on without this word, which speaks of our connection alone, it would be another body.
                    raise ValueError("a transfer coding that nobody asked for")
                self._until_eof = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body, free of chunk framing."""
        if self._ended:
            self._surplus = True
        elif self._head is None:
            raise ValueError("an interim reply has no body")
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """The reply is whole."""
        if self._informational:
            self._informational = False
        elif not self._ended:
            self._ended = True
            self._reusable = self._parser.should_keep_alive()
