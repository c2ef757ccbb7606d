"""What a check of a record found, and what it cannot show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crossfade.ledger import Entry, Sealed, SealedFile
from crossfade.rim.accounts import Account


@dataclass(slots=True, kw_only=True)
class Checked:
    """What a check found. The first thing that does not hold ends it."""

    intact: bool = True
    entries: int = 0
    seals: int = 0
    files: int = 0
    """Data files read and found to be what a seal says."""
    rewritten: int = 0
    """Seals after which files had been written anew, found to hold the facts of those they replaced."""
    removed: int = 0
    """Sealed files that are gone because a seal says so."""
    aged_out: bool = False
    """Facts beyond their time were deleted, as seals announce."""
    without_facts: list[int] = field(default_factory=list)
    """Decisions that nobody can recompute any more, because facts they stand on were deleted in their time."""
    forgotten: int = 0
    """Sealed files in whose place others stand, as a seal says, because a unit was forgotten."""
    first_broken: int | str | None = None
    """Number of the ledger's entry, else the name of the seal or the file."""
    reason: str = ""
    signers: list[str] = field(default_factory=list)
    unsigned: int = 0
    """Records of ledger, seals and account log without a signature."""
    unsealed: list[int] = field(default_factory=list)
    """Entries whose facts no seal names: an earlier version took them, or the seal could not be made in time."""
    uncovered: int = 0
    """Files that came in since the last seal, which nothing vouches for yet."""
    head: str | None = None
    """Hash of the ledger's last entry: kept elsewhere, it shows later that nothing up to here was written anew."""
    sets: list[Mapping[str, Mapping[str, SealedFile]]] = field(default_factory=list)
    """Which files made up each table, by seal."""
    accounts: list[Account] = field(default_factory=list)
    """The account log: who was given a token, and from whom one was taken."""
    search: str = ""
    """What vouches for what was found among groups that nobody declared: `sealed`, `unsealed` (an earlier version, or
    no seal since), `missing` (a seal names it, and it is not here); '' where nobody searched."""
    read: list[Entry] = field(default_factory=list)
    sealed: list[Sealed] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {
            "schema": "crossfade.verify/1",
            "entries": self.entries,
            "facts": self.files if self.sealed else None,
            "facts_reason": None if self.sealed else NO_SEALS,
            "intact": self.intact,
            "first_broken": self.first_broken,
            "reason": self.reason,
            "seals": self.seals,
            "rewritten": self.rewritten,
            "removed": self.removed,
            "aged_out": self.aged_out,
            "without_facts": self.without_facts,
            "forgotten": self.forgotten,
            "unsealed": self.unsealed,
            "uncovered": self.uncovered,
            "accounts": len(self.accounts),
            "search": self.search or None,
            "signed": {"by": self.signers, "unsigned": self.unsigned},
            "head": self.head,
            "not_shown": limits(self),
        }


NO_SEALS = "no facts have been sealed yet, so only the ledger was checked"


def limits(found: Checked) -> list[str]:
    """What this check cannot show, in words."""
    told = []
    if found.unsigned or not found.signers:
        told.append(
            "not every record is signed: whoever can write to ledger and facts alike could have written both anew, "
            "every hash included; that shows only against a hash that was kept elsewhere (--expect) or signatures"
        )
    if found.unsealed:
        told.append(f"the facts of entries {_list(found.unsealed)} were not sealed when they were decided")
    if found.without_facts:
        told.append(
            f"facts that entries {_list(found.without_facts)} stand on were deleted in their time, as recorded: that "
            "these decisions follow from them can be shown no more"
        )
    if found.search in _SEARCH:
        told.append(_SEARCH[found.search])
    if found.uncovered:
        told.append(f"{found.uncovered} files of facts came in since the last seal; the next one covers them")
    return told


_SEARCH = {
    "unsealed": "no seal tells of what was found among groups that nobody declared: it is shown as it was last written",
    "missing": "what was found among groups that nobody declared is not here, though a seal names it",
}


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
