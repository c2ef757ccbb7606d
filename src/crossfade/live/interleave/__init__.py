"""Two rankings in one list, one file a method; chance is an argument."""

from __future__ import annotations

from collections.abc import Sequence

import xxhash

from crossfade.live.interleave.merged import CHALLENGER, CHAMPION, NOBODY, Merged, credit
from crossfade.live.interleave.team_draft import draft

__all__ = ["CHALLENGER", "CHAMPION", "METHODS", "NOBODY", "Merged", "coin", "credit", "merge"]

METHODS = ("team-draft",)
"""Names that `merge` knows, as specs write them."""

_HALF = 1 << 63


def coin(key: str, round: int) -> bool:
    """A fair coin that falls the same way for the same key and round: `xxh3_64(key:round) < 2^63`."""
    return xxhash.xxh3_64_intdigest(f"{key}:{round}".encode()) < _HALF


def merge(
    method: str, champion: Sequence[str], challenger: Sequence[str], *, key: str, length: int | None = None
) -> Merged:
    """One list out of two lists of item ids. All chance comes from `key`, so the same key shows the same list.

    Golden vectors: tests/golden/interleave.json. Raises ValueError for a method that is not in METHODS.
    """
    if method != "team-draft":
        raise ValueError(f"interleaving method {method!r} is not known; allowed: {', '.join(METHODS)}")
    digest, prefix = xxhash.xxh3_64_intdigest, f"{key}:"
    return draft(champion, challenger, coin=lambda number: digest(f"{prefix}{number}".encode()) < _HALF, length=length)
