"""What recomputing a rollout's decisions found, of each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-9
"""Numbers may differ by this share of their size, because sums depend on the order of what is summed. Verdicts, counts,
moves and words may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """One decision, recomputed."""

    n: int
    move: str
    rule: str
    by_hand: bool
    files: int
    """Data files it was recomputed from."""
    differences: tuple[str, ...] = ()
    aged_out: str | None = None
    """Why it can be recomputed no more, where its facts were deleted in their time and the record says so."""

    @property
    def reproduced(self) -> bool:
        """It was recomputed, and came out the same."""
        return not self.differences and self.aged_out is None

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {
            "n": self.n,
            "move": self.move,
            "rule": self.rule,
            "by_hand": self.by_hand,
            "files": self.files,
            "reproduced": self.reproduced,
            "aged_out": self.aged_out,
            "differences": list(self.differences),
        }


@dataclass(slots=True, kw_only=True)
class Replayed:
    """Every decision of a rollout, recomputed."""

    name: str
    looked: list[Again] = field(default_factory=list)
    software: list[str] = field(default_factory=list)
    """The Crossfade that took the decisions, and others where it was replaced meanwhile."""
    by: str = ""
    """The Crossfade that recomputed them."""

    @property
    def differing(self) -> list[Again]:
        """Those that did not come out the same."""
        return [one for one in self.looked if one.differences]

    @property
    def aged_out(self) -> list[Again]:
        """Those whose facts were deleted in their time: nobody can recompute them, and nothing speaks against them."""
        return [one for one in self.looked if not one.differences and one.aged_out is not None]

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {
            "schema": "crossfade.replay/1",
            "name": self.name,
            "decisions": len(self.looked),
            "reproduced": sum(one.reproduced for one in self.looked),
            "aged_out": len(self.aged_out),
            "by_hand": sum(one.by_hand for one in self.looked),
            "differing": [one.to_json() for one in self.differing],
            "looked": [one.to_json() for one in self.looked],
            "tolerance": TOLERANCE,
            "software": {"recorded": self.software, "replayed": self.by},
        }
