"""What the controller does for the facts between looks: few files, none beyond their time, none left by the dead.

Nothing here is urgent: what fails is said and tried again, and costs space or speed but no fact.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from crossfade.ledger import Sealed, Sets
from crossfade.ledger.seals import RETENTION
from crossfade.rim import batches, examples, lake_upkeep
from crossfade.rim.batches import JournalError
from crossfade.rim.forgetting import Forgetting
from crossfade.rim.journal import Journal
from crossfade.rim.lake import KEEP_HOURS, Lake, LakeError
from crossfade.rim.recorder import Recorder
from crossfade.rim.sealing import Sealer
from crossfade.rim.store import Store, Stored, StoreError
from crossfade.spec.model import KEEP_FACTS
from crossfade.state import ENDED, RULE
from crossfade.view.words import duration, moment

log = logging.getLogger("crossfade.controller")

OPTIMIZE_EVERY = 60.0
"""Seconds between compactions of small files."""

VACUUM_EVERY = 3600.0
"""Seconds between removals of files that no version in use needs."""

RETIRE_EVERY = 86_400.0
"""Seconds between deletions of facts beyond their time."""


class Upkeep:
    """Looks after one lake, for its controller."""

    def __init__(self, store: Store, lake: Lake, sealer: Sealer | None = None, *, now: float) -> None:
        self._store, self._lake = store, lake
        self._sealer = sealer or Sealer(store, lake, now=now)
        self.forgetting = Forgetting(store, lake, self._sealer)
        self._optimized = self._adopted = now
        # A controller that dies every hour must not leave the lake to grow: the first look comes soon.
        self._vacuumed = now - VACUUM_EVERY + OPTIMIZE_EVERY
        self._retired = now - RETIRE_EVERY + OPTIMIZE_EVERY
        self._settled: dict[Path, int] = {}

    def turn(self, now: float) -> None:
        """Do one thing that is due, so that no look at the evidence waits for all of them."""
        try:
            if self.forgetting.turn():
                return
            self._sealer.turn(now)
            if now - self._adopted >= OPTIMIZE_EVERY:
                self._adopted = now
                self.adopt()
                return
            if now - self._retired >= RETIRE_EVERY:
                self._retired = now
                self.retire(now)
            elif now - self._vacuumed >= VACUUM_EVERY:
                self._vacuumed = now
                self.vacuum(now)
            elif now - self._optimized >= OPTIMIZE_EVERY:
                self._optimized = now
                self._lake.optimize()
        except (LakeError, StoreError, JournalError) as error:
            log.warning("could not tidy the lake, which costs space and speed and nothing else: %s", error)

    def adopt(self) -> int:
        """Write what workers took before they were killed, where none of their name has come back to; how many facts.

        A worker's successor does so itself. But who serves with fewer workers than before has no successor for some.
        """
        count = 0
        for tail in sorted((self._lake.data / batches.FOLDER).glob("*.tail")):
            seen = tail.stat().st_mtime_ns
            if self._settled.get(tail) == seen or _in_use(tail):
                continue
            recorder = Recorder(Journal(self._lake.data, tail.stem))
            if recorder.recovered:
                log.warning("wrote %d facts that %s had left when it died", recorder.recovered, tail.stem)
                count += recorder.recovered
            done = recorder.healthy
            recorder.close()
            if done:
                self._settled[tail] = tail.stat().st_mtime_ns
        return count

    def retire(self, now: float) -> dict[str, int]:
        """Delete the facts of ended rollouts beyond the time that their specs ask for, and nobody's old ones."""
        cuts = {stored.name: self._cut(stored, now) for stored in self._store.rollouts()}
        before = now - KEEP_FACTS
        deleted = self._lake.retire(before, cuts, announce=lambda: self._announce(before, cuts, now))
        for name, cut in cuts.items():
            aged = examples.age(self._lake.data, name, cut)
            if aged:
                log.info("deleted %d examples of %s, as the retention asks", aged, name)
        return deleted

    def _announce(self, before: float, cuts: Mapping[str, float], now: float) -> None:
        """Say in seals and ledgers what is about to go, so that a death in the middle leaves nothing unsaid.

        Who dies before all has gone says it again when the rest goes.
        """
        seal = self._sealer.retention(before, cuts, now)
        counts = {kind: lake_upkeep.doomed(self._lake.files(kind), kind, before, cuts) for kind in lake_upkeep.TIMES}
        if deleted := {kind: count for kind, count in counts.items() if count}:
            self._told_retired(seal, cuts, deleted, now)

    def _told_retired(self, seal: Sealed, cuts: Mapping[str, float], deleted: Mapping[str, int], now: float) -> None:
        """An entry in the ledger of each rollout whose facts may be among those that were deleted."""
        count = sum(deleted.values())
        for stored in self._store.rollouts():
            cut = cuts.get(stored.name)
            if cut is None or self._store.entries(stored.name)[0].at >= cut:
                # It began after what was deleted, so none of it is its own.
                continue
            kept = duration(stored.rollout.keep_facts)
            self._store.note(
                stored.name,
                actor=RULE,
                rule=RETENTION,
                sentence=f"Deleted facts from before {moment(cut)} UTC, as keep_facts ({kept}) asks: {count:,} of all "
                f"rollouts of this folder in one go (seal {seal.n}).",
                at=now,
                about={
                    "erased": {
                        "why": RETENTION,
                        "before": cut,
                        "rule": f"keep_facts: {kept}",
                        "facts": dict(deleted),
                        "seal": {"n": seal.n, "hash": seal.hash},
                    }
                },
            )

    def vacuum(self, now: float) -> int:
        """Remove files, but none of a version that a decision names whose facts are still kept."""
        named: dict[str, set[int]] = {}
        for stored in self._store.rollouts():
            cut = self._cut(stored, now)
            for entry in self._store.entries(stored.name):
                if entry.at >= cut and entry.facts:
                    for kind, version in entry.facts.items():
                        named.setdefault(kind, set()).add(version)
        return self._lake.vacuum(
            keep_hours=KEEP_HOURS,
            named=named,
            needed=self._sealed(now),
            announce=lambda doomed: self._sealer.removal(doomed, now),
        )

    def _sealed(self, now: float) -> set[tuple[str, str]]:
        """The files of every seal that such a decision names, as they are now.

        A table's log names them as well, unless a unit was forgotten since: then only the seals do.
        """
        sets, by_seal = Sets(), []
        for seal in self._sealer.chain():
            sets.take(seal, seal.n)
            by_seal.append({kind: list(files) for kind, files in sets.tables.items()})
        found: set[tuple[str, str]] = set()
        for stored in self._store.rollouts():
            cut = self._cut(stored, now)
            for entry in self._store.entries(stored.name):
                if entry.at >= cut and entry.sealed is not None and entry.sealed["n"] <= len(by_seal):
                    files = by_seal[int(entry.sealed["n"]) - 1]
                    found.update((kind, sets.resolved(kind, name)) for kind, names in files.items() for name in names)
        return found

    def _cut(self, stored: Stored, now: float) -> float:
        """Before which time a rollout's facts may go."""
        cut = now - stored.rollout.keep_facts
        if stored.position.phase in ENDED:
            return cut
        began = self._store.entries(stored.name)[0].at
        return min(cut, began)


def _in_use(tail: Path) -> bool:
    """Whether a living worker holds it."""
    handle = os.open(tail, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
