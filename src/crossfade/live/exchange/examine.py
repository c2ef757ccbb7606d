"""Looking into a copy of a reply: is it small and plain enough to read, and what does it predict."""

from __future__ import annotations

from typing import Final

from crossfade.live.exchange.messages import Head
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid, Prediction, Wire
from crossfade.live.protocols.open_inference import HEADER_LENGTH
from crossfade.spec.model import Protocol

LIMIT: Final = 1 << 20
"""Bytes of one reply that are held or copied in order to be read; larger replies pass through unread."""

_BINARY: Final = HEADER_LENGTH.encode()
_CODINGS: Final = frozenset((b"", b"identity", b"gzip", b"x-gzip", b"deflate"))

_ABOUT_BODY: Final = frozenset((b"content-type", b"content-encoding", _BINARY))
_LENGTHS: Final = frozenset(map(len, _ABOUT_BODY))


def predicts(protocol: Protocol, method: str) -> bool:
    """Whether a request of this method asks for a prediction; health checks and preflights do not."""
    return method == "POST" or (protocol is Protocol.JSON and method == "GET")


def readable(head: Head, *, streams: bool = False) -> bool:
    """Whether a reply is a whole document of bounded size in a coding we know, as far as its head tells.

    `streams`: an event stream will do as well, since it is read in a copy once it has passed.
    """
    for name, value in head.headers:
        match len(name):
            case 12 if name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream"):
                if not streams:
                    return False
            case 14 if name.lower() == b"content-length" and value.isdigit() and int(value) > LIMIT:
                return False
            case 16 if name.lower() == b"content-encoding" and value.strip().lower() not in _CODINGS:
                return False
            case _:
                pass
    return True


def listable(head: Head) -> bool:
    """Whether a reply is readable and its list could be taken apart: not one of raw tensors behind a JSON header."""
    return readable(head) and not any(len(name) == len(_BINARY) and name.lower() == _BINARY for name, _ in head.headers)


def prediction(wire: Wire, head: Head, body: bytes) -> Prediction | Invalid:
    """What a whole, readable 2xx reply predicts."""
    return wire.prediction(about_body(head), body)


def flaw(wire: Wire, head: Head, body: bytes) -> Invalid | None:
    """Why a whole, readable 2xx reply is unusable; None when it is not, or decodes to more than is read. Quicker than
    to see what it predicts."""
    found = wire.flaw(about_body(head), body)
    return None if found is not None and found.reason == document.LARGE else found


def about_body(head: Head) -> dict[str, str]:
    """The headers that say how to read a body; the others are not worth decoding."""
    found = {}
    for name, value in head.headers:
        if len(name) in _LENGTHS and (lower := name.lower()) in _ABOUT_BODY:
            found[lower.decode()] = value.decode("latin-1")
    return found


def decoded(head: Head, body: bytes) -> bytes | Invalid:
    """The body without its content coding."""
    return document.plain(about_body(head), body)
