"""Everything the dossier is made from: ledger, specs, what checking and recomputing said, and counts of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from crossfade.judge.evidence import Evidence
from crossfade.ledger import Entry
from crossfade.spec.model import Rollout

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one rollout."""

    rollout: Rollout
    """Under its last revision."""
    text: str
    """The same as it was written."""
    entries: Sequence[Entry]
    view: Record
    """The record that people see, made anew `from` the facts; where that failed, the one last shown."""
    verified: Record
    """What `verify` said."""
    replayed: Record
    """What `replay` said."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Sealed facts by kind, of every rollout of the data folder."""
    timeline: Sequence[Record] = ()
    """Slices of time: `at`, `until`, and units seen per arm."""
    spans: Sequence[Mapping[str, int]] = ()
    """Different units seen per arm, from each move to the next."""
    faults: Sequence[Record] = ()
    """Faults of ours by kind: `what`, `count`, `first`, `last`."""
    leases: int = 0
    """How often a gateway said that it had lost the controller."""
    now: float
    software: str

    @cached_property
    def moves(self) -> list[Entry]:
        """Entries that moved the rollout."""
        return [entry for entry in self.entries if entry.move is not None]

    @cached_property
    def lines(self) -> dict[int, list[Evidence]]:
        """The evidence of each entry, as it was recorded."""
        return {entry.n: [Evidence.from_json(line) for line in entry.evidence] for entry in self.entries}
