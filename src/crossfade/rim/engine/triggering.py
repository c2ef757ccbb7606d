"""Units whose requests are copied: which of these are known to differ, and where each entered; kept up by batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Blank, Chains, Columns, distinct, smallest
from crossfade.rim.engine.keys import KeyIndex

_PLACE: dict[str, Blank] = {"step": (np.int32, 0), "arm": (np.int16, 0), "weight": (np.float64, 0.0)}

_COUNTS = ("requests", "compared", "turned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Units that entered elsewhere than was known, or do not enter after all."""

    units: Ints
    before: Rows
    """Where they had; `entered` is infinite for those that had not."""


class Triggers:
    """Requests by number, and the units they belong to."""

    def __init__(self, arms: int) -> None:
        self.entries = Columns(entered=(np.float64, np.inf), **_PLACE)
        self._keys = KeyIndex()
        flags: dict[str, Blank] = dict.fromkeys(("due", "known", "differs"), (np.bool_, False))
        self._requests = Columns(unit=(np.int32, -1), elapsed=(np.float64, np.inf), **_PLACE, **flags)
        self._of_unit = Chains()
        self._units = Columns(
            home=(np.int16, -1),
            lost=(np.bool_, False),
            differing=(np.bool_, False),
            **dict.fromkeys(_COUNTS, (np.int64, 0)),
        )
        self._totals = {name: np.zeros(arms, dtype=np.int64) for name in ("units", "differing", "lost", *_COUNTS)}

    def absorb(self, due: Rows, pairs: Rows, units: int) -> Entered:
        """Take in requests of which a copy was due, and pairs, `decision` by hash. Units are numbered up to `units`."""
        self.entries.grow(units)
        self._units.grow(units)
        request = self._keys.number(due["decision"])
        paired = self._keys.number(pairs["decision"])
        known = self._requests
        known.grow(self._keys.count)
        owner = due["unit"].astype(np.int64)
        places = {name: due[name] for name in ("elapsed", *_PLACE)}
        known.put(request, {"unit": owner, **places, "due": np.ones(len(request), dtype=bool)})
        self._of_unit.add(owner, request)
        known["known"][paired] = True
        known["differs"][paired[pairs["differs"].astype(bool)]] = True
        late = paired[known["due"][paired]]
        return self._again(distinct(np.concatenate([owner, known["unit"][late].astype(np.int64)])))

    def _again(self, units: Ints) -> Entered:
        """Learn anew where some units enter."""
        owner, request = self._of_unit.walk(units)
        place = np.searchsorted(units, owner)
        rows = self._requests.at(request)
        lost = np.full(len(units), np.inf)
        np.minimum.at(lost, place[~rows["known"]], rows["elapsed"][~rows["known"]])
        before = self.entries.at(units)
        after = {name: np.full(len(units), blank, dtype=type_) for name, (type_, blank) in _BLANKS.items()}
        able = rows["differs"] & rows["known"] & (rows["elapsed"] < lost[place])
        self._first(place, rows, able, "entered", after)
        self.entries.put(units, after)
        self._tally(units, place, rows, lost, np.isfinite(after["entered"]))
        changed = np.zeros(len(units), dtype=bool)
        for name, column in after.items():
            changed |= column != before[name]
        return Entered(units=units[changed], before={name: column[changed] for name, column in before.items()})

    def _first(self, place: Ints, rows: Rows, able: npt.NDArray[np.bool_], time: str, into: dict[str, Any]) -> None:
        """Write the first of some requests of each unit."""
        some = {name: rows[name][able] for name in ("elapsed", *_PLACE)}
        one = smallest(place[able], some, ("elapsed", *_PLACE))
        at = place[able][one]
        into[time][at] = some["elapsed"][one]
        for name in _PLACE:
            into[name][at] = some[name][one]

    def _tally(
        self, units: Ints, place: Ints, rows: Rows, lost: npt.NDArray[np.float64], here: npt.NDArray[np.bool_]
    ) -> None:
        """Count some units anew: off with what they were, on with what they are."""
        home = {name: np.full(len(units), blank, dtype=type_) for name, (type_, blank) in _BLANKS.items()}
        self._first(place, rows, np.ones(len(place), dtype=bool), "entered", home)
        now: dict[str, Any] = {"home": home["arm"], "lost": np.isfinite(lost) & ~here, "differing": here}
        for name, of in (("requests", rows["due"]), ("compared", rows["known"]), ("turned", rows["differs"])):
            now[name] = np.bincount(place, weights=of, minlength=len(units)).astype(np.int64)
        was = self._units.at(units)
        seen = was["home"] >= 0
        for sign, told, mine in ((-1, was, seen), (1, now, np.ones(len(units), dtype=bool))):
            arm = told["home"][mine].astype(np.int64)
            np.add.at(self._totals["units"], arm, sign)
            for name in ("differing", "lost", *_COUNTS):
                np.add.at(self._totals[name], arm, sign * told[name][mine].astype(np.int64))
        self._units.put(units, now)

    def tallied(self, arms: npt.NDArray[np.object_]) -> Rows:
        """What `triggers.tallied` says."""
        came = self._totals["units"] > 0
        return {"arm": arms[came], **{name: column[came] for name, column in self._totals.items()}}


_BLANKS: dict[str, Blank] = {"entered": (np.float64, np.inf), **_PLACE}
