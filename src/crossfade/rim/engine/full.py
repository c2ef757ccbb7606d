"""Everything asked anew of the facts as they lie in the lake: the definition, and how a look is repeated exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from crossfade.judge.measure import counts, received
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Received
from crossfade.judge.measure.questions import Judged, Question
from crossfade.judge.measure.tables import FACTS, Expr, arrivals, exposures, fallen, homes, units
from crossfade.rim.engine.amending import amend
from crossfade.rim.engine.session import Session, compiled, reading


class Files(Protocol):
    """Where facts lie: a lake, or what was recorded of one."""

    def files(self, kind: str, version: int | None = None) -> list[str]:
        """The Parquet files that make up a table."""


class Full:
    """One look over named versions of the fact tables."""

    def __init__(self, lake: Files, versions: Mapping[str, int], threads: int) -> None:
        self._session = Session(threads)
        self._judged: Judged | None = None
        for kind in FACTS:
            files = lake.files(kind, versions[kind]) if kind in versions else []
            name = "reported" if kind == "outcome" else kind
            if files:
                self._session.run(f"CREATE VIEW {name} AS {reading(kind, files)}")
            else:
                self._session.empty(name, FACTS[kind])

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at, and make the tables that several questions share."""
        self._session.look(rollout, stage, mode, since, now)
        amend(self._session)
        for name, build in (
            ("exposures", exposures),
            ("arrivals", arrivals),
            ("units", units),
            ("fallen", fallen),
            ("homes", homes),
            ("touched", counts.touched),
        ):
            self._session.table(name, compiled((name,), build))

    def ask(self, question: Question) -> Rows:
        """The rows of a question."""
        judged = question.judged
        if judged is not None and judged != self._judged:
            self._session.table("settled", compiled(("settled", judged), judged.build))
            self._judged = judged
        return self._session.rows(compiled(question.key, question.build))

    def count(self, name: str, build: Callable[[], Expr]) -> Rows:
        """The rows of a query of `measure.counts`."""
        return self._session.rows(compiled((name,), build))

    def events(self, name: str, champion: str) -> Rows:
        """Over the whole rollout, units per arm with an outcome of that name."""
        self._session.table("told", compiled(("told", name), lambda: counts.told(name)))
        self._session.table("loose", compiled(("loose", name), lambda: counts.loose(name)))
        return self._session.rows(compiled(("outcome-reach", champion), lambda: counts.outcome_reach(champion)))

    def orphans(self, now: float) -> tuple[int, int]:
        """Outcomes without a decision, and those that are merely early."""
        rows = self._session.rows(compiled(("orphans",), counts.orphans))
        return int(rows["orphans"][0]), int(rows["early"][0])

    def received(self, names: tuple[str, ...]) -> Received:
        """What became of outcomes of these names."""
        told: dict[str, int] = {}
        for name, build in (
            ("received", received.received),
            ("corrected", received.corrected),
            ("astray", received.astray),
        ):
            told[name] = int(self._session.rows(compiled((name, names), partial(build, names)))["n"][0])
        return Received(**told)

    def close(self) -> None:
        """Free the memory."""
        self._session.close()
