"""What units said in the spec's segment fields at their first exposure of the stage, kept up as exposures come in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.judge.measure import spread
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.moments import Floats, Ints
from crossfade.rim.engine.columns import Columns, distinct
from crossfade.rim.engine.session import Session

NOBODY, TOGETHER = -2, -1
"""Slots of a unit that is not known, and of values that are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Units that belong to another segment than they did: a row each in each field, before and after."""

    units: Ints
    """Each once."""
    before: Rows
    after: Rows


class _Field:
    """One field's values by number, and which of them are told apart."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.of = Columns(count=(np.int64, 0), reached=(np.float64, np.inf), slot=(np.int32, TOGETHER))
        self.order: list[int] = []
        """Values that are told apart, by their places."""

    def number(self, values: list[str]) -> None:
        """Give new values their numbers."""
        for value in values:
            if value not in self.numbers:
                self.numbers[value] = len(self.names)
                self.names.append(value)
        self.of.grow(len(self.names))

    def choose(self) -> Ints:
        """Choose anew which values are told apart; those that were, or are, and not both.

        A value that stays keeps its slot, whatever its place, so that nobody has to be counted again.
        """
        reached = self.of["reached"][: len(self.names)]
        enough = np.flatnonzero(np.isfinite(reached)).tolist()
        order = sorted(enough, key=lambda one: (reached[one], self.names[one]))[: spread.MOST]
        if order == self.order:
            return np.zeros(0, dtype=np.int64)
        slots = self.of["slot"]
        gone, new = set(self.order) - set(order), set(order) - set(self.order)
        free = sorted(set(range(spread.MOST)) - {int(slots[one]) for one in set(self.order) & set(order)})
        slots[list(gone)] = TOGETHER
        for one, slot in zip(sorted(new), free, strict=False):
            slots[one] = slot
        self.order = order
        return np.asarray(sorted(gone | new), dtype=np.int64)


