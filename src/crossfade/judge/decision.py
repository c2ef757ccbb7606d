"""What `decide` returns and the ledger keeps: a move or its absence, the rule that spoke, and why."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.state import Move, Suffering


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One look at the evidence. `move` is None when the rollout stays where it is."""

    move: Move | None
    rule: str
    """`harm`, `overdue`, `segment`, `cleared`, `unmeasured`, `approval` or `wait`; `manual` for a person's move."""
    sentence: str
    """For people: the same words in terminal, page and notification."""
    until: float | None = None
    """When this changes by itself if nothing else does, seconds since the epoch."""
    held_for: tuple[Suffering, ...] = ()
    """Of a hold for the sake of segments: which of them suffer."""
    excluded: tuple[tuple[str, str], ...] = ()
    """Without a move: (field, value) of segments that stay on the champion from now on."""
