"""Outcome metrics unit by unit: what each unit has inside its window, and whose window closes as time goes on."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.outcomes import copied_by, predicted_by
from crossfade.judge.measure.questions import Judged
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Columns, Firsts, distinct
from crossfade.rim.engine.corrections import owners as owners_of
from crossfade.rim.engine.hits import Hits

Entries = Mapping[str, npt.NDArray[Any]]
"""Where units entered: `entered`, `step`, `arm`, `weight`; not entered yet where `entered` is infinite."""


class Calendar:
    """Units by the moment their window closes, so that those that are due are found without looking at the others."""

    def __init__(self, window: float) -> None:
        self._width = max(1.0, window / 1000.0)
        self._slots: dict[int, list[Ints]] = {}
        self._order: list[int] = []

    def push(self, units: Ints, due: npt.NDArray[np.float64]) -> None:
        """Remember when these are due."""
        slots = np.floor(due / self._width).astype(np.int64)
        order = np.argsort(slots, kind="stable")
        cuts = np.flatnonzero(np.diff(slots[order])) + 1
        for part in np.split(order, cuts):
            if len(part):
                slot = int(slots[part[0]])
                if slot not in self._slots:
                    self._slots[slot] = []
                    heapq.heappush(self._order, slot)
                self._slots[slot].append(units[part])

    def quiet(self, clock: float) -> bool:
        """Whether `pop` would find nobody."""
        return not self._order or self._order[0] > math.floor(clock / self._width)

    def pop(self, clock: float) -> Ints:
        """Units that may be due by now; whoever is not has to be pushed again."""
        upto = math.floor(clock / self._width)
        found: list[Ints] = []
        while self._order and self._order[0] <= upto:
            found += self._slots.pop(heapq.heappop(self._order))
        return distinct(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


class Settling:
    """One `Judged`: the table `settled` of the units that changed, before and after."""

    def __init__(self, judged: Judged, hits: Hits) -> None:
        self.judged = judged
        self._hits = hits
        self._main, self._per, self._covariate, self._copied = (
            hits.names.get(name, -1)
            for name in (
                judged.name,
                judged.per,
                predicted_by(judged.predicted) if judged.predicted else judged.covariate,
                copied_by(judged.predicted) if judged.at_entry else "",
            )
        )
        self._units = Columns(
            reports=(np.int64, 0),
            events=(np.int64, 0),
            total=(np.float64, 0.0),
            per=(np.float64, 0.0),
            before=(np.float64, 0.0),
            late=(np.int64, 0),
            predictions=(np.int64, 0),
            closed=(np.bool_, False),
        )
        self._calendar = Calendar(judged.horizon)

    def change(
        self, entries: Columns, moved: Ints, before: Entries, hit: Ints, revised: Ints, since: float, now: float
    ) -> tuple[Rows, Rows]:
        """Take in units that entered or turn out to have entered at another time, or not at all (`moved`, whose entries
        `before` were these), new hits, and hits that were `revised`; the rows of all units that changed, before and
        after."""
        clock = now - since
        self._units.grow(entries.count)
        hit, revised = self._mine(hit), self._mine(revised)
        owners = self._hits.log["unit"][hit].astype(np.int64)
        again = distinct(np.concatenate([moved, owners_of(self._hits, revised)]))
        changed = distinct(np.concatenate([again, owners, self._calendar.pop(clock)]))
        old = entries.at(changed)
        place = np.searchsorted(changed, moved)
        for name in ("entered", "step", "arm", "weight"):
            old[name][place] = before[name]
        there = np.isfinite(old["entered"])
        gave = self._rows(changed[there], {name: column[there] for name, column in old.items()})
        anew = np.isin(owners, again)
        self._forget(again)
        self._count(self._hits.of(again), entries, since)
        self._count(hit[~anew], entries, since)
        changed = changed[np.isfinite(entries["entered"][changed])]
        due = entries["entered"][changed] + self.judged.horizon
        closed = due <= clock
        self._units["closed"][changed] = closed
        self._calendar.push(changed[~closed], due[~closed])
        return gave, self._rows(changed, entries.at(changed))

    def quiet(self, clock: float) -> bool:
        """Whether no window closes by now."""
        return self._calendar.quiet(clock)

    def _mine(self, hit: Ints) -> Ints:
        return hit[np.isin(self._hits.log["name"][hit], [self._main, self._per, self._covariate, self._copied])]

    def of(self, units: Ints, entries: Columns) -> Rows:
        """The rows of some units, each of which has entered."""
        return self._rows(units, entries.at(units))

    def nothing(self) -> Rows:
        """The table without a row."""
        return self._rows(
            np.zeros(0, dtype=np.int64),
            Firsts("entered", step=np.int32, arm=np.int16, weight=np.float64).rows.at(np.zeros(0, dtype=np.int64)),
        )

    def _rows(self, units: Ints, entries: Entries) -> Rows:
        known = self._units.at(units)
        if self.judged.predicted:
            known["before"] = known["before"] / np.maximum(known["predictions"], 1)
        return {
            "unit": units,
            "arm": entries["arm"],
            "step": entries["step"],
            "weight": entries["weight"],
            "due": entries["entered"] + self.judged.horizon,
            **known,
        }

    def _forget(self, units: Ints) -> None:
        for name in ("reports", "events", "total", "per", "before", "late", "predictions"):
            self._units[name][units] = 0

    def _count(self, hit: Ints, entries: Columns, since: float) -> None:
        log = self._hits.log.at(self._hits.counting(hit))
        units = log["unit"].astype(np.int64)
        entered = entries["entered"][units]
        # The same sums and comparisons as `outcomes.settled` makes, so that both round alike.
        judged, said = self.judged, log["at"] - since
        there = np.isfinite(entered)
        timely = log["received"] - since <= entered + judged.horizon
        during = said <= entered + judged.window
        inside = there & timely & during if judged.arrival else there & timely
        early = said < entered
        if not judged.differing:
            early &= log["decision"] < 0
        main = inside & ~early & (log["name"] == self._main)
        value = log["value"]
        ones = np.ones(len(units), dtype=np.int64)
        self._add("reports", units, ones, main)
        self._add("events", units, ones, main & (value != 0))
        self._add("total", units, value, main)
        late = there & during & ~timely & ~early & (log["name"] == self._main)
        self._add("late", units, ones, late)
        self._add("per", units, value, inside & ~early & (log["name"] == self._per))
        before = inside & early & (log["name"] == self._covariate)
        before |= inside & (said == entered) & (log["name"] == self._copied)
        self._add("before", units, value, before)
        if judged.predicted:
            self._add("predictions", units, ones, before)

    def _add(self, name: str, units: Ints, values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> None:
        np.add.at(self._units[name], units[where], values[where])