class Segments:
    """Units of one stage by segment. Slots are places that do not move."""

    def __init__(self, fields: int) -> None:
        self._fields = [_Field() for _ in range(fields)]
        values = {f"value_{place}": (np.int32, -1) for place in range(fields)}
        self._first = Columns(elapsed=(np.float64, np.inf), **values)

    def labels(self, units: Ints) -> Rows:
        """Rows of `spread.labels` of some units, slots in the place of places."""
        return self._rows(units, self._slots(units))

    def absorb(self, batch: Session, units: int) -> Moved:
        """Take in the table `exposures` of a session. Units are numbered up to `units`."""
        self._first.grow(units)
        came = batch.rows("SELECT unit, min(elapsed) AS elapsed FROM exposures GROUP BY unit")
        first = came["elapsed"] <= self._first["elapsed"][came["unit"]]
        if not first.any():
            return self._moved(np.zeros(0, dtype=np.int64), np.zeros((len(self._fields), 0), dtype=np.int64))
        rows = self._told(batch, came["unit"][first], came["elapsed"][first])
        rows = self._earlier(rows)
        changed = rows["unit"]
        before = self._slots(changed)
        touched = self._write(rows)
        moved = [changed]
        was = {}
        for place, one in enumerate(self._fields):
            self._reach(place, touched[place])
            turned = one.of["slot"].copy()
            values = one.choose()
            if len(values):
                also = np.flatnonzero(np.isin(self._first[f"value_{place}"][:units], values))
                was[place] = turned
                moved.append(also)
        if len(moved) == 1:
            return self._moved(changed, before)
        everyone = distinct(np.concatenate(moved))
        old = self._slots(everyone)
        for place, turned in was.items():
            known = self._first[f"value_{place}"][everyone]
            old[place] = np.where(known >= 0, turned[known], NOBODY)
        old[:, np.searchsorted(everyone, changed)] = before
        return self._moved(everyone, old)

    def places(self, rows: Rows) -> Rows:
        """Sums by slot as sums by place."""
        table = np.full((len(self._fields), spread.MOST), spread.OTHER, dtype=np.int64)
        for place, one in enumerate(self._fields):
            for at, value in enumerate(one.order):
                table[place, one.of["slot"][value]] = at
        return {**rows, "place": table[rows["field"].astype(np.int64), rows["place"].astype(np.int64)]}

    def heard(self) -> Rows:
        """What `spread.heard` says."""
        told: list[tuple[int, int, str, int, int]] = []
        for place, one in enumerate(self._fields):
            count = one.of["count"][: len(one.names)]
            told += [(place, at, one.names[value], int(count[value]), 1) for at, value in enumerate(one.order)]
            rest = np.setdiff1d(np.flatnonzero(count > 0), np.asarray(one.order, dtype=np.int64))
            if len(rest):
                smallest = min(one.names[value] for value in rest.tolist())
                told.append((place, spread.OTHER, smallest, int(count[rest].sum()), len(rest)))
        columns = list(zip(*told, strict=True)) if told else [()] * 5
        names = ("field", "place", "value", "units", "values")
        return {
            name: np.asarray(column, dtype=object if name == "value" else np.int64)
            for name, column in zip(names, columns, strict=True)
        }

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _told(self, batch: Session, units: Ints, elapsed: Floats) -> dict[str, np.ndarray]:
        """What these units said at these moments, values by number."""
        batch.given("begun", {"unit": units, "elapsed": elapsed})
        said = ", ".join(
            f"min(coalesce(segments[{place + 1}], '')) AS value_{place}" for place in range(len(self._fields))
        )
        sql = f"SELECT unit, elapsed, {said} FROM exposures JOIN begun USING (unit, elapsed) GROUP BY unit, elapsed"
        batch.table("said_now", sql)
        numbers = []
        for place, one in enumerate(self._fields):
            one.number(batch.rows(f"SELECT DISTINCT value_{place} AS value FROM said_now")["value"].tolist())
            names = np.asarray(one.names, dtype=object)
            batch.given(f"numbers_{place}", {"value": names, "number": np.arange(len(names), dtype=np.int32)})
            numbers.append(f"(SELECT value AS value_{place}, number AS number_{place} FROM numbers_{place})")
        joined = " ".join(f"JOIN {sql} USING (value_{place})" for place, sql in enumerate(numbers))
        chosen = ", ".join(f"number_{place} AS value_{place}" for place in range(len(self._fields)))
        return dict(batch.rows(f"SELECT unit, elapsed, {chosen} FROM said_now {joined}"))

    def _earlier(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those of the rows that change what is known: an earlier request, or a smaller value at the same moment."""
        units = rows["unit"].astype(np.int64)
        before = self._first.at(units)
        keep = rows["elapsed"] < before["elapsed"]
        for tied in np.flatnonzero(rows["elapsed"] == before["elapsed"]).tolist():
            for place, one in enumerate(self._fields):
                name = f"value_{place}"
                old, new = int(before[name][tied]), int(rows[name][tied])
                if one.names[new] < one.names[old]:
                    keep[tied] = True
                else:
                    rows[name][tied] = old
        return {name: column[keep] for name, column in {**rows, "unit": units}.items()}

    def _write(self, rows: dict[str, np.ndarray]) -> list[Ints]:
        """Write what changed; per field the values whose units are not the same as before."""
        units = rows["unit"]
        before = self._first.at(units)
        self._first.put(units, {name: column for name, column in rows.items() if name != "unit"})
        touched = []
        for place, one in enumerate(self._fields):
            old, new = before[f"value_{place}"].astype(np.int64), rows[f"value_{place}"].astype(np.int64)
            np.add.at(one.of["count"], old[old >= 0], -1)
            np.add.at(one.of["count"], new, 1)
            # Who comes after a value had enough units cannot have been among the first of them.
            late = (rows["elapsed"] >= one.of["reached"][new]) & (old < 0)
            touched.append(distinct(np.concatenate([old[old >= 0], new[~late]])))
        return touched

    def _reach(self, place: int, values: Ints) -> None:
        """Learn anew when some values came to have enough units."""
        one = self._fields[place]
        count, reached = one.of["count"], one.of["reached"]
        few = values[count[values] < spread.SUPPORT]
        reached[few] = np.inf
        known = self._first[f"value_{place}"]
        for value in values[count[values] >= spread.SUPPORT].tolist():
            times = self._first["elapsed"][known == value]
            reached[value] = np.partition(times, spread.SUPPORT - 1)[spread.SUPPORT - 1]

    # -- what is told --------------------------------------------------------------------------------------------------

    def _slots(self, units: Ints) -> Ints:
        """The slot of each unit in each field, shape (fields, units)."""
        slots = np.full((len(self._fields), len(units)), NOBODY, dtype=np.int64)
        known = units < self._first.count
        for place, one in enumerate(self._fields):
            value = self._first[f"value_{place}"][units[known]]
            slots[place, known] = np.where(value >= 0, one.of["slot"][value], NOBODY) if len(one.names) else NOBODY
        return slots

    def _moved(self, units: Ints, before: Ints) -> Moved:
        after = self._slots(units)
        other = before != after
        some = other.any(axis=0)
        units, before, after, other = units[some], before[:, some], after[:, some], other[:, some]
        return Moved(
            units=units,
            before=self._rows(units, np.where(other, before, NOBODY)),
            after=self._rows(units, np.where(other, after, NOBODY)),
        )

    def _rows(self, units: Ints, slots: Ints) -> Rows:
        field, at = np.nonzero(slots >= 0)
        return {"unit": units[at], "field": field.astype(np.int64), "place": slots[field, at]}
