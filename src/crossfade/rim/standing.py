"""What people ask of the store, from terminal or control port: the record as it stands now, and a move by hand."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossfade.judge.segments import suffering
from crossfade.ledger import MANUAL, Entry
from crossfade.rim import store_address, teller
from crossfade.rim.remembered import remembered
from crossfade.rim.searching.kept import found
from crossfade.rim.store import Store, Stored, StoreError, UnknownRollout
from crossfade.rim.tested_before import Before, before
from crossfade.state import RULE, Move
from crossfade.view import refreshed

FRESH = 5.0
"""Seconds after which a gateway's figures, written every second, are those of one that has ended."""

PAST = {
    Move.START: "Started",
    Move.ADVANCE: "Advanced",
    Move.HOLD: "Held",
    Move.RESUME: "Resumed",
    Move.ROLLBACK: "Rolled back",
    Move.PROMOTE: "Promoted",
    Move.FINISH: "Finished",
}

OVERRIDES = (Move.ADVANCE, Move.RESUME, Move.PROMOTE)
"""Moves by which a person does not wait for a rule."""


class NoData(StoreError):
    """There is no store, or there are no facts, where somebody looked for them."""

    def __init__(
        self,
        said: str,
        todo: str = "name the folder with --data, or begin with `crossfade serve SPEC`; `crossfade demo` shows one",
    ) -> None:
        """`todo`: what whoever looked may do."""
        super().__init__(said)
        self.todo = todo


def open_store(data: Path) -> Store:
    """The existing store, shared or under `data`; looking never makes one. Raises NoData or StoreError."""
    if not store_address.there(data):
        raise NoData(f"{data} holds no rollouts: it has no state.db" if data.is_dir() else f"there is no folder {data}")
    return Store(data)


def standing(store: Store, name: str, now: float) -> dict[str, Any]:
    """The record of one rollout at time `now`. Raises UnknownRollout."""
    stored = store.get(name)
    return _standing(store, stored, lease_held(store.data, now), now, before(store, stored))


def _standing(store: Store, stored: Stored, held: bool | None, now: float, tested: Before) -> dict[str, Any]:
    entries = remembered(store).entries(stored)
    record = refreshed(store.view(stored.name), stored.rollout, stored.position, entries, now=now)
    lease = {} if held is None else {"lease": {"held": held}}
    notices = teller.standing(store.data, stored.rollout, stored.seq)
    searched = {"found": found(store.data, stored.rollout, stored.position)} if stored.rollout.features else {}
    worth = tested.worth(stored, record["evidence"])
    return {**record, **lease, **searched, "notices": notices, "worth": worth}


def lease_held(data: Path, now: float) -> bool | None:
    """Whether every gateway that runs hears the controller, from their own mouths; None where none runs.

    Facts cannot tell it in time: it is the controller that brings them in, and it may be what is missing.
    """
    said: list[bool] = []
    for file in (data / "run").glob("metrics-*.json"):
        try:
            if now - file.stat().st_mtime <= FRESH:
                said.append(bool(json.loads(file.read_bytes())["gauges"].get("lease_held")))
        except (OSError, ValueError, KeyError):
            continue
    return all(said) if said else None


def all_standing(store: Store, now: float) -> list[dict[str, Any]]:
    """The records of every rollout, by name."""
    known, held = store.rollouts(), lease_held(store.data, now)
    tested = Before(store, known)
    return [_standing(store, stored, held, now, tested) for stored in known]


def checked_words(
    reason: str, actor: str, what: str = "a move by hand", who: str = "moves a rollout"
) -> tuple[str, str]:
    """A person's reason and name, fit to be shown. Raises ValueError for a missing one, or the rules' own name."""
    # Both are shown on other people's terminals, whose colours and cursor they must not reach.
    reason, actor = plain(reason), plain(actor)
    if not reason:
        raise ValueError(f"{what} needs a reason: it is what others will read in the ledger")
    if actor in ("", RULE):
        raise ValueError(f"{actor!r} cannot be the name of a person who {who}; give another")
    return reason, actor


def move_by_hand(
    store: Store,
    name: str,
    move: Move,
    *,
    actor: str,
    reason: str,
    at: float,
    by: Mapping[str, Any] | None = None,
) -> Entry:
    """Make a person's move, with the evidence they could see kept beside it.

    `by` says how the person was known. Raises IllegalMove, UnknownRollout, or ValueError for a missing reason or an
    actor that is the rules' own name.
    """
    reason, actor = checked_words(reason, actor)
    stored, seen = store.get(name), store.view(name)
    lines = seen["evidence"] if seen else []
    waited = refreshed(seen, stored.rollout, stored.position, store.entries(name), now=at)["sentence"]
    return store.act(
        name,
        move,
        actor=actor,
        rule=MANUAL,
        sentence=f"{PAST[move]} by {actor}: {reason}",
        evidence=lines,
        # Whoever resumes has seen what the page shows, and is not held for it again.
        held_for=suffering(lines) if move is Move.RESUME else (),
        at=at,
        by=by,
        # Who overrides a rule should be seen to have done so: this is what was waited for.
        about={"instead_of": waited} if move in OVERRIDES else None,
    )


def plain(text: str) -> str:
    """One line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def nearest(unknown: UnknownRollout, store: Store) -> list[str]:
    """Names that somebody may have meant, closest first."""
    return difflib.get_close_matches(unknown.name, [stored.name for stored in store.rollouts()], n=3, cutoff=0.5)
