"""Who was touched over a rollout's whole life: units with the arms they met, and what happened to them there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.measure import counts
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Chains, Columns, distinct
from crossfade.rim.engine.corrections import owners
from crossfade.rim.engine.hits import Hits
from crossfade.rim.engine.keys import KeyIndex, Keys
from crossfade.rim.engine.session import Session, compiled


def pair_keys(units: Ints, arms: Ints, steps: Ints | int = 0) -> Keys:
    """One key for a unit, an arm and a step, all given as numbers."""
    step = np.asarray(steps, dtype=np.uint64)
    return (
        (units.astype(np.uint64) << np.uint64(32))
        | (step << np.uint64(8))
        | arms.astype(np.uint64)
        | np.uint64(1 << 31)
    )


class Touched:
    """Units with each arm they were exposed to."""

    def __init__(self, hits: Hits, names: Sequence[str], arms: Sequence[str]) -> None:
        self._hits = hits
        self._arms = np.asarray(arms, dtype=object)
        self._places = {name: place for place, name in enumerate(arms)}
        self._keys = KeyIndex()
        self._of_unit = Chains()
        self._pairs = Columns(
            unit=(np.int32, -1),
            arm=(np.int16, 0),
            since=(np.float64, np.inf),
            failures=(np.int64, 0),
            requests=(np.int64, 0),
        )
        self._events = {name: Columns(yes=(np.bool_, False)) for name in names}
        self._totals = {
            name: np.zeros(len(arms), dtype=np.int64) for name in ("units", "failed_units", "requests", "failures")
        }
        self._event_totals = {name: np.zeros(len(arms), dtype=np.int64) for name in names}

    def meet(self, rows: Rows) -> Ints:
        """Take in rows of `counts.touched`, by number; the units that met an arm earlier than was known."""
        keys = pair_keys(rows["unit"], rows["arm"])
        known = self._keys.count
        pair = self._keys.number(keys)
        self._pairs.grow(self._keys.count)
        new = pair >= known
        self._pairs.put(pair[new], {name: rows[name][new] for name in ("unit", "arm")})
        self._of_unit.add(rows["unit"][new], pair[new])
        failed = (self._pairs["failures"][pair] == 0) & (rows["failures"] > 0)
        arm = rows["arm"]
        for name, more in (
            ("units", new),
            ("failed_units", failed),
            ("requests", rows["requests"]),
            ("failures", rows["failures"]),
        ):
            np.add.at(self._totals[name], arm, more.astype(np.int64))
        self._pairs.add(pair, {name: rows[name] for name in ("failures", "requests")})
        earlier = rows["since"] < self._pairs["since"][pair]
        self._pairs["since"][pair[earlier]] = rows["since"][earlier]
        return distinct(rows["unit"][earlier])

    def pairs(self, units: Ints, arms: Ints) -> Ints:
        """The number of each unit with an arm that it has met."""
        return self._keys.find(pair_keys(units, arms))

    def happen(self, session: Session, champion: str, hit: Ints, revised: Ints, met: Ints) -> None:
        """Take in new outcomes, some that were revised, and units that met an arm earlier than was known."""
        log = self._hits.log
        hit = hit[log["value"][hit] != 0]
        loose = log["decision"][hit] < 0
        for name, flags in self._events.items():
            flags.grow(self._pairs.count)
            mine = log["name"][hit] == self._hits.names[name]
            told = self._hits.decisions["pair"][log["decision"][hit[mine & ~loose]]]
            self._flag(name, distinct(told[told >= 0]).astype(np.int64), True)
            units = distinct(
                np.concatenate([log["unit"][hit[mine & loose]].astype(np.int64), met[self._hits.has(met)]])
            )
            again = owners(self._hits, revised[log["name"][revised] == self._hits.names[name]])
            self._again(session, champion, name, units, again)

    def _again(self, session: Session, champion: str, name: str, units: Ints, revised: Ints) -> None:
        """Ask anew for units whose outcomes without a decision may belong to another arm than was known, and for
        those with outcomes that were revised."""
        log = self._hits.log
        hit = self._hits.of(distinct(np.concatenate([units, revised])))
        hit = hit[(log["name"][hit] == self._hits.names[name]) & (log["value"][hit] != 0)]
        loose = hit[log["decision"][hit] < 0]
        mine = distinct(np.concatenate([log["unit"][loose].astype(np.int64), revised]))
        if not len(mine):
            return
        told = self._hits.decisions["pair"][log["decision"][hit[log["decision"][hit] >= 0]]]
        told = told[told >= 0]
        told = told[np.isin(self._pairs["unit"][told], mine)]
        pair = self._of_unit.walk(mine)[1]
        # By name, because the champion is told apart by it.
        for table, pairs in ((counts.TOLD, told), (counts.TOUCHED, pair)):
            rows = self._pairs.at(pairs)
            rows["arm"] = self._arms[rows["arm"]].astype("U")
            session.given(table.get_name(), {name: rows[name] for name in table.columns})
        session.given("loose", {"unit": log["unit"][loose], "at": log["at"][loose]})
        found = session.rows(compiled(("harmed", champion), lambda: counts.harmed(champion)))
        arm = np.asarray([self._places[name] for name in found["arm"]], dtype=np.int64)
        self._flag(name, pair, False)
        self._flag(name, self.pairs(found["unit"].astype(np.int64), arm), True)

    def _flag(self, name: str, pair: Ints, yes: bool) -> None:
        flags = self._events[name]["yes"]
        turned = pair[flags[pair] != yes]
        flags[turned] = yes
        np.add.at(self._event_totals[name], self._pairs["arm"][turned], 1 if yes else -1)

    def rows(self) -> Rows:
        """What `counts.reach` says."""
        met = self._totals["units"] > 0
        return {"arm": self._arms[met], **{name: column[met] for name, column in self._totals.items()}}

    def events(self, name: str) -> Rows:
        """What `counts.outcome_reach` says of an outcome."""
        some = self._event_totals[name] > 0
        return {"arm": self._arms[some], "units": self._event_totals[name][some]}
