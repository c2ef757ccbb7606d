"""One public name for models that are called something else where they run.

Clients use the name that they always used. Where an arm's `model` differs from it, the name is replaced on the way to
that arm (in the path, or in an OpenAI body) and put back on the way home; every other byte stays what it was, and a
request that names no model gets none.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from crossfade.live import model_paths
from crossfade.live.exchange.messages import Head, Headers
from crossfade.live.protocols.open_inference import HEADER_LENGTH
from crossfade.live.routes import Route
from crossfade.spec.model import Protocol

LIMIT = 1 << 20
"""Bytes of a reply that are held in search of the name; a reply that has not said it by then passes as it is."""

SOON = 16 * 1024
"""Bytes up to which every piece of a reply is looked through for the name as it comes."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
# The last alternative is a string whose end has not come yet: nothing after it may be taken for a token.
_TOKEN = re.compile(_STRING + rb'|[{}\[\]]|"', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_WHOLE_STRING = re.compile(_STRING, re.DOTALL)
_STALE = frozenset((b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag"))


class Renamed(NamedTuple):
    """A request as one arm must get it, and how its reply is put right."""

    target: bytes
    body: bytes
    key: bytes
    """The member in which the reply names its model; empty where replies name none."""
    public: bytes
    """The name that the client used, as a JSON string."""


def renamed(protocol: Protocol | None, method: str, target: bytes, body: bytes, model: str) -> Renamed | None:
    """The request under the arm's own name; None when it names no model, or names it so already. Never raises."""
    if protocol is Protocol.OPENAI_CHAT:
        place = member(body, b"model")
        if place is None or msgspec.json.encode(model) == body[place[0] : place[1]]:
            return None
        own = msgspec.json.encode(model)
        return Renamed(target, body[: place[0]] + own + body[place[1] :], b"model", body[place[0] : place[1]])
    found = model_paths.find(target)
    if found is None or found.name == model:
        return None
    key = b"name" if method in ("GET", "HEAD") else b"model_name" if found.version == 2 else b""
    path = target[: found.start] + quote(model, safe="").encode() + target[found.end :]
    return Renamed(path, body, key, msgspec.json.encode(found.name))


def in_body(route: Route) -> bool:
    """Whether an arm of this route needs a name of its own in the body, which therefore has to be there as a whole."""
    named = any(arm.model is not None for arm in (route.champion, *route.challengers))
    return named and route.protocol is Protocol.OPENAI_CHAT


def member(data: bytes, key: bytes) -> tuple[int, int] | None:
    """Where the string value of a member of the outermost object stands. `data` may be the beginning of a document."""
    depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start() : token.start() + 1]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        elif token.end() - token.start() == 1:
            return None
        elif depth == 1 and data[token.start() + 1 : token.end() - 1] == key:
            colon = _COLON.match(data, token.end())
            value = _WHOLE_STRING.match(data, colon.end()) if colon is not None else None
            if value is not None:
                return value.span()
    return None


class Restoring:
    """One reply on its way home. Only good replies are looked into, and only those that can be read as they come."""

    __slots__ = ("_head", "_held", "_key", "_lines", "_next_look", "_passing", "_public")

    def __init__(self, key: bytes, public: bytes) -> None:
        self._key = key
        self._public = public
        self._head: Head | None = None
        self._held = b""
        self._passing = False
        self._next_look = 0
        self._lines = False
        """An event stream, in which every event names the model."""

    def take(self, head: Head | None, body: bytes, ended: bool) -> tuple[Head | None, bytes] | None:
        """What may be passed on now of what came; None when it is held until more comes."""
        if self._passing:
            return head, body
        if head is not None:
            kind, coding = _header(head, b"content-type").lower(), _header(head, b"content-encoding").lower()
            self._lines = kind.startswith(b"text/event-stream")
            unread = kind and b"json" not in kind and not kind.startswith(b"application/octet-stream")
            if not 200 <= head.status < 300 or coding not in (b"", b"identity") or (unread and not self._lines):
                self._passing = True
                return head, body
            if self._lines:
                head = Head(head.status, head.reason, _without(head.headers, _STALE | {b"content-length"}))
        return self._event(head, body, ended) if self._lines else self._document(head, body, ended)

    def _event(self, head: Head | None, body: bytes, ended: bool) -> tuple[Head | None, bytes] | None:
        """Whole lines of a stream, at once; the beginning of one waits for its end."""
        self._held += body
        cut = len(self._held) if ended or len(self._held) > LIMIT else self._held.rfind(b"\n") + 1
        whole, self._held = self._held[:cut], self._held[cut:]
        lines = [self._line(line) for line in whole.splitlines(keepends=True)]
        return (head, b"".join(lines)) if head is not None or lines or ended else None

    def _line(self, line: bytes) -> bytes:
        place = member(line, self._key) if line.startswith(b"data:") else None
        return line if place is None else line[: place[0]] + self._public + line[place[1] :]

    def _document(self, head: Head | None, body: bytes, ended: bool) -> tuple[Head | None, bytes] | None:
        """Held until the name has come; from there on it flows."""
        self._head = head or self._head
        self._held += body
        if not ended and len(self._held) < self._next_look:
            return None
        # The name is near the beginning. Where it is not, looking anew with every piece would take longer and longer.
        self._next_look = 2 * len(self._held) if len(self._held) > SOON else 0
        place = member(self._held, self._key)
        if place is None and not ended and len(self._held) <= LIMIT:
            return None
        self._passing = True
        head, body, self._held = self._head, self._held, b""
        if place is None or head is None:
            return head, body
        longer = len(self._public) - (place[1] - place[0])
        return _longer(head, longer), body[: place[0]] + self._public + body[place[1] :]


def _header(head: Head, name: bytes) -> bytes:
    return next((value for key, value in head.headers if key.lower() == name), b"").strip()


def _without(headers: Headers, names: frozenset[bytes]) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def _longer(head: Head, by: int) -> Head:
    """The head of a body that has grown by so many bytes near its beginning."""
    sizes = (b"content-length", HEADER_LENGTH.encode())
    return Head(
        head.status,
        head.reason,
        tuple(
            (name, b"%d" % (int(value) + by) if name.lower() in sizes and value.isdigit() else value)
            for name, value in _without(head.headers, _STALE)
        ),
    )
