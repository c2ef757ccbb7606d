"""Opens what a rollout in a program needs of the rim: a journal of its own and the store. Loaded only when one is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crossfade.client.claiming import claim
from crossfade.rim.glance import Glance
from crossfade.rim.glance_at import glance_at
from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.journal import Journal
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.recorder import Recorder
from crossfade.rim.routes_feed import RoutesFeed
from crossfade.rim.secrets import SecretError
from crossfade.rim.store import Store, UnknownRollout
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse

log = logging.getLogger("crossfade.client")


@dataclass(slots=True)
class Opened:
    """What is open; `close` lets go of it."""

    rollout: Rollout
    worker: str
    recorder: Recorder
    feed: RoutesFeed
    store: Store
    glance: Glance | ServerGlance
    claim: IO[str]

    def close(self) -> None:
        """Write what is left and let go of the files."""
        self.feed.stop()
        self.glance.close()
        self.recorder.close()
        self.store.close()
        self.claim.close()


def open_all(text: str, data: Path, now: float) -> Opened:
    """Everything for one rollout. Raises SpecProblems, StoreError or OSError.

    An unknown rollout is recorded and stays pending until somebody starts it. A known one keeps the spec it has:
    programs of two versions side by side must not take turns in changing it.
    """
    wanted = parse(text)
    store = Store(data)
    try:
        stored = store.get(wanted.name)
    except UnknownRollout:
        stored = store.add(text, wanted, now)
    if stored.revision != wanted.revision:
        log.warning(
            "%s runs by revision %s and not by the given spec (%s); `crossfade reload` records a changed one",
            wanted.name,
            stored.revision,
            wanted.revision,
        )
    keys = Keys(data)
    try:
        keys.of(stored.rollout)
    except SecretError:
        store.close()
        raise
    worker, held = claim(data)
    recorder = Recorder(Journal(data, worker))
    glance = glance_at(data)
    feed = RoutesFeed(glance, lambda: recorder.healthy, only=wanted.name, key=keys.of)
    return Opened(stored.rollout, worker, recorder, feed, store, glance, held)
