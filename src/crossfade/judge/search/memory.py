"""What a search remembers from look to look: where features are cut, and which cells are being tested since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossfade.judge.search.cells import Cell, cell_of

SLOTS = 64
"""Hypotheses that are tested at once. Their number is fixed, so that adding one never makes another look stronger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A cell that is tested for one metric and challenger, on rows that come in after it was proposed."""

    slot: int
    metric: str
    arm: str
    cell: Cell
    since: float
    """Seconds into the stage at which it was proposed."""
    stake: float = 1.0
    """What its evidence began with: 1, or what a weaker one that it took the place of had left."""

    @property
    def key(self) -> tuple[str, str, Cell]:
        """Which question it is."""
        return self.metric, self.arm, self.cell

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "slot": self.slot,
            "metric": self.metric,
            "arm": self.arm,
            "cell": [condition.to_json() for condition in self.cell],
            "since": self.since,
            "stake": self.stake,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The state of the search in one stage of one rollout."""

    rounds: int = 0
    """How often cells have been proposed."""
    cuts: Mapping[str, tuple[float, ...]] | None = None
    """Where each feature was cut in the first round; no cuts for those that are not numeric."""
    hypotheses: tuple[Hypothesis, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "rounds": self.rounds,
            "cuts": None if self.cuts is None else {name: list(edges) for name, edges in self.cuts.items()},
            "hypotheses": [one.to_json() for one in self.hypotheses],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Memory:
        """The inverse of `to_json`."""
        cuts = data["cuts"]
        return cls(
            rounds=int(data["rounds"]),
            cuts=None if cuts is None else {name: tuple(edges) for name, edges in cuts.items()},
            hypotheses=tuple(
                Hypothesis(
                    slot=int(one["slot"]),
                    metric=one["metric"],
                    arm=one["arm"],
                    cell=cell_of(one["cell"]),
                    since=float(one["since"]),
                    stake=float(one["stake"]),
                )
                for one in data["hypotheses"]
            ),
        )

    def free(self) -> list[int]:
        """Slots that nothing is tested in."""
        taken = {one.slot for one in self.hypotheses}
        return [slot for slot in range(SLOTS) if slot not in taken]

    def put(self, new: Hypothesis) -> Memory:
        """With a hypothesis in its slot, in place of what was there."""
        return replace(self, hypotheses=(*(one for one in self.hypotheses if one.slot != new.slot), new))
