"""What the store hands out, a rollout as it stands and all that is recorded of one, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade import ledger
from crossfade.rim.revisions import StoreError
from crossfade.spec.model import Rollout
from crossfade.state import Position

__all__ = ["Deposed", "StaleDecision", "StaleSeal", "StoreError", "Stored", "Told", "UnknownRollout"]


class UnknownRollout(StoreError):
    """No rollout has that name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        there = ", ".join(known) if known else "none yet; add one with `crossfade serve SPEC`"
        super().__init__(f"no rollout is named {name!r}; known: {there}")
        self.name = name


class Deposed(StoreError):
    """A controller that does not lead any more tried to write."""

    def __init__(self, term: int) -> None:
        super().__init__(f"another controller leads now (this one did in term {term}): nothing was written")
        self.term = term


class StaleSeal(StoreError):
    """A seal was made by somebody who did not know the last one."""


class StaleDecision(StoreError):
    """A decision was taken from a position that is no longer the present one."""

    def __init__(self, name: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{name} has moved on (entry {actual}, decided at entry {expected}): look again and decide anew"
        )
        self.name = name
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One rollout as it stands in the store."""

    name: str
    text: str
    """The spec as written."""
    revision: str
    position: Position
    seq: int
    """Number of the last ledger entry."""
    rollout: Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is recorded of one rollout but its facts, for those who check it."""

    name: str
    entries: Sequence[str | bytes]
    """The ledger as it is stored."""
    head: ledger.Head
    """Where the ledger should end, by what is kept outside it."""
    seals: Sequence[str | bytes]
    seals_head: int
    specs: Mapping[str, str]
    """The text of each revision."""
