"""Seals the lake: says in the chain which files hold the facts, before a decision that stands on them is acted on.

Between decisions it does so from time to time, ever more seldom, so that a chain stays short however long it runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

from crossfade.ledger import Seal, Sealed, SealedFile, SealedTable, Sets
from crossfade.ledger.seals import RETENTION, SEARCHED
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.searching import kept
from crossfade.rim.store import StaleSeal, Store, StoreError

log = logging.getLogger("crossfade.controller")

SOONEST, LATEST = 60.0, 86_400.0
"""Seconds between seals that no decision asked for: a twentieth of the chain's age, but within these bounds.

That is twenty in the first twenty minutes, some hundred and twenty in the first week, and one a day in the end.
"""


class Sealer:
    """The one who appends to the chain of seals of one data folder."""

    def __init__(self, store: Store, lake: Lake, *, now: float) -> None:
        self._store, self._lake = store, lake
        self._sets: Sets | None = None
        self._digests: dict[tuple[str, str], SealedFile] = {}
        self._last: Sealed | None = None
        self._began = self._at = now

    def decision(self, versions: Mapping[str, int], now: float) -> dict[str, object] | None:
        """What a decision's entry says of the files it stands on; None where they could not be sealed.

        A decision is never kept waiting by that: its entry then names versions without a seal, and whoever verifies
        is told so.
        """
        if not versions:
            # Nothing has been recorded yet: there is nothing to seal.
            return None
        try:
            found = self.seal("decision", now, versions)
        except (LakeError, StoreError) as error:
            log.error("could not seal the facts of a decision, which is taken without: %s", error)
            return None
        if found is None:
            log.error("the lake is older than the last seal of it: a decision is taken on facts that are not sealed")
            return None
        return {"n": found.n, "hash": found.hash}

    def turn(self, now: float) -> None:
        """Seal what came in, if it is time. Raises LakeError or StoreError."""
        every = min(LATEST, max(SOONEST, (now - self._began) / 20.0))
        if now - self._at >= every:
            self._at = now
            self.seal("periodic", now)

    def seal(self, why: str, now: float, versions: Mapping[str, int] | None = None) -> Sealed | None:
        """The seal of these versions, or of the present ones: a new one, or the last where nothing has changed."""
        try:
            return self._seal(why, now, versions)
        except StaleSeal:
            # Another controller was at it meanwhile: what it said comes first.
            self._sets = None
            return self._seal(why, now, versions)

    def _seal(self, why: str, now: float, versions: Mapping[str, int] | None) -> Sealed | None:
        sets = self._known()
        versions = self._lake.versions() if versions is None else versions
        if any(version < sets.versions.get(kind, 0) for kind, version in versions.items()):
            # An older state than the one that was sealed last cannot come after it in the chain.
            return None
        tables = {
            kind: self._table(sets, kind, version)
            for kind, version in versions.items()
            if version != sets.versions.get(kind)
        }
        if not tables:
            return self._last
        searched = kept.set_aside(self._store.data)
        sealed = self._append(Seal(at=now, why=why, tables=tables, note={SEARCHED: searched} if searched else {}))
        kept.tidy(self._store.data, searched)
        return sealed

    def removal(self, doomed: Mapping[str, Sequence[str]], now: float) -> None:
        """Say that files are about to be deleted; those that were never sealed need no saying."""
        # Read anew: what another controller sealed must not go without a word.
        self._sets = None
        sets = self._known()
        told = {kind: [name for name in names if (kind, name) in sets.known] for kind, names in doomed.items()}
        told = {kind: names for kind, names in told.items() if names}
        if told:
            # The files must have left their tables before they go; a long silence may have kept that from being said.
            self.seal("periodic", now)
            self._append(Seal(at=now, why="vacuum", removed=told))

    def retention(self, before: float, cuts: Mapping[str, float], now: float) -> Sealed:
        """Say that facts from before a time, or from before the cut of their rollout, are about to be deleted."""
        self.seal("periodic", now)
        return self._append(Seal(at=now, why=RETENTION, note={"before": before, "cuts": dict(cuts)}))

    def say(self, seal: Seal) -> Sealed:
        """Put a seal of somebody else's at the end of the chain."""
        self.sets()
        return self._append(seal)

    def sets(self) -> Sets:
        """What the chain says now, read anew."""
        self._sets = None
        return self._known()

    def chain(self) -> list[Sealed]:
        """Every seal."""
        return [Sealed.from_json(json.loads(text)) for text in self._store.seals()]

    def _table(self, sets: Sets, kind: str, version: int) -> SealedTable:
        before = sets.tables.get(kind, {})
        names = self._lake.names(kind, version)
        added = {name: self._file(kind, name) for name in names if name not in before}
        left = sorted(before.keys() - set(names))
        return SealedTable(version=version, log=self._lake.log_digest(kind, version), added=added, left=left)

    def _file(self, kind: str, name: str) -> SealedFile:
        if (kind, name) not in self._digests:
            self._digests[kind, name] = self._lake.described(kind, name)
        return self._digests[kind, name]

    def _append(self, seal: Seal) -> Sealed:
        sealed = self._store.seal(seal, self._last.n if self._last else 0)
        self._last = sealed
        self._at = seal.at
        self._known().take(sealed, sealed.n)
        self._digests.clear()
        return sealed

    def _known(self) -> Sets:
        """What the chain says so far. A chain that was damaged is gone on with: who verifies it sees where it broke."""
        if self._sets is None:
            sets, self._last = Sets(), None
            for text in self._store.seals():
                try:
                    seal = Sealed.from_json(json.loads(text))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise StoreError(f"a seal in the store cannot be read: {error!r}") from error
                sets.take(seal, seal.n)
                self._last = seal
                self._began = min(self._began, seal.at)
            self._sets = sets
        return self._sets
