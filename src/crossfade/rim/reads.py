"""Who looked at bodies: replies that are kept as examples are people's data, and the ledger says who saw them.

Once an hour a person and rollout: a ledger should tell that somebody looked, not how often they turned a page.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from crossfade.ledger import Entry
from crossfade.ledger.kinds import LOOKED
from crossfade.rim.remembered import remembered
from crossfade.rim.standing import plain
from crossfade.rim.store import Store

EVERY = 3600.0
"""Seconds for which one entry speaks."""

NOBODY_NAMED = "somebody"
"""Who asked without a token, which a private port lets pass."""


class Reads:
    """What is noted down for one store. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[tuple[str, str, str], float] = {}
        self._lock = threading.Lock()

    def note(self, name: str, who: str, by: Mapping[str, Any], at: float) -> Entry | None:
        """Put down that somebody is about to look, unless they did so within the hour. To be called before bodies are
        shown. Raises UnknownRollout, and StoreError where it cannot be written: then nobody may look."""
        who = plain(who) or NOBODY_NAMED
        key = (name, who, _how(by))
        with self._lock:
            if at - self._last.get(key, float("-inf")) >= EVERY:
                # Another process, or another page of this one, may have noted it since.
                self._last[key] = self._told(name, who, by)
            if at - self._last[key] < EVERY:
                return None
            entry = self._store.note(
                name,
                actor=who,
                rule=LOOKED,
                sentence=f"{who} looked at replies that are kept as examples.",
                at=at,
                by=by,
            )
            self._last[key] = at
            return entry

    def _told(self, name: str, who: str, by: Mapping[str, Any]) -> float:
        """When it was noted last, by whoever did."""
        for entry in reversed(remembered(self._store).entries(self._store.get(name))):
            if entry.rule == LOOKED and entry.actor == who and _how(entry.by or {}) == _how(by):
                return entry.at
        return float("-inf")


def _how(by: Mapping[str, Any]) -> str:
    return str(by.get("token") or by.get("user") or by.get("through"))
