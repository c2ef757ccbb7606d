"""What each look at a rollout found, kept thinned out, so that people can see how it came to stand where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.rim.store import Store
from crossfade.view.history import history, with_look


class Looking:
    """Keeps the looks of one store's rollouts; it writes only when there is one to keep."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, dict[str, Any] | None] = {}

    def keep(self, name: str, record: Mapping[str, Any]) -> None:
        """Add the look that a record tells of."""
        if name not in self._known:
            self._known[name] = self._store.looks(name)
        found = with_look(self._known[name], record)
        if found is not None:
            self._store.save_looks(name, found)
            self._known[name] = found


def past_of(store: Store, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A rollout's history up to a record's time. Raises UnknownRollout."""
    stored = store.get(name)
    return history(stored.rollout, store.entries(name), store.looks(name), float(record["at"]))
