"""What is refused before anybody acts on it: limits, ambiguous framing, and the words that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from crossfade.rim.limits import Limits, Refusal

# WSGI servers cannot tell these from the real ones.
_MISSPELT: Final = (b"content_length", b"transfer_encoding")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]*)?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")


class Malformed(Exception):
    """Raised out of the parser's callbacks."""

    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.refusal = Refusal(status, error, what_to_do)


class Checked:
    """A head that can be read in one way only."""

    __slots__ = ("expects", "framed", "length", "target")

    def __init__(self, target: bytes, framed: bool, expects: bool, length: int | None) -> None:
        self.target = target
        """Path and query."""
        self.framed = framed
        """It says that there is a body, be it empty."""
        self.expects = expects
        """The client waits for `100 Continue`."""
        self.length = length
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
        raise too_large_head(limits, target)
    if hosts > 1 or (hosts == 0 and modern):
        raise Malformed(400, f"a request has exactly one Host header, this one has {hosts}", "send one")
    if method in ("CONNECT", "TRACE"):
        raise Malformed(501, f"{method} is not served here", "send requests for the models served here")
    return Checked(_origin_form(target), framed, expects, length)


def other_protocol(data: bytes, method: str, target: bytes) -> bool:
    """Whether there is such a request line in RTSP, whose words llhttp takes for HTTP's. It does not say where in the
    bytes it is, so the same line further on is enough: that refuses too much rather than too little."""
    # `in` would first try to take the pattern for a number, at ten times the price.
    if data.find(b" RTSP/") < 0:
        return False
    return re.search(rb"(?:^|\n)%b +%b +RTSP/" % (method.encode(), re.escape(target)), data) is not None


def malformed(error: str) -> Refusal:
    """The refusal of what llhttp could not parse."""
    return Refusal(400, f"not a well-formed HTTP request: {error}", "send HTTP/1.1 as RFC 9112 has it")


NOT_HTTP: Final = malformed("the request line is not HTTP's")


def too_large_head(limits: Limits, target: bytes = b"") -> Malformed:
    """Too many header bytes, or most of them in the request target."""
    if len(target) > limits.head_bytes // 2:
        told = f"the request target and the headers are larger than {limits.head_bytes} bytes, most of it the target"
        return Malformed(414, told, "send what is long in the body")
    return Malformed(431, f"the headers are larger than {limits.head_bytes} bytes", "send fewer or shorter headers")


def too_large_body(limits: Limits) -> Malformed:
    """Too many body bytes."""
    return Malformed(413, f"the body is larger than {limits.body_bytes} bytes", "send smaller batches")


_plain: Final[dict[bytes, bool]] = {}
"""Targets that were found to need nothing done: the same few come again and again."""


def _origin_form(target: bytes) -> bytes:
    """Path and query of a request target; the absolute form loses its authority."""
    if target in _plain:
        return target
    found = _taken_apart(target)
    if found is target and len(target) <= 256 and len(_plain) < 1000:
        _plain[target] = True
    return found


def _taken_apart(target: bytes) -> bytes:
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None or not _names_a_host(absolute[1]):
            raise Malformed(400, "the request target is neither a path nor an http url", "send the path and query")
        rest = target[absolute.end() :]
        target = rest if rest.startswith(b"/") else b"/" + rest
    if target.find(b"%") >= 0 or target.find(b"/.") >= 0 or target.find(b"#") >= 0:
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


_LONGEST: Final = 255
"""Bytes of a host that is remembered: clients choose them."""


def _names_a_host(value: bytes) -> bool:
    return _known_host(value) if len(value) <= _LONGEST else _is_host(value)


def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None and b".." not in value


_known_host: Final = lru_cache(maxsize=1024)(_is_host)
