"""Health and readiness in the fullest form that any client of the Open Inference Protocol asks for.

Servers answer with a status alone (MLServer, Triton) or with JSON beside it (KServe), and some clients read only the
status, others only the JSON. Where a model server says yes without a word, the word is added; what it does say, and
every no, is its own.
"""

from __future__ import annotations

import re

import msgspec

from crossfade.live.exchange.messages import Head

_ASKED = re.compile(r".*/v2/(?:health/(live|ready)|models/([^/]+)(?:/versions/[^/]+)?/ready)")


def affirmation(method: str, path: str) -> bytes:
    """The JSON that belongs to a yes; empty for requests that ask for something else."""
    found = _ASKED.fullmatch(path) if method == "GET" and path.endswith(("/live", "/ready")) else None
    if found is None:
        return b""
    return msgspec.json.encode({found[1]: True} if found[1] else {"name": found[2], "ready": True})


class Affirming:
    """One reply to such a request."""

    __slots__ = ("_head", "_passing", "_said")

    def __init__(self, said: bytes) -> None:
        self._said = said
        self._head: Head | None = None
        self._passing = False

    def take(self, head: Head | None, body: bytes, ended: bool) -> tuple[Head | None, bytes] | None:
        """What may be passed on now of what came; None when it is held until more comes."""
        if self._passing:
            return head, body
        self._head = head or self._head
        if not ended and not body:
            return None
        self._passing = True
        head = self._head
        if body or head is None or head.status != 200:
            return head, body
        kept = tuple(pair for pair in head.headers if pair[0].lower() not in (b"content-length", b"content-type"))
        size = (b"Content-Length", b"%d" % len(self._said))
        return Head(200, head.reason, (*kept, (b"Content-Type", b"application/json"), size)), self._said
