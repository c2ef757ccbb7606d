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
    """Sealed facts of this rollout by kind."""
    arms: Sequence[Record] = ()
    """Of each arm `requests`, `units` and `failed`, over the whole time."""
    copies: Sequence[Record] = ()
    """Of each challenger `copies` of requests that it answered unseen, and how many of them `failed`."""
    nameless: int | None = None
    """Requests that named no unit."""
    period: tuple[float, float] | None = None
    """When the first and the last request came."""
    reached: Mapping[str, int] = field(default_factory=dict)
    """Different units that each challenger ever served."""
    late: Sequence[Record] = ()
    """What a challenger still served after a rollback: `n`, `requests`, `units`, `seconds`."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Copies for a shadow that were not made, by reason."""
    accounts: Sequence[Record] = ()
    """Who was given a token, and from whom one was taken: entries of the account log."""
    found: Record | None = None
    """What was searched for among groups that nobody declared; None where that is not part of the record."""
    calibration: Record | None = None
    """Calibration of probabilities against labels, where it can be asked for."""
    timeline: Sequence[Record] = ()
    """Slices of time: `at`, `until`, and units seen per arm."""
    spans: Sequence[Mapping[str, int]] = ()
    """Different units seen per arm, from each move to the next."""
    faults: Sequence[Record] = ()
    """Faults of ours by kind: `what`, `count`, `first`, `last`."""
    leases: int = 0
    """How often a gateway said that it had lost the controller."""
    slices: str = ""
    """The question that the timeline answers."""
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
