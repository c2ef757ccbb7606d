"""Corrections of outcomes as entries of the ledger: how many came, of what, and a digest of them all, batch by batch.

The corrections themselves are facts. An entry makes it plain, beside the decisions, that evidence changed afterwards
and by what; it is one for many, so that the ledger does not grow with them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from crossfade.rim.engine.session import Session, reading, text
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store, Stored
from crossfade.state import RULE, Phase

CORRECTIONS = "corrections"
"""The rule of such an entry, and where it says more: `about.corrections`."""

SOONEST, LATEST, SHARE = 60.0, 86_400.0, 0.05
"""Seconds between two entries that no decision asks for: a share of the time since the first one, within these."""

_ASKED = """SELECT outcome_id, corrects, name, decision_id, rollout, unit, value, received_at FROM ({facts})
    WHERE coalesce(corrects, '') <> '' AND name IN ({names})
    AND (decision_id <> '' OR (unit <> '' AND rollout = {rollout})) ORDER BY ALL"""


@dataclass(slots=True)
class _Told:
    """What a ledger says already."""

    upto: int | None = None
    """The version of the table up to which corrections are told; None where none is."""
    first: float | None = None
    last: float | None = None


class Corrected:
    """Tells every rollout's ledger of its corrections."""

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store, self._lake = store, lake
        self._session = Session(1)
        self._known: dict[str, _Told] = {}

    def note(self, stored: Stored, now: float, version: int | None, *, decided: bool = False) -> bool:
        """Write an entry where corrections have come up to a version of the outcomes' table; whether one was written.

        Once in a while, or at once where something is about to be `decided` on them. Raises LakeError, StoreError.
        """
        if version is None or stored.position.phase is Phase.PENDING:
            return False
        told = self._known.get(stored.name)
        if told is None:
            told = self._known[stored.name] = self._read(stored.name)
        if version == told.upto or not (decided or _due(told, now)):
            return False
        fresh = None if told.upto is None else self._lake.added("outcome", told.upto, version)
        files = self._lake.files("outcome", version) if fresh is None else fresh
        found = self._found(stored, files)
        told.last = now
        told.upto = version
        if not found:
            return False
        told.first = told.first or now
        self._store.note(
            stored.name,
            actor=RULE,
            rule=CORRECTIONS,
            sentence=_sentence(found, whole=fresh is None),
            at=now,
            about={CORRECTIONS: {**_summary(found), "upto": version, "whole": fresh is None}},
        )
        return True

    def close(self) -> None:
        """Free the memory."""
        self._session.close()

    def _read(self, name: str) -> _Told:
        """What was told before this process began."""
        entries = [entry for entry in self._store.entries(name) if entry.rule == CORRECTIONS and entry.about]
        if not entries:
            return _Told()
        said = dict(entries[-1].about or {})[CORRECTIONS]
        return _Told(upto=int(said["upto"]), first=entries[0].at, last=entries[-1].at)

    def _found(self, stored: Stored, files: list[str]) -> list[tuple[Any, ...]]:
        names = ", ".join(map(text, stored.rollout.outcome_names))
        if not files or not names:
            return []
        asked = _ASKED.format(facts=reading("outcome", files), names=names, rollout=text(stored.name))
        return self._session.connection.execute(asked).fetchall()


def _due(told: _Told, now: float) -> bool:
    if told.last is None:
        return True
    since = 0.0 if told.first is None else now - told.first
    return now - told.last >= min(max(SOONEST, SHARE * since), LATEST)


def _summary(found: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Of corrections in the order of their columns: how many of each name, and a digest that anyone can take again."""
    names: dict[str, int] = {}
    digest = hashlib.sha256()
    for row in found:
        names[row[2]] = names.get(row[2], 0) + 1
        digest.update(json.dumps(list(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return {"count": len(found), "names": names, "digest": digest.hexdigest()}


def _sentence(found: list[tuple[Any, ...]], *, whole: bool) -> str:
    names = _summary(found)["names"]
    told = ", ".join(f"{count:,} of {name}" for name, count in sorted(names.items()))
    many = "1 outcome was corrected" if len(found) == 1 else f"{len(found):,} outcomes were corrected"
    return f"{many} ({told}){', in all' if whole else ' since the last entry of this kind'}; evidence counts them now."
