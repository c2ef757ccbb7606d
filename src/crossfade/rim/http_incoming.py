"""Bytes from a client, parsed strictly into requests. A body too large to hold becomes an upload while it arrives."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, Final, Protocol

import httptools

from crossfade.rim.http_refusals import (
    NOT_HTTP,
    Malformed,
    check,
    malformed,
    other_protocol,
    too_large_body,
    too_large_head,
)
from crossfade.rim.http_request import Request
from crossfade.rim.http_text import CONTINUE, trailer_lines
from crossfade.rim.limits import Limits, Refusal
from crossfade.rim.upload import Upload


class Room(Protocol):
    """What parsing needs of the gateway."""

    limits: Limits
    held: int
    """Bytes of large bodies in memory."""

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        ...

    def room(self, target: bytes, size: int) -> bool:
        """Whether a body of so many bytes should be held whole."""
        ...


class Held:
    """Memory that a large body takes up, given back when nobody refers to the body any more."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0

    def set(self, size: int) -> None:
        """It is that large by now."""
        self._room.held += size - self._size
        self._size = size

    def __del__(self) -> None:
        self._room.held -= self._size


_UPGRADED: Final = b"POST / HTTP/1.1\r\nHost: -\r\n"
_BODIES: Final = (b"content-length", b"transfer-encoding")

CRUMBS: Final = 512
"""Pieces of a body are put together up to this size."""

SMALL: Final = 64 * 1024
"""Bodies up to here are not worth counting."""


