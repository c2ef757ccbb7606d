"""From evidence to a move: an ordered tuple of small rules; the first that speaks wins."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.judge.decide.cleared import cleared
from crossfade.judge.decide.harm import harm
from crossfade.judge.decide.look import Look, Progress, Rule
from crossfade.judge.decide.overdue import overdue
from crossfade.judge.decide.segment import segment
from crossfade.judge.decide.unmeasured import unmeasured
from crossfade.judge.decide.wait import wait
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.spec.model import Rollout
from crossfade.state import Position

__all__ = ["RULES", "Progress", "decide"]

RULES: tuple[Rule, ...] = (harm, overdue, segment, cleared, unmeasured)
"""In order of rank; `wait` speaks when none of them does."""


def decide(
    rollout: Rollout, position: Position, evidence: Sequence[Evidence], now: float, progress: Progress | None = None
) -> Decision:
    """What to do now. `evidence` is that of the present stage, in any order; `now` is seconds since the epoch."""
    look = Look.at(rollout, position, evidence, now, progress or Progress())
    for rule in RULES:
        decision = rule(look)
        if decision is not None:
            return decision
    return wait(look)
