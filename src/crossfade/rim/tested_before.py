"""Which rollouts of a store were both interleaved and A/B tested, read from their ledgers when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.ledger.twice import interleaved
from crossfade.rim.remembered import remembered
from crossfade.rim.store import Store
from crossfade.rim.stored import Stored
from crossfade.view.preference import worth


def worth_of(
    store: Store, stored: Stored, evidence: Sequence[Mapping[str, Any]], known: Sequence[Stored] | None = None
) -> dict[str, Any] | None:
    """What the preference of one rollout may be worth, by itself and the others on its route, among those `known`."""
    if interleaved(stored.rollout) is None:
        return None
    everyone = store.rollouts() if known is None else known
    others = [one for one in everyone if one.name != stored.name and one.rollout.route == stored.rollout.route]
    past = [one for other in others for one in remembered(store).twice(other)]
    return worth(stored.rollout, evidence, past, remembered(store).twice(stored))
