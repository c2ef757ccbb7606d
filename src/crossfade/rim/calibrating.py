"""Calibration of both models' probabilities, from predictions and labels in the lake; asked for by people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.judge.infer.calibration import calibration
from crossfade.judge.measure.measured import Absent
from crossfade.judge.moments import ScoredMoments
from crossfade.rim.lake import Lake, LakeError
from crossfade.spec.model import Kind, Metric, Rollout, Shadow, Source, stage_name
from crossfade.state import Phase, Position

if TYPE_CHECKING:
    from crossfade.rim.engine.full import Full

FRESH = 30.0
"""Seconds for which a record is given again: windows of labels close all the time."""


class Calibrating:
    """Calibration of the rollouts of one data folder. Safe to share between threads."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lake: Lake | None = None
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def of(self, rollout: Rollout, position: Position, now: float) -> dict[str, Any]:
        """The record of one rollout; where there is none it says why."""
        if _metric(rollout) is None:
            return calibrated(rollout, position, now, self._full)
        with self._lock:
            asked = (rollout.revision, position.stage, position.stage_since, int(now // FRESH))
            known = self._known.get(rollout.name)
            if known is None or known[0] != asked:
                known = self._known[rollout.name] = (asked, calibrated(rollout, position, now, self._full))
            return known[1]

    def _full(self) -> Full:
        from crossfade.rim.engine.full import Full

        if self._lake is None:
            self._lake = Lake(self._data)
        return Full(self._lake, self._lake.versions(), threads=1)


def calibrated(rollout: Rollout, position: Position, now: float, full: Callable[[], Full]) -> dict[str, Any]:
    """The record of one rollout from any place where facts lie; where there is none it says why."""
    # Queries bring half a second of imports, which a console need not wait for before it answers.
    from crossfade.judge.measure.questions import answer, ask

    metric = _metric(rollout)
    if metric is None:
        return _none(rollout, "no metric of the spec sets one probability against labels")
    stage = max(
        (at for at, one in enumerate(rollout.stages) if isinstance(one, Shadow) and at <= position.stage),
        default=None,
    )
    question = ask(rollout, stage_name(Shadow()), metric)
    if stage is None or position.phase is Phase.PENDING or isinstance(question, Absent):
        return _none(rollout, "no shadow has begun yet")
    since = position.stage_since if stage == position.stage else 0.0
    try:
        look = full()
    except LakeError as error:
        return _none(rollout, f"the facts cannot be read: {error}")
    try:
        look.look(rollout.name, stage, stage_name(Shadow()), since, now)
        rows = look.ask(question)
    finally:
        look.close()
    arms = []
    for arm in rollout.challengers:
        found = answer(question, rows, arm.name)
        if isinstance(found, ScoredMoments) and len(found.truth):
            told = calibration(found.truth, found.a, found.b, rollout.alpha)
            arms.append({"arm": arm.name, "metric": metric.name, **told})
    reason = "" if arms else "no label has come inside a window that has closed"
    return {"name": rollout.name, "available": bool(arms), "reason": reason, "arms": arms}


def _none(rollout: Rollout, why: str) -> dict[str, Any]:
    return {"name": rollout.name, "available": False, "reason": why, "arms": []}


def _metric(rollout: Rollout) -> Metric | None:
    """The first metric on a probability, asked for what was said itself (as an AUC asks for it)."""
    if rollout.prediction is None or not rollout.prediction.probability:
        return None
    found = next((one for one in rollout.metrics if one.source is Source.PREDICTION), None)
    return None if found is None else replace(found, kind=Kind.AUC)
