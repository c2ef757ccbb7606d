"""Which rollouts there are, for who takes outcomes: as heard last, so that no report waits for a store that is away."""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.store import Store
from crossfade.rim.store_address import server
from crossfade.spec.model import Rollout


class Known:
    """The rollouts of one store. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        address = server()
        self._glance = None if address is None else ServerGlance(address, store.data)

    def rollouts(self) -> Mapping[str, Rollout]:
        """By name. Never waits for a server, but for its first answer. Raises StoreError."""
        stored = self._store.rollouts() if self._glance is None else self._glance.rollouts()
        return {one.rollout.name: one.rollout for one in stored}
