"""What has been read of ledgers, remembered: entries are only ever added, so looking again reads only what is new.

Evidence is left out, because it is most of a ledger; kept of it is only what the last entries said that tells what a
preference has been worth.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crossfade.judge.infer.preference import PREFERENCE
from crossfade.ledger import Entry
from crossfade.ledger.twice import Twice, interleaved, twice
from crossfade.rim.store import Store
from crossfade.rim.stored import Stored
from crossfade.spec.model import Ab, stage_name

KEPT = ("metric", "arm", "kind", "stage", "segment", "estimate", "lower", "upper")
"""What is kept of a line of evidence."""

_AB = stage_name(Ab())

Read = Callable[[str, int], Sequence[Entry]]
"""The entries of a rollout after a number."""


@dataclass(slots=True)
class _Known:
    """What is remembered of one ledger."""

    entries: list[Entry] = field(default_factory=list)
    """Without their evidence."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    """The last that was said of each metric in an interleaving or an A/B test."""
    both: tuple[str, int, list[Twice]] | None = None
    """What follows from them, and of which revision and entry it is."""


_OF: weakref.WeakKeyDictionary[Store, Remembered] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def remembered(store: Store) -> Remembered:
    """What is remembered of a store, as long as it is open."""
    with _LOCK:
        found = _OF.get(store)
        if found is None:
            # Not the store itself: it would be kept for ever by what is remembered of it.
            known = weakref.ref(store)
            found = _OF[store] = Remembered(lambda name, after: _read(known(), name, after))
        return found


def _read(store: Store | None, name: str, after: int) -> Sequence[Entry]:
    return store.entries(name, after) if store is not None else ()


class Remembered:
    """What is remembered of the ledgers of one store. Safe to share between threads."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def entries(self, stored: Stored) -> list[Entry]:
        """The ledger of a rollout up to where it stood, without evidence. Raises StoreError."""
        with self._lock:
            return self._up_to(stored).entries[: stored.seq]

    def twice(self, stored: Stored) -> list[Twice]:
        """Its challengers that were both interleaved and A/B tested."""
        both = any(isinstance(stage, Ab) for stage in stored.rollout.stages)
        if not both or interleaved(stored.rollout) is None:
            return []
        with self._lock:
            known = self._up_to(stored)
            if not known.lines:
                return []
            if known.both is None or known.both[:2] != (stored.revision, len(known.entries)):
                told = replace(known.entries[-1], evidence=tuple(known.lines.values()))
                known.both = (stored.revision, len(known.entries), twice(stored.rollout, [told]))
            return known.both[2]

    def _up_to(self, stored: Stored) -> _Known:
        known = self._known.get(stored.name)
        if known is None:
            known = self._known[stored.name] = _Known()
        if len(known.entries) < stored.seq:
            for entry in self._read(stored.name, len(known.entries)):
                known.entries.append(replace(entry, evidence=()))
                _keep(known.lines, entry.evidence)
        return known


def _keep(lines: dict[tuple[Any, ...], dict[str, Any]], evidence: Sequence[Mapping[str, Any]]) -> None:
    for line in evidence:
        told = line["segment"] is None and (line["metric"] == PREFERENCE.name or line["stage"] == _AB)
        if told and line["estimate"] is not None:
            key = tuple(line[name] for name in KEPT[:4])
            lines[key] = {name: line[name] for name in KEPT}
