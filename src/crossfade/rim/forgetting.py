"""Forgets a unit: its names leave every file, examples of its replies go, and the chains say that this was done.

What is asked for lies in a folder until it is done, so that a death in the middle costs nothing: each step is either
done or done again. The new files come first, then the seal that names them beside the old ones, then the ledgers, and
only then the tables, the old files and the request itself.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crossfade.ledger import Replacement, Seal, Sets
from crossfade.ledger.seals import FORGOTTEN
from crossfade.rim import examples
from crossfade.rim.lake import Lake
from crossfade.rim.lake_place import Place
from crossfade.rim.lake_rewriting import Search, Tombstones, anew, new_name, put_in_place
from crossfade.rim.lake_sealed import describe
from crossfade.rim.lake_sources import DRAIN
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.sealing import Sealer
from crossfade.rim.secrets import SecretError
from crossfade.rim.standing import plain
from crossfade.rim.store import Store, StoreError
from crossfade.state import RULE

log = logging.getLogger("crossfade.controller")

FOLDER = "forget"
"""Requests that are not done, below the data folder: the one place where a unit that is to be forgotten is named."""

RULE_NAME = "forgotten"
"""The rule under which ledgers have it."""

SETTLE = 2.0
"""Seconds a request waits, so that what gateways took before it has reached their journals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be forgotten."""

    id: str
    unit: str
    rollouts: tuple[str, ...]
    """Empty for all."""
    actor: str
    reason: str
    at: float
    by: Mapping[str, str] | None = None
    """How who asked was known."""


@dataclass(slots=True, kw_only=True)
class Forgotten:
    """What was done."""

    id: str
    facts: dict[str, int] = field(default_factory=dict)
    """How many facts named the unit, by rollout."""
    files: int = 0
    examples: int = 0
    seal: int | None = None
    failed: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record for programs; it does not say who."""
        return {"schema": "crossfade.forgotten/1", **asdict(self)}


