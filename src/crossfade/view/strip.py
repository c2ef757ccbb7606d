"""The path of a rollout as points on a strip: every step of every stage, and which were passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.ledger import Entry
from crossfade.spec.model import Ab, Canary, Interleave, Promote, Rollout, Shadow, stage_name
from crossfade.state import Phase, Position, planned_weight
from crossfade.view.words import percent


def strip(rollout: Rollout, position: Position, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every step of every stage in order: its label, its planned weight, and whether it was passed.

    `state` is `done`, `here`, `ahead`, `stopped` (rolled back there) or `skipped` (never entered).
    """
    been = _visited(entries)
    here = (position.stage, position.step)
    ended = position.phase is Phase.ROLLED_BACK
    points = []
    for index, stage in enumerate(rollout.stages):
        for step in range(len(stage.steps) if isinstance(stage, Canary) else 1):
            at = (index, step)
            if position.phase is Phase.PENDING:
                state = "ahead"
            elif at == here:
                state = {Phase.ROLLED_BACK: "stopped", Phase.FINISHED: "done"}.get(position.phase, "here")
            elif at < here:
                state = "done" if at in been or not entries else "skipped"
            else:
                state = "skipped" if ended else "ahead"
            share = planned_weight(rollout, index, step)
            points.append(
                {
                    "stage": stage_name(stage),
                    "step": step if isinstance(stage, Canary) else None,
                    "weight": share,
                    "label": point_label(rollout, index, step),
                    "state": state,
                }
            )
    return points


def point_label(rollout: Rollout, stage: int, step: int) -> str:
    """One point of the strip in words: `shadow`, `canary 5 %`, `ab 50 %`, `promote`."""
    match rollout.stages[stage]:
        case Shadow():
            return "shadow"
        case Promote():
            return "promote"
        case Canary() | Interleave() | Ab() as found:
            return f"{stage_name(found)} {percent(planned_weight(rollout, stage, step))}"


def _visited(entries: Sequence[Entry]) -> set[tuple[int, int]]:
    """The (stage, step) points that the ledger says the rollout stood on."""
    stood = [entry.to_position for entry in entries if entry.to_position is not None]
    return {(at["stage"], at["step"]) for at in stood if at["phase"] != Phase.PENDING}
