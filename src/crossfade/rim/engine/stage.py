"""Units of the stage that is looked at: when and where each entered, arrived, failed first, and is at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Columns, Firsts, distinct, smallest
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.reach import pair_keys

Changed = dict[str, Rows]
"""Rows that changed, by the name of their table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a batch of exposures changed."""

    before: Changed
    after: Changed
    moved: Ints
    """Units that entered, or turn out to have entered earlier."""
    entries: Rows
    """Where these entered before; `entered` is infinite for those that are new."""


class StageUnits:
    """All units of one stage, by their numbers."""

    def __init__(self, arms: int) -> None:
        self.entries = Firsts("entered", step=np.int32, arm=np.int16, weight=np.float64)
        self._fallen = Firsts("elapsed", step=np.int32, arm=np.int16, weight=np.float64)
        self._arrived = Firsts("elapsed", arm=np.int16, weight=np.float64, latency_ms=np.float64, failed=np.int64)
        self._arrivals = KeyIndex()
        self._which = Columns(unit=(np.int32, -1), step=(np.int32, 0))
        self._visits = KeyIndex()
        self._visited = Columns(requests=(np.int64, 0), latency=(np.float64, 0.0), failures=(np.int64, 0))
        self._pairs = KeyIndex()
        self._came = Columns(times=(np.int32, 0))
        self._steps: set[int] = set()
        self.units_by_arm = np.zeros(arms, dtype=np.int64)

    def absorb(self, arrived: Rows, fallen: Rows, visited: Rows, units: int) -> Change:
        """Take in the arrivals, first failures and visits (requests per unit, arm and step) of new exposures.

        Units are numbered up to `units`; some may be known by their outcomes alone.
        """
        here = distinct(visited["unit"])
        self.entries.rows.grow(units)
        homes_before = self._homes(here)
        before, after = self._arrive(arrived)
        moved, entries = self._enter(after)
        present = np.isfinite(entries["entered"])
        gone = {"unit": moved[present], **{name: column[present] for name, column in entries.items()}}
        fell, old = self._fallen.merge(fallen["unit"], fallen)
        known = np.isfinite(old["elapsed"])
        self._visit(visited)
        return Change(
            before={
                "arrivals": before,
                "greetings": before,
                "units": gone,
                "fallen": {"unit": fell[known], **{name: column[known] for name, column in old.items()}},
                "homes": homes_before,
            },
            after={
                "arrivals": after,
                "greetings": after,
                "units": {"unit": moved, **self.entries.rows.at(moved)},
                "fallen": {"unit": fell, **self._fallen.rows.at(fell)},
                "homes": self._homes(here),
            },
            moved=moved,
            entries=entries,
        )

    def of(self, units: Ints) -> Changed:
        """Everything that is known of some units, each of which has entered."""
        pairs = [
            self._arrivals.find(pair_keys(units, np.zeros(len(units), dtype=np.int64), step)) for step in self._steps
        ]
        arrived = np.concatenate(pairs) if pairs else np.zeros(0, dtype=np.int64)
        arrived = arrived[arrived >= 0]
        arrivals = {**self._which.at(arrived), **self._arrived.rows.at(arrived)}
        self._fallen.rows.grow(self.entries.rows.count)
        fallen = units[np.isfinite(self._fallen.rows["elapsed"][units])]
        return {
            "arrivals": arrivals,
            "greetings": arrivals,
            "units": {"unit": units, **self.entries.rows.at(units)},
            "fallen": {"unit": fallen, **self._fallen.rows.at(fallen)},
            "homes": self._homes(units),
        }

    def nothing(self) -> Changed:
        """Every table without a row."""
        none = np.zeros(0, dtype=np.int64)
        firsts = {"arrivals": self._arrived, "greetings": self._arrived, "units": self.entries, "fallen": self._fallen}
        tables: Changed = {name: {"unit": none, "step": none, **of.rows.at(none)} for name, of in firsts.items()}
        return {**tables, "homes": self._homes(none)}

    def _arrive(self, rows: Rows) -> tuple[Rows, Rows]:
        nobody = np.zeros(len(rows["unit"]), dtype=np.int64)
        self._steps |= set(np.unique(rows["step"]).tolist())
        number = self._arrivals.number(pair_keys(rows["unit"], nobody, rows["step"]))
        self._which.grow(self._arrivals.count)
        self._which.put(number, {"unit": rows["unit"], "step": rows["step"]})
        changed, old = self._arrived.merge(number, rows)
        known = np.isfinite(old["elapsed"])
        before = {**self._which.at(changed[known]), **{name: column[known] for name, column in old.items()}}
        after = {**self._which.at(changed), **self._arrived.rows.at(changed)}
        self._came_with(before, -1)
        self._came_with(after, 1)
        return before, after

    def _came_with(self, rows: Rows, sign: int) -> None:
        """Count, per arm, the units that arrived with it at least once."""
        number = self._pairs.number(pair_keys(rows["unit"], rows["arm"]))
        self._came.grow(self._pairs.count)
        distinct, where = np.unique(number, return_index=True)
        arm = rows["arm"][where]
        held = self._came["times"][distinct] > 0
        np.add.at(self._came["times"], number, sign)
        np.add.at(self.units_by_arm, arm, (self._came["times"][distinct] > 0).astype(np.int64) - held)

    def _enter(self, arrived: Rows) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
        rows = {"entered": arrived["elapsed"], **{name: arrived[name] for name in ("unit", "step", "arm", "weight")}}
        one = smallest(rows["unit"], rows, self.entries.names)
        return self.entries.merge(
            rows["unit"][one].astype(np.int64), {name: rows[name][one] for name in self.entries.names}
        )

    def _visit(self, rows: Rows) -> None:
        number = self._visits.number(pair_keys(rows["unit"], rows["arm"], rows["step"]))
        self._visited.grow(self._visits.count)
        self._visited.add(number, {name: rows[name] for name in ("requests", "latency", "failures")})

    def _homes(self, units: Ints) -> Rows:
        entries = self.entries.rows.at(units)
        there = np.isfinite(entries["entered"])
        units, entries = units[there], {name: column[there] for name, column in entries.items()}
        number = self._visits.find(pair_keys(units, entries["arm"], entries["step"]))
        return {
            "unit": units,
            **{name: entries[name] for name in ("arm", "step", "weight")},
            **self._visited.at(number),
        }
