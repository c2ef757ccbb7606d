"""Which rollouts of a store were both interleaved and A/B tested, read from their ledgers when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.ledger.twice import Twice, how, interleaved
from crossfade.rim.remembered import remembered
from crossfade.rim.store import Store
from crossfade.rim.stored import Stored
from crossfade.view.preference import worth


class Before:
    """Tests of both kinds by route and manner, gathered once for all rollouts that are looked at together."""

    def __init__(self, store: Store, known: Sequence[Stored]) -> None:
        self._found: dict[tuple[object, ...], list[Twice]] = {}
        for stored in known:
            stage = interleaved(stored.rollout)
            if stage is None:
                continue
            both = remembered(store).twice(stored)
            if both:
                self._found.setdefault((stored.rollout.route, how(stage)), []).extend(both)

    def worth(self, stored: Stored, evidence: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """What the preference of one rollout may be worth, by itself and the others on its route."""
        stage = interleaved(stored.rollout)
        if stage is None:
            return None
        found = self._found.get((stored.rollout.route, how(stage)), ())
        own = [one for one in found if one.rollout == stored.name]
        return worth(stored.rollout, evidence, [one for one in found if one.rollout != stored.name], own)


def before(store: Store, stored: Stored) -> Before:
    """For one rollout that is looked at alone: nothing else is read where it does not interleave."""
    return Before(store, store.rollouts() if interleaved(stored.rollout) is not None else ())
