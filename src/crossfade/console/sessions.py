"""Who has shown a token in their browser, and for how long that holds. Kept in memory: it ends with the process."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

LASTS = 8 * 3600.0
"""Seconds after which a token has to be shown again."""

MOST = 1000
"""Sessions at a time; the oldest give way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser that has shown a token."""

    secret: str
    """The token itself, so that it is looked up anew at each use: one that is revoked opens nothing from then on."""
    said: str
    """The name that its person gave; of use where the token has none."""
    until: float


class Sessions:
    """The sessions of one process. Browsers hold random names of them, and here only hashes of these are kept."""

    def __init__(self) -> None:
        self._known: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, secret: str, said: str, now: float) -> str:
        """Begin one; the name that its browser has to show."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            for key in [key for key, one in self._known.items() if one.until <= now]:
                del self._known[key]
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[_hash(name)] = Session(secret=secret, said=said, until=now + LASTS)
        return name

    def find(self, name: str | None, now: float) -> Session | None:
        """The session of that name, unless it is over."""
        found = self._known.get(_hash(name)) if name else None
        return found if found is not None and found.until > now else None

    def end(self, name: str | None) -> None:
        """End one; the name opens nothing any more, whoever has it."""
        with self._lock:
            self._known.pop(_hash(name or ""), None)


def cookie(headers: Mapping[str, str]) -> str:
    """The name of the cookie: browsers do not tell ports apart, and two ports have two sessions."""
    _, _, port = headers.get("host", "").rpartition(":")
    return f"crossfade-{port if port.isdigit() else 80}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
