"""Corrections of one rollout's outcomes as they come in, before or after what they correct: which value counts.

Corrections are few, so each is an object, found by a hash of its id and owner. Outcomes are many: the corrected one is
found among those of its owner, and none of the others is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import distinct
from crossfade.rim.engine.hits import Hits
from crossfade.rim.engine.keys import KeyIndex


@dataclass(frozen=True, slots=True)
class _Correction:
    target: int
    value: float
    order: tuple[float, str]
    """Of those side by side the largest counts: received last, then by id."""


class Corrections:
    """What is known of them. Idents are hashes of an outcome's id, name and owner."""

    def __init__(self, hits: Hits) -> None:
        self._hits = hits
        self._known: dict[int, _Correction] = {}
        self._of: dict[int, list[int]] = {}
        """What corrects what."""
        self._targets = KeyIndex()
        self._originals: dict[int, int] = {}
        """Outcomes that are corrected, as hits."""
        self._sizes: dict[int, int] = {}
        """How many corrections lead to each of them."""

    @property
    def waiting(self) -> int:
        """Corrections that lead to no outcome that is known."""
        return len(self._known) - sum(self._sizes.values())

    @property
    def corrected(self) -> int:
        """Outcomes of known units that have been corrected."""
        hit = np.fromiter(self._originals.values(), dtype=np.int64, count=len(self._originals))
        return int((self._hits.log["unit"][hit] >= 0).sum())

    def take(self, rows: Rows, came: Ints) -> Ints:
        """Take in corrections, and hits that `came` with them; the hits whose value is another now."""
        roots = self._learn(rows)
        roots |= self._meet(came) if self._of else set()
        return np.asarray(sorted({hit for root in roots for hit in self._settle(root)}), dtype=np.int64)

    def _learn(self, rows: Rows) -> set[int]:
        """Remember corrections; the outcomes that they lead to."""
        if not len(rows["ident"]):
            return set()
        told = zip(*(rows[name].tolist() for name in ("ident", "target", "value", "received", "id")), strict=True)
        idents = []
        for ident, target, value, received, id_ in told:
            if ident not in self._known:
                self._known[ident] = _Correction(target, value, (received, id_))
                self._of.setdefault(target, []).append(ident)
                idents.append(ident)
        self._targets.number(rows["target"].astype(np.uint64))
        self._meet(self._hits.of_owners(rows["unit"], rows["decision"]))
        return {root for ident in idents if (root := self._root(ident)) in self._originals}

    def _meet(self, hits: Ints) -> set[int]:
        """Notice which of these hits are corrected."""
        idents = self._hits.log["ident"][hits]
        known = self._targets.find(idents) >= 0
        met = dict(zip(idents[known].tolist(), hits[known].tolist(), strict=True))
        self._originals |= met
        return set(met)

    def _root(self, ident: int) -> int:
        seen: set[int] = set()
        while ident in self._known and ident not in seen:
            seen.add(ident)
            ident = self._known[ident].target
        return ident

    def _settle(self, root: int) -> list[int]:
        """Give an outcome the value that counts; its hit, if that is another."""
        found: list[int] = []
        ahead = list(self._of.get(root, ()))
        while ahead:
            ident = ahead.pop()
            found.append(ident)
            ahead += self._of.get(ident, ())
        self._sizes[root] = len(found)
        ends = [self._known[ident] for ident in found if ident not in self._of]
        value = max(ends, key=lambda one: one.order).value
        hit = self._originals[root]
        if self._hits.log["value"][hit] == value:
            return []
        self._hits.log["value"][hit] = value
        return [hit]


def owners(hits: Hits, hit: Ints) -> Ints:
    """The units of some hits, as far as they are known."""
    units = hits.log["unit"][hit].astype(np.int64)
    return distinct(units[units >= 0])
