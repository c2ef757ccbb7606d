"""Mutes: a person says that differences of a field do not count, or that they do again, and the ledger keeps why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.ledger import Entry
from crossfade.rim.standing import checked_words
from crossfade.rim.store import Store
from crossfade.spec.check_compare import FIELD
from crossfade.state import mute, unmute

MUTE, UNMUTE = "mute", "unmute"
"""The rules under which the ledger has them."""


def mute_by_hand(
    store: Store,
    name: str,
    path: str,
    *,
    actor: str,
    reason: str,
    at: float,
    on: bool = True,
    by: Mapping[str, Any] | None = None,
) -> Entry:
    """Mute a field, or (`on` false) let it count again.

    Raises UnknownRollout, IllegalMute, or ValueError for a missing reason, a path that is none, or the rules' own name.
    """
    reason, actor = checked_words(reason, actor, "a mute", "mutes a field")
    if FIELD.fullmatch(path) is None:
        raise ValueError(f"{path!r} is no field: expected a path such as $.took_ms or $.items[*].score")
    word = "Muted" if on else "Unmuted"
    return store.note(
        name,
        actor=actor,
        rule=MUTE if on else UNMUTE,
        sentence=f"{word} {path} by {actor}: {reason}",
        at=at,
        by=by,
        change=lambda rollout, position: (
            mute(rollout, position, path, reason) if on else unmute(rollout, position, path)
        ),
    )
