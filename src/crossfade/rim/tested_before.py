"""Which rollouts of a store were both interleaved and A/B tested, read from their ledgers when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.ledger.twice import Twice, interleaved, twice
from crossfade.rim.store import Store
from crossfade.rim.stored import Stored
from crossfade.spec.model import Ab
from crossfade.view.preference import worth


def worth_of(store: Store, stored: Stored, evidence: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the preference of one rollout may be worth, by itself and the others on its route."""
    if interleaved(stored.rollout) is None:
        return None
    others = [one for one in store.rollouts() if one.name != stored.name and one.rollout.route == stored.rollout.route]
    past = [one for other in others for one in _twice(store, other)]
    return worth(stored.rollout, evidence, past, _twice(store, stored))


def _twice(store: Store, stored: Stored) -> list[Twice]:
    if interleaved(stored.rollout) is None or not any(isinstance(stage, Ab) for stage in stored.rollout.stages):
        return []
    return twice(stored.rollout, store.entries(stored.name))
