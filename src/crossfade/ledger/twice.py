"""Challengers that a ledger has seen compared both ways: by interleaving, and by an A/B test after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.judge.conversion import BothWays, Told
from crossfade.judge.infer.preference import PREFERENCE
from crossfade.ledger.entries import Entry
from crossfade.spec.model import Ab, Interleave, Rollout, stage_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """One challenger of one rollout, and what both comparisons said of it."""

    rollout: str
    arm: str
    how: tuple[object, ...]
    """Method and credit of the interleaving: preferences of different kinds are different numbers."""
    metrics: Mapping[str, BothWays]
    """By metric, each with its kind, such as `purchase:rate`."""


def twice(rollout: Rollout, entries: Iterable[Entry]) -> list[Twice]:
    """Each challenger with both a preference and an effect, as the last entry that told of it said."""
    stage = interleaved(rollout)
    if stage is None:
        return []
    preferences: dict[str, Told] = {}
    effects: dict[str, dict[str, Told]] = {}
    for entry in entries:
        for line in entry.evidence:
            told = _told(line)
            if told is None or line.get("segment") is not None:
                continue
            if line["metric"] == PREFERENCE.name:
                preferences[line["arm"]] = told
            elif line["stage"] == stage_name(Ab()):
                effects.setdefault(line["arm"], {})[f"{line['metric']}:{line['kind']}"] = told
    return [
        Twice(
            rollout=rollout.name,
            arm=arm,
            how=how(stage),
            metrics={metric: BothWays(preference=preference, effect=effect) for metric, effect in effects[arm].items()},
        )
        for arm, preference in preferences.items()
        if arm in effects
    ]


def interleaved(rollout: Rollout) -> Interleave | None:
    """The stage that interleaves, where there is one."""
    return next((stage for stage in rollout.stages if isinstance(stage, Interleave)), None)


def how(stage: Interleave) -> tuple[object, ...]:
    """What has to be the same for two preferences to be comparable."""
    return (stage.method, stage.credit)


def _told(line: Mapping[str, Any]) -> Told | None:
    if line["estimate"] is None:
        return None
    return Told(estimate=line["estimate"], lower=line["lower"], upper=line["upper"])
