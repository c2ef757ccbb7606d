"""The questions of one stage whose answers are kept as sums, and what a batch of facts does to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from crossfade.judge.measure import Question, counts
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.assignment import assignment
from crossfade.judge.measure.questions import Judged, ask
from crossfade.judge.moments import Ints
from crossfade.rim.engine.hits import Hits
from crossfade.rim.engine.session import Session, compiled
from crossfade.rim.engine.settling import Settling
from crossfade.rim.engine.stage import Change, Changed, StageUnits
from crossfade.rim.engine.totals import Totals
from crossfade.spec.model import Rollout

_SettledKey = tuple[tuple[object, ...], Judged]


class Sums:
    """Sums over the units of one stage."""

    def __init__(self, session: Session, hits: Hits, rollout: Rollout, mode: str, arms: Sequence[str]) -> None:
        self._session = session
        self._settling: dict[Judged, Settling] = {}
        self._settled: dict[_SettledKey, Totals] = {}
        self._responses: dict[tuple[object, ...], Totals] = {}
        nothing = StageUnits(len(arms)).nothing()
        self._given(nothing)
        self.counts = {
            "requests": self._totals("requests", compiled(("requests",), counts.requests), arms),
            "step-units": self._totals("step_units", compiled(("step-units",), counts.step_units), arms),
        }
        asked = [*(ask(rollout, mode, metric) for metric in rollout.metrics), assignment(rollout, mode)]
        for number, question in enumerate(asked):
            if not isinstance(question, Question) or not question.by_unit:
                continue
            make = partial(self._totals, f"sums_{number}", compiled(question.key, question.build), arms)
            if question.judged is None:
                if question.key not in self._responses:
                    self._responses[question.key] = make()
                continue
            if question.judged not in self._settling:
                self._settling[question.judged] = Settling(question.judged, hits)
            self._session.given("settled", self._settling[question.judged].nothing())
            self._settled.setdefault((question.key, question.judged), make())

    def rows(self, question: Question) -> Rows:
        """The rows of a question."""
        if question.judged is None:
            return self._responses[question.key].rows()
        return self._settled[question.key, question.judged].rows()

    def apply(self, stage: StageUnits, change: Change, hit: Ints, revised: Ints, since: float, now: float) -> None:
        """Take off what changed units gave before, put on what they give now."""
        for sign, changed in ((-1, change.before), (1, change.after)):
            self._given(changed)
            for totals in (self.counts["step-units"], *self._responses.values()):
                totals.add(sign)
        for judged, settling in self._settling.items():
            sides = settling.change(stage.entries.rows, change.moved, change.entries, hit, revised, since, now)
            for sign, rows in zip((-1, 1), sides, strict=True):
                self._session.given("settled", rows)
                for (_, of), totals in self._settled.items():
                    if of == judged:
                        totals.add(sign)

    def _given(self, changed: Changed) -> None:
        for name, rows in changed.items():
            self._session.given(name, rows)

    def _totals(self, name: str, sql: str, arms: Sequence[str]) -> Totals:
        return Totals(self._session, f"total_{name}", sql, arms)
