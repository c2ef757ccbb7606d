"""The questions of one stage whose answers are kept as sums, and what a batch of facts does to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from crossfade.judge.measure import Question, counts
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.assignment import assignment
from crossfade.judge.measure.questions import Judged, ask, copied_both, sliced
from crossfade.judge.measure.segments import by_segment
from crossfade.judge.measure.triggers import entry
from crossfade.judge.moments import Ints
from crossfade.rim.engine.columns import Columns, distinct
from crossfade.rim.engine.hits import Hits
from crossfade.rim.engine.segmenting import Moved, Segments
from crossfade.rim.engine.session import Session, compiled
from crossfade.rim.engine.settling import Settling
from crossfade.rim.engine.stage import Change, Changed, StageUnits
from crossfade.rim.engine.totals import Totals
from crossfade.rim.engine.triggering import Entered, Triggers
from crossfade.spec.model import Rollout

_SettledKey = tuple[tuple[object, ...], Judged]


class Sums:
    """Sums over the units of one stage."""

    def __init__(self, session: Session, hits: Hits, rollout: Rollout, mode: str, arms: Sequence[str]) -> None:
        self._session = session
        self._settling: dict[Judged, Settling] = {}
        self._settled: dict[_SettledKey, Totals] = {}
        self._responses: dict[tuple[object, ...], Totals] = {}
        asks = any(metric.differing for metric in rollout.metrics) and copied_both(rollout, mode)
        self.triggers = Triggers(len(arms)) if asks else None
        """Where units enter at their first request that is known to differ; None where no metric asks."""
        self.segments = Segments(len(rollout.segments)) if rollout.segments else None
        self._segmented: dict[Judged | None, dict[tuple[object, ...], Totals]] = {}
        """By what has to be known of each unit before: the sums of each question by segment."""
        nothing = StageUnits(len(arms)).nothing()
        self._given(nothing)
        session.given("labels", Segments(1).labels(np.zeros(0, dtype=np.int64)))
        self.counts = {
            "requests": self._totals(compiled(("requests",), counts.requests), arms),
            "step-units": self._totals(compiled(("step-units",), counts.step_units), arms),
        }
        metrics = rollout.metrics
        asked = [*(of(rollout, mode, metric) for of in (ask, sliced) for metric in metrics)]
        asked += [assignment(rollout, mode), entry(rollout, mode)]
        for number, question in enumerate(asked):
            if not isinstance(question, Question) or not question.by_unit:
                continue
            make = partial(self._totals, compiled(question.key, question.build), arms)
            if question.judged is None:
                if question.key not in self._responses:
                    self._responses[question.key] = make()
            else:
                if question.judged not in self._settling:
                    self._settling[question.judged] = Settling(question.judged, hits)
                self._session.given("settled", self._settling[question.judged].nothing())
                self._settled.setdefault((question.key, question.judged), make())
            # The last that are asked are no metrics, and nobody asks them of segments.
            if rollout.segments and number < len(rollout.metrics):
                self._segment(question, len(rollout.segments), arms)

    def rows(self, question: Question) -> Rows:
        """The rows of a question."""
        if question.segments and self.segments is not None:
            return self.segments.places(self._segmented[question.judged][question.key].rows())
        if question.judged is None:
            return self._responses[question.key].rows()
        return self._settled[question.key, question.judged].rows()

    def quiet(self, clock: float) -> bool:
        """Whether time alone changes no sum, so many seconds into the stage."""
        return all(settling.quiet(clock) for settling in self._settling.values())

    def apply(
        self,
        stage: StageUnits,
        change: Change,
        entered: Entered | None,
        hit: Ints,
        revised: Ints,
        since: float,
        now: float,
    ) -> None:
        """Take off what changed units gave before, put on what they give now. `entered`: what changed of triggers."""
        # Under the segments that units have had so far; those that turn out to be in others are `moved` after that.
        for sign, changed in ((-1, change.before), (1, change.after)):
            self._given(changed)
            labelled = self._labelled(None, change.after["homes"]["unit"])
            for totals in (self.counts["step-units"], *self._responses.values(), *labelled):
                totals.add(sign)
        for judged, settling in self._settling.items():
            moved, before = change.moved, change.entries
            if judged.differing:
                if entered is None:
                    continue
                moved, before = entered.units, entered.before
            sides = settling.change(self._entries(stage, judged), moved, before, hit, revised, since, now)
            labelled = self._labelled(judged, distinct(np.concatenate([side["unit"] for side in sides])))
            for sign, rows in zip((-1, 1), sides, strict=True):
                self._session.given("settled", rows)
                for totals in (*(of for (_, what), of in self._settled.items() if what == judged), *labelled):
                    totals.add(sign)

    def move(self, stage: StageUnits, moved: Moved) -> None:
        """Take off units from the segments they were in, and put them on those that they are in."""
        if not len(moved.units):
            return
        self._given(stage.of(moved.units))
        for judged, many in self._segmented.items():
            if judged is not None:
                entries = self._entries(stage, judged)
                units = moved.units[np.isfinite(entries["entered"][moved.units])]
                self._session.given("settled", self._settling[judged].of(units, entries))
            for sign, rows in ((-1, moved.before), (1, moved.after)):
                if len(rows["unit"]):
                    self._session.given("labels", rows)
                    for totals in many.values():
                        totals.add(sign)

    def renew(self, stage: StageUnits) -> None:
        """Make sums anew in which rounding may show, from what is known of every unit; rare, as `Totals.WORN` says."""
        worn = [totals for totals in self._responses.values() if totals.worn]
        worn_settled = {key: totals for key, totals in self._settled.items() if totals.worn}
        worn_by_segment = {
            judged: [totals for totals in many.values() if totals.worn] for judged, many in self._segmented.items()
        }
        if not (worn or worn_settled or any(worn_by_segment.values())):
            return
        self._given(stage.of(_entered(stage.entries.rows)))
        self._anew(worn)
        self._anew_by_segment(worn_by_segment.get(None, []), _entered(stage.entries.rows))
        for judged, settling in self._settling.items():
            alike = [totals for (_, of), totals in worn_settled.items() if of == judged]
            by_segment = worn_by_segment.get(judged, [])
            if alike or by_segment:
                entries = self._entries(stage, judged)
                units = _entered(entries)
                self._session.given("settled", settling.of(units, entries))
                self._anew(alike)
                self._anew_by_segment(by_segment, units)

    def _anew(self, worn: Iterable[Totals]) -> None:
        for totals in worn:
            totals.clear()
            totals.add(1)

    def _anew_by_segment(self, worn: Sequence[Totals], units: Ints) -> None:
        if worn and self.segments is not None:
            self._session.given("labels", self.segments.labels(units))
            self._anew(worn)

    def _entries(self, stage: StageUnits, judged: Judged) -> Columns:
        """Where units enter."""
        return self.triggers.entries if judged.differing and self.triggers is not None else stage.entries.rows

    def _segment(self, question: Question, fields: int, arms: Sequence[str]) -> None:
        asked = by_segment(question, fields)
        many = self._segmented.setdefault(question.judged, {})
        if asked is not None and asked.key not in many:
            many[asked.key] = self._totals(compiled(asked.key, asked.build), arms)

    def _labelled(self, judged: Judged | None, units: Ints) -> Iterable[Totals]:
        """The sums by segment that some units take part in, whose segments are given."""
        many = self._segmented.get(judged, {})
        if self.segments is None or not many:
            return ()
        rows = self.segments.labels(units)
        self._session.given("labels", rows)
        return many.values() if len(rows["unit"]) else ()

    def _given(self, changed: Changed) -> None:
        for name, rows in changed.items():
            self._session.given(name, rows)

    def _totals(self, sql: str, arms: Sequence[str]) -> Totals:
        return Totals(self._session, sql, arms)


def _entered(entries: Columns) -> Ints:
    """Every unit that has entered."""
    return np.flatnonzero(np.isfinite(entries["entered"][: entries.count]))
