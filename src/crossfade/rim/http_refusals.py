"""What is refused before anybody acts on it: limits, ambiguous framing, and the words that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

# WSGI servers cannot tell these from the real ones.
_MISSPELT = (b"content_length", b"transfer_encoding")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take up."""

    head_bytes: int = 64 * 1024
    body_bytes: int = 1024 * 1024 * 1024
    """The largest body at all."""
    stream_bytes: int = 1024 * 1024
    """Larger bodies are passed on as they arrive where nobody needs them whole."""
    hold_bytes: int = 32 * 1024 * 1024
    """Larger bodies are passed on as they arrive even where somebody would have needed them whole."""
    memory_bytes: int = 256 * 1024 * 1024
    """Once the held bodies of all clients take up this much, no further one is held."""
    connections: int = 10_000
    in_flight: int = 10_000
    """Requests being answered at one time."""
    pipelined: int = 16
    """Requests waiting behind the one being answered before reading pauses."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request."""
    request_seconds: float = 60.0
    """How long a head may take to arrive, and how long a body may pause."""
    slowest_upload: int = 4096
    """Bytes a second below which a large body takes too long."""
    linger_seconds: float = 1.0
    """How long to read on after an error was answered, so that the client gets to see it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered with an error of ours, after which the connection closes."""

    status: int
    error: str
    what_to_do: str


TOO_SLOW = Refusal(408, "the request took too long to arrive", "send it in one go")


class Malformed(Exception):
    """Raised out of the parser's callbacks."""

    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.refusal = Refusal(status, error, what_to_do)


class Checked(msgspec.Struct, frozen=True, gc=False):
    """A head that can be read in one way only."""

    target: bytes
    """Path and query."""
    framed: bool
    """It says that there is a body, be it empty."""
    expects: bool
    """The client waits for `100 Continue`."""
    length: int | None
    """The body's length, where it is said beforehand."""


def check(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], modern: bool, limits: Limits) -> Checked:
    """The framing of a head that llhttp has parsed strictly. Raises Malformed for what it leaves to us."""
    hosts = size = 0
    framed = expects = False
    length = None
    for name, value in headers:
        size += len(name) + len(value) + 4
        match len(name):
            case 4 if name.lower() == b"host":
                hosts += 1
                if not _names_a_host(value):
                    raise Malformed(400, "the Host header names no host", "send a name or address and perhaps a port")
            case 6 if name.lower() == b"expect":
                expects = modern and value.lower() == b"100-continue"
            case 14 if name.lower() == b"content-length":
                # llhttp takes ASCII digits only, and only once.
                framed = True
                length = int(value)
                if length > limits.body_bytes:
                    raise too_large_body(limits)
            case 17 if name.lower() == b"transfer-encoding":
                framed = True
                if not modern or value.lower() != b"chunked":
                    raise Malformed(400, "this Transfer-Encoding cannot be taken apart", "send `chunked` alone")
            case 14 | 17 if name.lower() in _MISSPELT:
                raise Malformed(400, "an underscore in a framing header", "write it with a hyphen")
    if size + len(target) > limits.head_bytes:
        raise too_large_head(limits)
    if hosts > 1 or (hosts == 0 and modern):
        raise Malformed(400, f"a request has exactly one Host header, this one has {hosts}", "send one")
    if method in ("CONNECT", "TRACE"):
        raise Malformed(501, f"{method} is not served here", "send requests for the models served here")
    return Checked(_origin_form(target), framed, expects, length)


def other_protocol(data: bytes, method: str, target: bytes) -> bool:
    """Whether there is such a request line in RTSP, whose words llhttp takes for HTTP's. It does not say where in the
    bytes it is, so the same line further on is enough: that refuses too much rather than too little."""
    if b" RTSP/" not in data:
        return False
    return re.search(rb"(?:^|\n)%b +%b +RTSP/" % (method.encode(), re.escape(target)), data) is not None


def malformed(error: str) -> Refusal:
    """The refusal of what llhttp could not parse."""
    return Refusal(400, f"not a well-formed HTTP request: {error}", "send HTTP/1.1 as RFC 9112 has it")


NOT_HTTP = malformed("the request line is not HTTP's")


def too_large_head(limits: Limits) -> Malformed:
    """Too many header bytes."""
    return Malformed(431, f"the headers are larger than {limits.head_bytes} bytes", "send fewer or shorter headers")


def too_large_body(limits: Limits) -> Malformed:
    """Too many body bytes."""
    return Malformed(413, f"the body is larger than {limits.body_bytes} bytes", "send smaller batches")


def _origin_form(target: bytes) -> bytes:
    """Path and query of a request target; the absolute form loses its authority."""
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None or not _names_a_host(absolute[1]):
            raise Malformed(400, "the request target is neither a path nor an http url", "send the path and query")
        rest = target[absolute.end() :]
        target = rest if rest.startswith(b"/") else b"/" + rest
    if b"%" in target or b"/." in target or b"#" in target:
        _check_path(target)
    return target


def _check_path(target: bytes) -> None:
    """Refuse what servers behind us would cut off, or resolve to somewhere else than the route that was matched."""
    path = target.partition(b"?")[0]
    if b"#" in target:
        raise Malformed(400, "a fragment in the request target", "send the path and query alone")
    if _BROKEN_ESCAPE.search(path):
        raise Malformed(400, "an escape in the path that stands for nothing", "write each as % and two hex digits")
    depth = 0
    for segment in unquote_to_bytes(path).split(b"/"):
        depth += -1 if segment == b".." else 0 if segment in (b"", b".") else 1
        if depth < 0:
            raise Malformed(400, "the path leads above its root", "send a path without `..`")


@lru_cache(maxsize=1024)
def _names_a_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None and b".." not in value