def ask(
    data: Path,
    unit: str,
    rollouts: Sequence[str],
    *,
    actor: str,
    reason: str,
    at: float,
    by: Mapping[str, str] | None = None,
) -> Path:
    """Leave a request. Raises ValueError for what no ledger should hold."""
    reason, actor = plain(reason), plain(actor)
    if not unit:
        raise ValueError("name the unit as requests and outcomes do")
    if not reason:
        raise ValueError("to forget needs a reason: it is what others will read in the ledger")
    if unit.lower() in reason.lower() or unit == actor:
        raise ValueError("the reason must not name the unit: it stays in the ledger; write, for one, a ticket's number")
    if actor in ("", RULE):
        raise ValueError(f"{actor!r} cannot be the name of a person; give another with --actor")
    asked = Asked(id=uuid.uuid4().hex, unit=unit, rollouts=tuple(rollouts), actor=actor, reason=reason, at=at, by=by)
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{asked.id}.json"
    handle = os.open(target.with_suffix(".tmp"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(json.dumps(asdict(asked)))
        out.flush()
        os.fsync(out.fileno())
    os.replace(target.with_suffix(".tmp"), target)
    return target


def answered(request: Path) -> Forgotten | None:
    """What became of a request; None while it is not done."""
    answer = request.with_suffix(".done")
    try:
        told = json.loads(answer.read_text())
    except FileNotFoundError:
        return None
    answer.unlink()
    told.pop("schema")
    return Forgotten(**told)


class Forgetting:
    """Does what is asked for in the folder, one request at a time, for whoever may compact the lake."""

    def __init__(self, store: Store, lake: Lake, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._store, self._lake, self._sealer, self._clock = store, lake, sealer, clock
        self._data = lake.data
        self._keys = Keys(lake.data)

    def pending(self) -> list[Path]:
        """Requests that are not done."""
        return sorted((self._data / FOLDER).glob("*.json"))

    def finish(self) -> None:
        """Before anything else is done with the tables: put in place what a seal says was replaced."""
        if self.pending():
            with self._lake.alone() as place:
                self._put_in_place(place, self._sealer.sets())

    def turn(self, *, settle: float = SETTLE) -> bool:
        """Do the next request, if there is one; whether there was. Raises LakeError, StoreError, JournalError."""
        for request in self.pending():
            if time.time() - request.stat().st_mtime < settle:
                continue
            asked = _read(request)
            if asked is None:
                request.rename(request.with_suffix(".unreadable"))
                continue
            try:
                done = self.forget(asked)
            except SecretError as error:
                # Nothing was touched yet, and only a person can bring the key.
                done = Forgotten(id=asked.id, failed=str(error))
            answer = request.with_suffix(".done")
            answer.with_suffix(".tmp").write_text(json.dumps(done.to_json()))
            os.replace(answer.with_suffix(".tmp"), answer)
            _scrub(request)
            log.info("forgot one unit: %s", json.dumps({**done.to_json(), "id": asked.id}))
            return True
        return False

    def forget(self, asked: Asked) -> Forgotten:
        """Do one request from wherever it stands. Raises LakeError, StoreError, JournalError, SecretError."""
        who = self._names(asked)
        while sum(self._lake.compact_journals().values()) >= DRAIN:
            pass
        self._lake.purge_journals()
        with self._lake.alone() as place:
            self._put_in_place(place, self._sealer.sets())
        self._sealer.seal("periodic", self._clock())
        with self._lake.alone() as place:
            search = Search(place, who)
            self._replace(place, search, asked)
            told = self._told(asked)
            self._note(asked, told)
            self._put_in_place(place, self._sealer.sets())
            self._remove_strays(place, search)
        told.examples += examples.forget(self._data, search.decisions)
        self._sealer.seal("periodic", self._clock())
        return told

    def _names(self, asked: Asked) -> dict[str, set[str]]:
        """The names under which the unit was recorded, by rollout."""
        stored = self._store.rollouts()
        unknown = set(asked.rollouts) - {one.name for one in stored}
        if unknown:
            raise StoreError(f"no rollout is named {', '.join(sorted(unknown))}")
        return {
            # Where pseudonyms came with a later revision, outcomes that came before are under the name itself.
            one.name: {asked.unit, self._keys.recorded(one.rollout, asked.unit)}
            for one in stored
            if not asked.rollouts or one.name in asked.rollouts
        }

    def _replace(self, place: Place, search: Search, asked: Asked) -> None:
        """Write new files beside the old ones, and seal which takes whose place."""
        sets, stones = self._sealer.sets(), Tombstones()
        replaced: dict[str, dict[str, Replacement]] = {}
        facts: dict[str, int] = {}
        for kind, names in search.found.items():
            for name in names:
                known = sets.known.get((kind, name))
                if known is None or (kind, name) in sets.replaced or (kind, name) in sets.removed:
                    continue
                made = anew(kind, place.read(kind, name), search, stones)
                for rollout, count in made.facts.items():
                    facts[rollout] = facts.get(rollout, 0) + count
                fresh = new_name(name)
                place.write(kind, fresh, made.content, fresh=True)
                said = describe(made.content, f"{kind}/{fresh}")
                one = Replacement(name=fresh, sha256=said.sha256, rows=said.rows, was=known.sha256)
                replaced.setdefault(kind, {})[name] = one
        if replaced:
            note = {"request": asked.id, "facts": facts, "actor": asked.actor, "reason": asked.reason}
            self._sealer.say(Seal(at=self._clock(), why=FORGOTTEN, replaced=replaced, note=note))

    def _told(self, asked: Asked) -> Forgotten:
        """What was done for a request so far, by the seals."""
        told = Forgotten(id=asked.id)
        for seal in self._sealer.chain():
            if seal.why == FORGOTTEN and seal.note.get("request") == asked.id:
                told.seal = seal.n
                told.files += sum(map(len, (seal.replaced or {}).values()))
                for rollout, count in seal.note["facts"].items():
                    told.facts[rollout] = told.facts.get(rollout, 0) + int(count)
        return told

    def _note(self, asked: Asked, told: Forgotten) -> None:
        """An entry in the ledger of each rollout concerned, once."""
        for seal in self._sealer.chain():
            if seal.why != FORGOTTEN or seal.note.get("request") != asked.id:
                continue
            stands = {"n": seal.n, "hash": seal.hash}
            for rollout in self._concerned(seal.note["facts"], asked):
                entries = self._store.entries(rollout)
                if any((entry.about or {}).get("erased", {}).get("seal") == stands for entry in entries):
                    continue
                count, files = int(seal.note["facts"].get(rollout, 0)), sum(map(len, (seal.replaced or {}).values()))
                self._store.note(
                    rollout,
                    actor=asked.actor,
                    rule=RULE_NAME,
                    sentence=f"Forgot one unit, asked by {asked.actor}: {asked.reason} ({_facts(count)} no longer "
                    f"{'names' if count == 1 else 'name'} it; {files} files were written anew, seal {seal.n}).",
                    at=self._clock(),
                    by=asked.by,
                    about={"erased": {"why": FORGOTTEN, "facts": count, "files": files, "seal": stands}},
                )

    def _concerned(self, facts: Mapping[str, int], asked: Asked) -> list[str]:
        named = [rollout for rollout in facts if rollout]
        # Outcomes that name a decision do not say whose they are: where they alone are left, all asked for are told.
        return named or list(asked.rollouts) or [one.name for one in self._store.rollouts()]

    def _put_in_place(self, place: Place, sets: Sets) -> None:
        by_kind: dict[str, dict[str, str]] = {}
        for (kind, old), new in sets.replaced.items():
            by_kind.setdefault(kind, {})[old] = new
        for kind, replaced in by_kind.items():
            there = set(place.data(kind))
            due = {old: new for old, new in replaced.items() if old in there}
            if due:
                put_in_place(place, kind, due, sets.forgotten[kind])

    def _remove_strays(self, place: Place, search: Search) -> None:
        """Files that no seal ever named, or that one says are gone: a death left them, and nobody reads them."""
        sets = self._sealer.sets()
        for kind, names in search.found.items():
            for name in names:
                if (kind, name) not in sets.known or (kind, name) in sets.removed:
                    place.remove(kind, name)


def _facts(count: int) -> str:
    return "1 fact" if count == 1 else f"{count} facts"


def _read(request: Path) -> Asked | None:
    try:
        told = json.loads(request.read_text())
        return Asked(**{**told, "rollouts": tuple(told["rollouts"])})
    except (ValueError, TypeError, KeyError) as error:
        log.error("a request to forget, %s, cannot be read and was put aside: %s", request, error)
        return None


def _scrub(request: Path) -> None:
    """Delete a request, its content first."""
    with suppress(OSError):
        size = request.stat().st_size
        with request.open("r+b") as file:
            file.write(b" " * size)
            file.flush()
            os.fsync(file.fileno())
        request.unlink()
