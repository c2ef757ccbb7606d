"""The demo from first fit to final summary: one scenario after another, watched by whoever wants to show them.

It starts the real system, looks at the record that everybody looks at, and judges only whether the rollout ended
as it should have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossfade.rim.journal import JournalError
from crossfade.rim.lake import LakeError
from crossfade.rim.standing import open_store
from crossfade.sim import rival, training
from crossfade.sim.clicks import CLICK_MODELS
from crossfade.sim.delivered import Delivered, delivered
from crossfade.sim.faults import Fault
from crossfade.sim.lab import Lab, LabError
from crossfade.sim.scenarios import SCENARIOS, Scenario
from crossfade.sim.summary import SCHEMA, ranking_result, summary
from crossfade.sim.training import Trained
from crossfade.state import ENDED, Phase

LINGER = 3.0
"""Seconds watched after the end: a rollback has to be seen to hold."""

LOOK_EVERY = 0.25

ENDS = ENDED | {Phase.PROMOTED}

Record = Mapping[str, Any]
Watch = Callable[[Scenario, Record | None, Record | None], None]
"""Called at every look with the scenario, its record and the users' tally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to see."""

    scenarios: Sequence[str]
    data: Path
    seed: int = 0
    rate: float | None = None
    """Requests per second; each scenario's own when None."""
    fault: Fault = Fault.NONE
    fault_after: float = 0.0
    keep: bool = False

    def folder(self, scenario: str) -> Path:
        """Where a scenario keeps its data: the folder itself when there is only one."""
        return self.data if len(self.scenarios) == 1 else self.data / scenario

    def fault_in(self, scenario: str) -> Fault:
        """The fault of a scenario's challenger: with several scenarios only the bad one has it."""
        return self.fault if len(self.scenarios) == 1 or scenario == "bad" else Fault.NONE


@dataclass(slots=True)
class Demo:
    """A demo under way."""

    asked: Asked
    watch: Watch
    labs: list[Lab] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    summaries: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        """Every scenario in turn; raises LabError. Whatever was started has to be ended by `end`."""
        for name in self.asked.scenarios:
            self._one(SCENARIOS[name])

    def _one(self, scenario: Scenario) -> None:
        began = time.monotonic()
        fault = self.asked.fault_in(scenario.name)
        trained = training.train(scenario.name, self.asked.seed)
        lab = Lab(
            scenario=scenario,
            data=self.asked.folder(scenario.name),
            seed=self.asked.seed,
            rate=self.asked.rate or scenario.rate,
            fault=fault,
            fault_after=self.asked.fault_after,
        )
        self.labs.append(lab)
        lab.begin(trained)
        self._follow(lab)
        took = time.monotonic() - began
        last = scenario.name == self.asked.scenarios[-1]
        if not (self.asked.keep and last):
            lab.send_users_home()
        record, tally = lab.record(), lab.tally()
        if not self.asked.keep:
            lab.end()
        self.records.append(record or {})
        self.summaries.append(
            summary(
                scenario,
                record,
                expected=scenario.expected(fault),
                seconds=took,
                trained=trained,
                fault=fault.value,
                tally=tally,
                deaths=lab.deaths.get("challenger", 0),
                counted=None if self.asked.keep else _counted(lab.data, scenario),
                ranking=self._ranking(lab, record, trained) if scenario.name == "ranking" and record else None,
            )
        )

    def _follow(self, lab: Lab) -> None:
        """Look until the rollout has ended and a little longer, or patience has."""
        deadline = time.monotonic() + lab.scenario.patience
        until: float | None = None
        while time.monotonic() < (deadline if until is None else until):
            lab.tend()
            record = lab.record()
            self.watch(lab.scenario, record, lab.tally())
            if until is None and record is not None and record["phase"] in ENDS:
                until = time.monotonic() + LINGER
            time.sleep(LOOK_EVERY)

    def _ranking(self, lab: Lab, record: Record, trained: Trained) -> dict[str, Any] | None:
        evidence = _evidence_of_moves(lab.data, lab.scenario.rollout)
        line = next((e for e in evidence if e["stage"] == "interleave" and e["role"] == "goal"), None)
        alpha = 1.0 - (line.get("confidence_safe") or line["confidence"]) if line else 0.05
        clicks, seed = CLICK_MODELS[lab.scenario.clicks], self.asked.seed
        alone = rival.interleaved_sessions_needed(trained, clicks, alpha=alpha, seed=seed)
        ab = [
            rival.sessions_needed(trained, clicks, metric=metric, alpha=alpha, seed=seed) for metric in rival.AB_METRICS
        ]
        return ranking_result(record, evidence, alone, ab)

    def keep(self, until: Callable[[], bool]) -> None:
        """Keep what runs running; raises LabError when a part goes away."""
        while not until():
            for lab in self.labs[-1:]:
                lab.tend()
            time.sleep(LOOK_EVERY)

    def end(self) -> None:
        """End every process; may be called at any time and again."""
        for lab in self.labs:
            lab.end()

    @property
    def as_expected(self) -> bool:
        """Whether every scenario was run and ended as it should."""
        return len(self.summaries) == len(self.asked.scenarios) and all(s["as_expected"] for s in self.summaries)

    def record(self) -> dict[str, Any]:
        """The demo's record for programs: the rollouts as `status` gives them, and how each scenario ended."""
        return {
            "schema": SCHEMA,
            "rollouts": self.records,
            "summary": {"as_expected": self.as_expected, "scenarios": self.summaries},
        }


@contextmanager
def demo(asked: Asked, watch: Watch) -> Iterator[Demo]:
    """A demo whose processes have ended when the block is left, however it is left."""
    running = Demo(asked, watch)
    try:
        yield running
    finally:
        running.end()


def occupied(asked: Asked) -> Path | None:
    """The first folder that already holds a rollout's state; a demo never runs into somebody's data."""
    folders = (asked.folder(name) for name in asked.scenarios)
    return next((folder for folder in folders if (folder / "state.db").exists()), None)


def _counted(data: Path, scenario: Scenario) -> Delivered | None:
    try:
        return delivered(data, scenario.rollout)
    except (LakeError, JournalError) as problem:
        raise LabError(f"the recorded facts cannot be read: {problem}") from problem


def _evidence_of_moves(data: Path, rollout: str) -> list[Record]:
    """The evidence that the last move out of the interleaving stage was made on, as the ledger keeps it."""
    store = open_store(data)
    try:
        entries = store.entries(rollout)
    finally:
        store.close()
    for entry in reversed(entries):
        if any(line.get("stage") == "interleave" for line in entry.evidence):
            return list(entry.evidence)
    return []