class Incoming(asyncio.Protocol):
    """The reading half of a client's connection. What is read goes to `_take`, `_take_upload` and `_refuse`."""

    __slots__ = (
        "_body",
        "_closing",
        "_data",
        "_expects",
        "_first",
        "_fragments",
        "_framed",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_held",
        "_length",
        "_letting_go",
        "_method",
        "_modern",
        "_parser",
        "_read_at",
        "_replaying",
        "_room",
        "_since",
        "_size",
        "_target",
        "_trailer_bytes",
        "_trailers",
        "_transport",
        "_upload",
        "_waiting",
    )

    def __init__(self, room: Room) -> None:
        self._room = room
        self._transport: Any = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._closing = False
        """No further request is read."""
        self._data = b""
        """The latest read."""
        self._replaying = self._first = False
        """The request being read began with the latest read."""
        self._waiting = True
        """Between requests."""
        self._since = self._read_at = 0.0
        self._upload: Upload | None = None
        self._begin_request()

    def _begin_request(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._trailers: list[tuple[bytes, bytes]] | None = None
        self._size = self._head_bytes = self._trailer_bytes = 0
        self._head_done = self._expects = self._framed = self._letting_go = False
        self._modern = True
        self._method = ""
        self._length: int | None = None
        self._fragments: list[bytes] = []
        """The reads of a head that came in several."""
        self._held: Held | None = None

    # -- what becomes of it ------------------------------------------------------------------------------------------

    @abstractmethod
    def _take(self, request: Request) -> None:
        """A request is whole."""

    @abstractmethod
    def _take_upload(self, request: Request) -> None:
        """A request is being passed on while it arrives. Called only when `_free`."""

    @abstractmethod
    def _refuse(self, refusal: Refusal) -> None:
        """Nothing more can be read; say why, in turn."""

    @property
    @abstractmethod
    def _free(self) -> bool:
        """Whether no earlier request is being answered or waits to be."""

    @abstractmethod
    def _wait_until_free(self) -> None:
        """Stop reading, and call `_let_go` when the earlier requests are answered."""

    # -- from the transport ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse one read; complete requests start or queue up."""
        if self._closing:
            return
        if not self._head_done:
            self._head_bytes += len(data)
            if self._fragments:
                self._fragments.append(data)
        else:
            self._read_at = self._room.now()
        self._data = data
        self._first = self._waiting
        try:
            self._feed(data)
            if not self._head_done and not self._waiting:
                if self._head_bytes > self._room.limits.head_bytes:
                    raise too_large_head(self._room.limits, self._target)
                if not self._fragments:
                    self._fragments.append(data)
        except Malformed as refused:
            self._refuse(refused.refusal)
        except httptools.HttpParserCallbackError as broken:
            cause = broken.__context__
            self._refuse(cause.refusal if isinstance(cause, Malformed) else malformed(str(broken)))
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(malformed(str(error)))
        finally:
            self._data = b""

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

    # -- from the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._waiting = False
        if not self._replaying:
            self._since = self._read_at = self._room.now()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        if not self._replaying:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: that goes on only behind a body that is passed on in chunks (RFC 9110 §6.5)."""
        if not self._head_done:
            self._headers.append((name, value))
            return
        if self._trailers is None:
            if self._replaying and not self._size:
                return
            self._trailers = []
        self._trailers.append((name, value))
        if name.lower() in _BODIES:
            raise Malformed(400, "a trailer that speaks of framing", "send it as a header, once")
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > self._room.limits.head_bytes:
            raise too_large_head(self._room.limits)

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what is ambiguous before anybody acts on it."""
        if self._replaying:
            return
        parser = self._parser
        self._method = parser.get_method().decode()
        if not self._speaks_http() and other_protocol(
            b"".join(self._fragments) or self._data, self._method, self._target
        ):
            raise Malformed(NOT_HTTP.status, NOT_HTTP.error, NOT_HTTP.what_to_do)
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Malformed(400, f"HTTP/{version} is not spoken here", "send HTTP/1.1")
        self._modern = version == "1.1"
        checked = check(self._method, self._target, self._headers, self._modern, self._room.limits)
        self._target, self._framed, self._expects = checked.target, checked.framed, checked.expects
        self._length = checked.length
        if self._expects and self._free:
            self._transport.write(CONTINUE)
            self._expects = False
        self._head_done = True

    def _speaks_http(self) -> bool:
        """Whether this read began with this request, and HTTP's name stands behind its target."""
        if not self._first or self._fragments:
            return False
        return self._data.startswith(b" HTTP/", len(self._method) + 1 + len(self._target))

    def on_body(self, body: bytes) -> None:
        """A piece of the body, free of chunk framing."""
        self._size += len(body)
        if self._size > SMALL or self._size > self._room.limits.body_bytes:
            self._large(body)
        else:
            self._keep(body)

    def _keep(self, body: bytes) -> None:
        kept = self._body
        if kept and len(kept[-1]) + len(body) <= CRUMBS:
            # Who sends a body in chunks of two bytes is not to take up the forty that each would be kept in.
            kept[-1] += body
        else:
            kept.append(body)

    def _large(self, body: bytes) -> None:
        room = self._room
        if self._size > room.limits.body_bytes:
            raise too_large_body(room.limits)
        if self._upload is not None:
            self._upload.feed(body)
            return
        self._keep(body)
        if self._held is None:
            self._held = Held(room)
        self._held.set(self._size)
        if not self._letting_go and not room.room(self._target, max(self._size, self._length or 0)):
            self._letting_go = True
            if self._free:
                self._let_go()
            else:
                self._wait_until_free()

    def _let_go(self) -> None:
        """From now on the body is passed on as it arrives."""
        self._expects = False
        self._upload = upload = Upload(self, self._length, self._room.now)
        upload.feed(b"".join(self._body))
        self._body = []
        self._held = None
        self._take_upload(self._request_now(b"", upload))

    def on_message_complete(self) -> None:
        """The request is whole."""
        parser = self._parser
        if not self._replaying and parser.should_upgrade():
            return
        upload = self._upload
        if upload is not None:
            self._upload = None
            upload.end(trailer_lines(self._trailers) if self._trailers else b"")
            request = None
        else:
            body = self._body
            request = self._request_now(body[0] if len(body) == 1 else b"".join(body), None)
        keep_alive = parser.should_keep_alive() or self._replaying
        self._replaying = self._first = False
        self._begin_request()
        self._waiting = True
        self._since = self._room.now()
        if not keep_alive:
            self._closing = True
        if request is not None:
            self._take(request)

    def _request_now(self, body: bytes, upload: Upload | None) -> Request:
        return Request(
            method=self._method,
            target=self._target,
            headers=self._headers,
            body=body,
            framed=self._framed,
            modern=self._modern,
            keep_alive=self._parser.should_keep_alive() or self._replaying,
            upload=upload,
            held=self._held,
        )

    # -- from the upload ---------------------------------------------------------------------------------------------

    def pause_upload(self) -> None:
        """The model does not keep up."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_upload(self) -> None:
        """It does again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._read_at = self._room.now()

    def _overdue(self, now: float) -> bool:
        """Whether a request has been arriving for too long, or has stopped arriving. A large body may take its time:
        a second more for each few kilobytes that came."""
        if self._upload is not None and self._upload.held_at is not None:
            return False
        limits = self._room.limits
        late = now - self._since > limits.request_seconds + self._size / limits.slowest_upload
        return late or now - self._read_at > limits.request_seconds
