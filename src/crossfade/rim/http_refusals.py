"""What is refused before anybody acts on it: limits, ambiguous framing, and the words that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered with an error of ours, after which the connection closes."""

    status: int
    error: str
    what_to_do: str


class Malformed(Exception):
    """Raised out of the parser's callbacks."""

    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.refusal = Refusal(status, error, what_to_do)


@dataclass(frozen=True, slots=True)
class Checked:
    """A head that can be read in one way only."""

    target: bytes
    """Path and query."""
    framed: bool
    """It says that there is a body, be it empty."""
    expects: bool
    """The client waits for `100 Continue`."""


def check(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], modern: bool, limits: Limits) -> Checked:
    """The framing of a head that llhttp has parsed strictly. Raises Malformed for what it leaves to us."""
    hosts = size = 0
    framed = expects = False
    for name, value in headers:
        size += len(name) + len(value) + 4
        match len(name):
            case 4 if name.lower() == b"host":
                hosts += 1
            case 6 if name.lower() == b"expect":
                expects = modern and value.lower() == b"100-continue"
            case 14 if name.lower() == b"content-length":
                framed = True
                if int(value) > limits.body_bytes:
                    raise too_large_body(limits)
            case 17 if name.lower() == b"transfer-encoding":
                framed = True
                if not modern or value.lower() != b"chunked":
                    raise Malformed(400, "this Transfer-Encoding cannot be taken apart", "send `chunked` alone")
    if size + len(target) > limits.head_bytes:
        raise too_large_head(limits)
    if hosts > 1 or (hosts == 0 and modern):
        raise Malformed(400, f"a request has exactly one Host header, this one has {hosts}", "send one")
    if method == "CONNECT":
        raise Malformed(501, "this is no forward proxy", "send requests for the models served here")
    return Checked(_origin_form(target), framed, expects)


def malformed(error: str) -> Refusal:
    """The refusal of what llhttp could not parse."""
    return Refusal(400, f"not a well-formed HTTP request: {error}", "send HTTP/1.1 as RFC 9112 has it")


def too_large_head(limits: Limits) -> Malformed:
    """Too many header bytes."""
    return Malformed(431, f"the headers are larger than {limits.head_bytes} bytes", "send fewer or shorter headers")


def too_large_body(limits: Limits) -> Malformed:
    """Too many body bytes."""
    return Malformed(413, f"the body is larger than {limits.body_bytes} bytes", "send smaller batches")


def _origin_form(target: bytes) -> bytes:
    """Path and query of a request target; the absolute form loses its authority."""
    if target.startswith(b"/") or target == b"*":
        return target
    _, found, rest = target.partition(b"://")
    if not found:
        raise Malformed(400, "the request target is neither a path nor a url", "send the path and query")
    slash = rest.find(b"/")
    return rest[slash:] if slash >= 0 else b"/"
