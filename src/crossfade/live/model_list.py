"""OpenAI's list of models (`GET …/models`), and what it says of one (`GET …/models/NAME`), under names that clients may
use here.

An arm's own `model` is its server's business and may differ from arm to arm; a client that picked it from the list
would be tied to a name that is gone after the rollout. Requests may name the model as they like where arms have names
of their own, so the list shows a name that lasts: the spec's `model`, or else the rollout's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crossfade.live import model_paths
from crossfade.live.exchange.messages import Head
from crossfade.live.routes import Route
from crossfade.spec.model import Protocol

LIMIT = 1 << 20
"""Bytes of a list that are held to be read; a longer one passes as it is."""

_STALE = frozenset((b"content-length", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag"))


def public_names(routes: Iterable[Route], method: str, path: str, url: str | None = None) -> Mapping[str, str]:
    """The names of models to be replaced in the reply to such a request, and by what; none for other requests. With
    `url`, only of arms that this server answers for."""
    asked = model_paths.listed(path) if method == "GET" else ""
    if method != "GET" or not (asked or path.endswith("/models")):
        return {}
    return {
        arm.model: asked or route.public
        for route in routes
        if route.protocol is Protocol.OPENAI_CHAT and (not asked or _known(route, asked, anywhere=url is not None))
        for arm in (route.champion, *route.challengers)
        if arm.model is not None and url in (None, arm.url)
    }


def _known(route: Route, asked: str, *, anywhere: bool) -> bool:
    """Whether this name is one of the rollout's. Outside its route only the public one is: a model server may well
    have others of the arms' own names."""
    own = () if anywhere else (arm.model for arm in (route.champion, *route.challengers))
    return asked == route.public or asked in own


class Listing:
    """The reply to such a request."""

    __slots__ = ("_head", "_held", "_names", "_passing")

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._head: Head | None = None
        self._held = b""
        self._passing = False

    def take(self, head: Head | None, body: bytes, ended: bool) -> tuple[Head | None, bytes] | None:
        """What may be passed on now of what came; None when it is held until more comes."""
        if self._passing:
            return head, body
        self._head = head or self._head
        self._held += body
        head = self._head
        if head is not None and (head.status != 200 or len(self._held) > LIMIT or _coded(head)):
            self._passing = True
            return head, self._held
        if not ended or head is None:
            return None
        self._passing = True
        listed = self._renamed(self._held)
        if listed is None:
            return head, self._held
        kept = tuple(pair for pair in head.headers if pair[0].lower() not in _STALE)
        return Head(200, head.reason, (*kept, (b"Content-Length", b"%d" % len(listed)))), listed

    def _renamed(self, body: bytes) -> bytes | None:
        """The list with public names, each once, or the one model under its own; None where it names none of ours."""
        try:
            told = msgspec.json.decode(body)
            if "data" not in told:
                name = self._public(told["id"])
                return None if name is None else msgspec.json.encode({**told, "id": name})
            models: list[Any] = told["data"]
            found, seen, changed = [], set(), False
            for one in models:
                public = self._public(one["id"])
                changed = changed or public is not None
                name = public or one["id"]
                if name not in seen:
                    found.append(one if public is None else {**one, "id": public})
                seen.add(name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError, AttributeError):
            return None
        return msgspec.json.encode({**told, "data": found}) if changed else None

    def _public(self, name: str) -> str | None:
        # Some servers tell a revision behind the name: own@main.
        return self._names.get(name) or self._names.get(name.rpartition("@")[0])


def _coded(head: Head) -> bool:
    """Whether the body cannot be read as it comes."""
    return head.lowered().get("content-encoding", "identity") not in ("", "identity")
