"""Every field of a rollout together: inputs of everyone, predictions and outcomes of each arm, under one alpha."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log

from crossfade.facts import Sketched
from crossfade.judge.drift.counts import Counts, of_sketches
from crossfade.judge.drift.watch import BROKEN, ENOUGH, LEAST, Change, Side, Watch

EVERYONE = ""
"""In place of an arm: inputs are the same for all, so they are looked at together."""

Key = tuple[Side, str, str]
"""Side, arm, field."""


class Family:
    """Fed with the sketches of one slice after the other."""

    def __init__(self, *, every: float, reference: float) -> None:
        self._every, self._reference = every, reference
        self._watches: dict[Key, Watch] = {}
        self._first: dict[tuple[Side, str], float] = {}
        self._asked: dict[tuple[Side, str], Counter[float]] = defaultdict(Counter)
        self._fresh: dict[Key, Counts] = {}
        self._fresh_asked: Counter[tuple[Side, str]] = Counter()

    def take(self, at: float, sketches: Sequence[Sketched]) -> None:
        """Everything that was counted in the slice that began at `at`."""
        asked: Counter[tuple[Side, str]] = Counter()
        rows: dict[Key, list[Sketched]] = defaultdict(list)
        for one in sketches:
            side: Side = "input" if one.side == "input" else "output"
            arm = EVERYONE if side == "input" else one.arm
            if one.field:
                rows[side, arm, one.field].append(one)
            else:
                asked[side, arm] += one.n
        for of, count in asked.items():
            if count:
                self._side(at, of, count, {key[2]: found for key, found in rows.items() if key[:2] == of})

    def _side(self, at: float, of: tuple[Side, str], asked: int, rows: dict[str, list[Sketched]]) -> None:
        side, arm = of
        first = self._first.setdefault(of, at)
        learning = at < first + self._reference
        known = {field for s, a, field in self._watches if (s, a) == of}
        if learning:
            for field in rows.keys() - known:
                watch = self._watches[side, arm, field] = Watch(
                    side, field, arm, first=first, every=self._every, reference=self._reference
                )
                known.add(field)
                # It stayed away so far, which is as much a part of what it is like as its values.
                for earlier, count in self._asked[of].items():
                    watch.take(earlier, Counts(asked=count))
            self._asked[of][at] += asked
        else:
            self._asked.pop(of, None)
            self._new(of, asked, {field: found for field, found in rows.items() if field not in known})
        for field in known:
            self._watches[side, arm, field].take(at, of_sketches(rows.get(field, ()), asked))

    def _new(self, of: tuple[Side, str], asked: int, rows: dict[str, list[Sketched]]) -> None:
        """Fields that the reference did not have; counted over the last requests, so that what left is forgotten."""
        if self._fresh_asked[of] >= 2 * ENOUGH:
            self._fresh_asked[of] = 0
            self._fresh = {key: counts for key, counts in self._fresh.items() if key[:2] != of}
        self._fresh_asked[of] += asked
        for field, found in rows.items():
            self._fresh.setdefault((*of, field), Counts()).add(of_sketches(found, asked))

    def changes(self) -> tuple[Change, ...]:
        """What is known of each field now, in the order in which they came."""
        told = [watch.change() for watch in self._watches.values()]
        for (side, arm, field), counts in self._fresh.items():
            asked = self._fresh_asked[side, arm]
            if asked >= LEAST and counts.n / asked >= BROKEN:
                share = counts.n / asked
                told.append(
                    Change(
                        side=side,
                        field=field,
                        arm=arm,
                        measured=True,
                        log_e=float("inf"),
                        now=counts,
                        broken="new",
                        broken_share=share,
                    )
                )
        return tuple(told)


def needed(changes: Iterable[Change], alpha: float) -> float:
    """The logarithm of the e-value that any of these has to reach, so that all together err with at most alpha."""
    return log(max(sum(change.broken != "new" for change in changes), 1) / alpha)
