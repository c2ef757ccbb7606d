"""From one look to the record that people see: the same for a running controller and for who recomputes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from crossfade.judge.day import Day
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.judge.measure.measured import Measured
from crossfade.ledger import Entry
from crossfade.spec.model import Rollout
from crossfade.state import ENDED, Position
from crossfade.view import ArmCounts, Exposure, OutcomeCounts, Progress, harm_so_far, view


def record_of(
    rollout: Rollout,
    position: Position,
    entries: Sequence[Entry],
    measured: Measured,
    evidence: tuple[Evidence, ...],
    decision: Decision | None,
    *,
    now: float,
    outcomes: OutcomeCounts | None = None,
    drift: dict[str, Any] | None = None,
    days: Sequence[Day] = (),
    router: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of a rollout that stands at `position`, of which `measured` and `evidence` are known."""
    return view(
        rollout,
        position,
        _shown(position, entries, evidence, measured),
        decision,
        entries,
        now=now,
        exposure=_exposure(rollout, measured),
        arms=_arms(rollout, measured),
        harm=harm_so_far(rollout, measured.reach.units, entries, evidence),
        progress=_progress(measured),
        outcomes=outcomes,
        drift=drift,
        segments=measured.segments,
        days=days,
        router=router,
    )


def _shown(
    position: Position, entries: Sequence[Entry], evidence: tuple[Evidence, ...], measured: Measured
) -> tuple[Evidence, ...]:
    """The evidence to show: of an ended rollout what it ended on, else that of the present stage and step.

    Outcomes that come in after the end complete the account of harm, but what was decided stays beside its reasons.
    """
    if position.phase in ENDED:
        reasons = entries[-1].evidence if entries else ()
        return tuple(Evidence.from_json(line) for line in reasons) or evidence
    same = (measured.stage, measured.step) == (position.stage, position.step)
    return evidence if same else ()


def _exposure(rollout: Rollout, measured: Measured) -> Exposure:
    units = measured.progress.units
    seen = sum(units.values())
    exposed = sum(units.get(arm.name, 0) for arm in rollout.challengers)
    return Exposure(actual=exposed / seen if seen else None, units=units)


def _arms(rollout: Rollout, measured: Measured) -> dict[str, ArmCounts]:
    reach, progress = measured.reach, measured.progress
    everything = sum(reach.requests.values())
    counted = {}
    for arm in (rollout.champion, *rollout.challengers):
        requests = reach.requests.get(arm.name, 0)
        failures = reach.failures.get(arm.name, 0)
        share = requests / everything if everything else None
        if not everything and arm is rollout.champion:
            requests, failures = progress.requests, progress.failures.get(arm.name, 0)
        elif not requests:
            # A hidden arm fails copies, not users.
            requests, failures = progress.pairs.get(arm.name, 0), progress.failed_pairs.get(arm.name, 0)
        counted[arm.name] = ArmCounts(
            requests=requests, failures=failures, fallbacks=progress.fallbacks.get(arm.name, 0), share=share
        )
    return counted


def _progress(measured: Measured) -> Progress:
    told = asdict(measured.progress)
    dropped, compared = sum(measured.progress.dropped.values()), sum(measured.progress.pairs.values())
    return Progress(
        requests=told["requests"],
        mirrored=told["mirrored"],
        dropped=dropped,
        dropped_share=dropped / (dropped + compared) if dropped + compared else None,
        dropped_why=told["dropped"],
        excluded=told["excluded"],
        missing_units=told["missing"],
        orphans=told["orphans"],
        faults=told["faults"],
        lease_held=told["lease_held"],
        wins=told["wins"],
        losses=told["losses"],
        ties=told["ties"],
    )
