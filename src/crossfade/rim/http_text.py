"""Heads and chunks as bytes: which headers travel on, and how both sides are framed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from crossfade.live.exchange.messages import Head, Headers
from crossfade.rim.endpoints import Endpoint

HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
"""Headers that speak of one connection only (RFC 9110 §7.6.1)."""

_OURS: Final = frozenset((b"x-crossfade-decision", b"x-crossfade-arm"))
_NOT_FORWARDED: Final = HOP_BY_HOP | _OURS | {b"host", b"content-length", b"expect", b"http2-settings"}
_NOT_RETURNED: Final = (HOP_BY_HOP - {b"trailer"}) | _OURS
_NO_TRAILERS: Final = (
    HOP_BY_HOP | _OURS | {b"host", b"content-length", b"content-type", b"content-encoding", b"set-cookie"}
)

CHUNKED: Final = -1
"""A length that is not known beforehand."""

_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Names:
    """Names that travel on, as they are usually spelt: known ones need not be lowered and looked up piece by piece."""

    __slots__ = ("_from_clients", "_from_models")

    def __init__(self) -> None:
        self._from_clients: dict[bytes, bool] = {}
        self._from_models: dict[bytes, bool] = {}

    def forwarded(self, name: bytes) -> bool:
        """Whether a client's header goes to a model."""
        known = self._from_clients.get(name)
        if known is None:
            lower = name.lower()
            known = not (lower in _NOT_FORWARDED or lower.startswith(b"x-crossfade-"))
            _remember(self._from_clients, name, known)
        return known

    def returned(self, name: bytes) -> bool:
        """Whether a model's header goes to a client."""
        known = self._from_models.get(name)
        if known is None:
            known = name.lower() not in _NOT_RETURNED
            _remember(self._from_models, name, known)
        return known


def _remember(known: dict[bytes, bool], name: bytes, value: bool) -> None:
    # Names are strangers' choice: few are remembered, and no long ones.
    if len(known) < 1000 and len(name) <= 64:
        known[name] = value


_names: Final = _Names()


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers of a request that travel on to a model, as lines; Host and framing are added per arm."""
    named: frozenset[bytes] | None = None
    lines: list[bytes] = []
    for name, value in headers:
        if _names.forwarded(name):
            lines.append(name)
            lines.append(b": ")
            lines.append(value)
            lines.append(b"\r\n")
            continue
        lower = name.lower()
        if lower == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            named = (named or frozenset()) | _tokens(value)
        elif lower == b"te" and b"trailers" in _tokens(value):
            # Said for ourselves: we do pass them on.
            lines.append(b"Connection: TE\r\nTE: trailers\r\n")
    if named and named != {b"te"}:
        gone = (named - {b"te"}) | {b"connection"}
        return request_headers([pair for pair in headers if pair[0].lower() not in gone])
    return b"".join(lines)


def request_head(method: str, target: bytes, where: Endpoint, lines: bytes, length: int | None) -> bytes:
    """The head of a request to a model. `length` None means that it has no body, `CHUNKED` that it is not known."""
    framing = b"" if length is None else _CHUNKED if length == CHUNKED else b"Content-Length: %d\r\n" % length
    return (
        method.encode()
        + b" "
        + where.base
        + target
        + b" HTTP/1.1\r\nHost: "
        + where.authority
        + b"\r\n"
        + lines
        + framing
        + b"\r\n"
    )


def reply_lines(head: Head, extra: Headers) -> tuple[list[bytes], bool]:
    """Status line and headers of a reply without its framing of ours, and whether it says its length."""
    lines = [_status_line(head.status, head.reason)]
    sized = False
    for name, value in head.headers:
        if _names.returned(name):
            if len(name) == 14 and name.lower() == b"content-length":
                if head.status == 204:
                    continue  # It must not have one (RFC 9110 §8.6): a client that believed it would wait for a body.
                sized = True
            lines.append(name)
            lines.append(b": ")
            lines.append(value)
            lines.append(b"\r\n")
        elif name.lower() == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            return reply_lines(_without(head, _tokens(value)), extra)
    for name, value in extra:
        lines.append(name)
        lines.append(b": ")
        lines.append(value)
        lines.append(b"\r\n")
    return lines, sized


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def trailer_lines(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Trailers that may travel on: none that a reader would have needed before the body."""
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs if pair[0].lower() not in _NO_TRAILERS)


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for token in value.split(b","))


def _without(head: Head, named: frozenset[bytes]) -> Head:
    # Framing and our own names cannot be talked away by the model's Connection header.
    gone = (named - {b"content-length", b"content-type"}) | {b"connection"}
    return Head(head.status, head.reason, tuple(pair for pair in head.headers if pair[0].lower() not in gone))


@lru_cache(maxsize=512)
def _status_line(status: int, reason: bytes) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)
