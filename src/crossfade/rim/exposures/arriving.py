"""What is known of rollouts where exposures arrive: kept as long as the store says that nothing has changed."""

from __future__ import annotations

import threading
from pathlib import Path

from crossfade.rim.exposures.placing import Placed, Places
from crossfade.rim.exposures.reading import Context
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.store import Store
from crossfade.spec.model import Rollout


class Arriving:
    """The rollouts of one store, for who reads exposures. Safe to share between threads."""

    def __init__(self, data: Path, store: Store) -> None:
        self._store, self._keys = store, Keys(data)
        self._lock = threading.Lock()
        self._version = -1
        self._rollouts: dict[str, Rollout] = {}
        self._places: dict[str, Places] = {}

    def context(self, now: float) -> Context:
        """What is known now. Raises StoreError."""
        with self._lock:
            version = self._store.version()
            if version != self._version:
                self._rollouts = {one.name: one.rollout for one in self._store.rollouts()}
                self._places = {}
                self._version = version
            rollouts, places = self._rollouts, self._places

        def placed(name: str, at: float) -> Placed:
            if name not in places:
                places[name] = Places(rollouts[name], self._store.entries(name))
            return places[name].at(at)

        def recorded(name: str, unit: str) -> str:
            return self._keys.recorded(rollouts[name], unit)

        return Context(rollouts=rollouts, placed=placed, recorded=recorded, now=now)
