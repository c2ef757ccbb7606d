"""Every outcome that some metric of a rollout asks for, found from its unit, or waiting for its decision's exposure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Chains, Columns, distinct

NOBODY = -1


class Hits:
    """A log of outcomes. Units and decisions are numbers."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = {name: number for number, name in enumerate(names)}
        self.log = Columns(
            unit=(np.int32, NOBODY),
            decision=(np.int32, NOBODY),
            name=(np.int16, 0),
            value=(np.float64, 0.0),
            at=(np.float64, 0.0),
            received=(np.float64, 0.0),
            ident=(np.uint64, 0),
        )
        self.decisions = Columns(unit=(np.int32, NOBODY), pair=(np.int32, NOBODY), scoped=(np.bool_, False))
        """Per decision: whose it is, with which arm, and whether it belongs to the stage that is looked at."""
        self._units = Chains()
        self.decisions.grow(1)
        self._waiting = Chains()
        self.known = 0
        """Outcomes whose unit is known."""

    def scope(self, decisions: Ints) -> None:
        """Learn that some decisions belong to the stage that is looked at."""
        self._reach(decisions)
        self.decisions["scoped"][decisions] = True

    def leave(self) -> None:
        """Another stage is looked at, to which no decision belongs yet."""
        self.decisions["scoped"][:] = False

    def expose(self, decisions: Ints, units: Ints, pairs: Ints) -> Ints:
        """Learn whose some decisions are; the outcomes that had been waiting for them."""
        self._reach(decisions)
        self.decisions["unit"][decisions] = units
        self.decisions["pair"][decisions] = pairs
        decision, hit = self._waiting.take(distinct(decisions[self._waiting.has(decisions)]))
        self.log["unit"][hit] = self.decisions["unit"][decision]
        self._units.add(self.log["unit"][hit].astype(np.int64), hit)
        self.known += len(hit)
        return hit

    def take(self, rows: Rows) -> Ints:
        """Take in outcomes (`decision` or `unit` by number, `name`, `value`, …); those whose unit is known."""
        decision = rows["decision"]
        hit = np.arange(self.log.count, self.log.count + len(decision))
        self.log.grow(self.log.count + len(decision))
        self._reach(decision)
        unit = np.where(decision >= 0, self.decisions["unit"][decision], rows["unit"])
        self.log.put(hit, {**rows, "unit": unit})
        known = unit >= 0
        self._units.add(unit[known].astype(np.int64), hit[known])
        self._waiting.add(decision[~known], hit[~known])
        self.known += int(known.sum())
        return hit[known]

    def of(self, units: Ints) -> Ints:
        """All outcomes of some units."""
        return self._units.walk(units)[1]

    def of_owners(self, units: Ints, decisions: Ints) -> Ints:
        """All outcomes of some units, and of the units or decisions that some decisions belong to; NOBODY is none."""
        decisions = decisions[decisions >= 0]
        self._reach(decisions)
        known = self.decisions["unit"][decisions].astype(np.int64)
        everyone = distinct(np.concatenate([units[units >= 0], known[known >= 0]]))
        return np.concatenate([self.of(everyone), self._waiting.walk(distinct(decisions[known < 0]))[1]])

    def has(self, units: Ints) -> npt.NDArray[np.bool_]:
        """Which units have any."""
        return self._units.has(units)

    def counting(self, hit: Ints) -> Ints:
        """Those that name no decision, or one of the stage that is looked at."""
        decision = self.log["decision"][hit]
        return np.asarray(hit[(decision < 0) | self.decisions["scoped"][decision]])

    def _reach(self, decisions: Ints) -> None:
        if len(decisions):
            self.decisions.grow(int(decisions.max()) + 1)
