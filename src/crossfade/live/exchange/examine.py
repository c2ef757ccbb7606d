"""Looking into a copy of a reply: is it small and plain enough to read, and what does it predict."""

from __future__ import annotations

from crossfade.live.exchange.messages import Head
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid, Prediction, Wire
from crossfade.spec.model import Protocol

LIMIT = 1 << 20
"""Bytes of one reply that are held or copied in order to be read; larger replies pass through unread."""

_CODINGS = (b"", b"identity", b"gzip", b"x-gzip", b"deflate")


def predicts(protocol: Protocol, method: str) -> bool:
    """Whether a request of this method asks for a prediction; health checks and preflights do not."""
    return method == "POST" or (protocol is Protocol.JSON and method == "GET")


def readable(head: Head) -> bool:
    """Whether a reply is a whole document of bounded size in a coding we know, as far as its head tells."""
    if head.get(b"content-type").lower().startswith(b"text/event-stream"):
        return False
    if head.get(b"content-encoding").strip().lower() not in _CODINGS:
        return False
    length = head.get(b"content-length")
    return not length.isdigit() or int(length) <= LIMIT


def prediction(wire: Wire, head: Head, body: bytes) -> Prediction | Invalid | None:
    """What a whole 2xx reply predicts; None when it cannot be read, which says nothing against it."""
    return wire.prediction(head.lowered(), body) if readable(head) and len(body) <= LIMIT else None


def decoded(head: Head, body: bytes) -> bytes | Invalid:
    """The body without its content coding."""
    return document.plain(head.lowered(), body)
