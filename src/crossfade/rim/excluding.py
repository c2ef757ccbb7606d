"""Exclusions: a segment is kept on the champion, or served like all others again, and the ledger keeps why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.ledger import Entry
from crossfade.rim.standing import checked_words
from crossfade.rim.store import Store
from crossfade.spec.model import Rollout
from crossfade.state import IllegalExclusion, Position, exclude, include

EXCLUDE, INCLUDE = "exclude", "include"
"""The rules under which the ledger has what people asked for."""


def exclude_by_hand(
    store: Store,
    name: str,
    segment: str,
    *,
    actor: str,
    reason: str,
    at: float,
    on: bool = True,
    by: Mapping[str, Any] | None = None,
) -> Entry:
    """Keep a segment such as `header:x-country=DE` on the champion, or (`on` false) let it be served like all others.

    Raises UnknownRollout, IllegalExclusion, or ValueError for a missing reason or the rules' own name.
    """
    what, whoever = ("an exclusion", "excludes a segment") if on else ("an inclusion", "includes a segment again")
    reason, actor = checked_words(reason, actor, what, whoever)

    def change(rollout: Rollout, position: Position) -> Position:
        field, value = named(rollout, position, segment)
        return exclude(rollout, position, [(field, value)]) if on else include(position, field, value)

    done = f"Kept {segment} on the champion" if on else f"Let {segment} be served like all others again"
    return store.note(
        name,
        actor=actor,
        rule=EXCLUDE if on else INCLUDE,
        sentence=f"{done}, by {actor}: {reason}",
        at=at,
        by=by,
        change=change,
    )


def named(rollout: Rollout, position: Position, segment: str) -> tuple[str, str]:
    """The field and the value that a segment's name says. Raises IllegalExclusion where it names no declared field."""
    declared = {str(field) for field in rollout.segments} | {field for field, _ in position.excluded}
    for field in sorted(declared, key=len, reverse=True):
        if segment.startswith(f"{field}="):
            return field, segment[len(field) + 1 :]
    fields = ", ".join(str(field) for field in rollout.segments)
    if not fields:
        raise IllegalExclusion(
            f"the spec of {rollout.name} declares no segments, so that none can be kept on the champion: add "
            "`segments: [header:x-country]` to it"
        )
    raise IllegalExclusion(
        f"{segment!r} names no segment that the spec of {rollout.name} declares: expected FIELD=VALUE, with one of the "
        f"fields {fields}"
    )
