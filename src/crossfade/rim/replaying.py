"""Recomputes every decision of a rollout from the recorded facts, and says of each whether it comes out the same.

A decision by rule is measured anew over exactly the files that its seal names, as of its own time, under its own
revision of the spec; a person's is only carried out again. Whether to trust the record is for `verifying` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from crossfade.judge.assess import assess
from crossfade.judge.decide import decide
from crossfade.judge.evidence import Evidence
from crossfade.judge.measure import Measured
from crossfade.judge.seen import seen_of
from crossfade.judge.segments import suffering
from crossfade.ledger import Entry, Sealed, Sets, plain, verify_seals, verify_texts
from crossfade.rim.aged import Aged
from crossfade.rim.approving import APPROVE
from crossfade.rim.engine import look_mode
from crossfade.rim.engine.backend import Backend
from crossfade.rim.engine.full import Full
from crossfade.rim.engine.look import take
from crossfade.rim.excluding import EXCLUDE
from crossfade.rim.lake import LakeError
from crossfade.rim.record import AnyRecord
from crossfade.rim.replayed import TOLERANCE, Again, Replayed
from crossfade.rim.software import software
from crossfade.rim.store import StoreError
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import RULE, IllegalMove, Move, Position, apply, approve, exclude
from crossfade.view.approval import evidence_digest, verdicts_digest

UNREADABLE = (duckdb.Error, pa.ArrowException, OSError)
"""What reading a damaged file of facts may end in."""


class Removed(LakeError):
    """A file that a seal says was removed."""

    def __init__(self, message: str, by: int) -> None:
        super().__init__(message)
        self.by = by
        """The number of that seal."""


class Facts:
    """The files of each table by seal, for the engine to read."""

    def __init__(self, record: AnyRecord, seals: Sequence[Sealed]) -> None:
        self._record = record
        self._by_seal: list[dict[str, dict[str, Any]]] = []
        sets = Sets()
        for seal in seals:
            sets.take(seal, seal.n)
            self._by_seal.append({kind: dict(files) for kind, files in sets.tables.items()})
        if sets.replaced:
            # What a unit's name was taken out of stands for what was read then.
            self._by_seal = [
                {kind: {sets.resolved(kind, name): file for name, file in files.items()} for kind, files in one.items()}
                for one in self._by_seal
            ]
        self._removed = sets.removed
        self._now: dict[str, dict[str, Any]] | None = None

    def allow(self, rollout: Rollout) -> None:
        """Raises StoreError for a spec of the record that names code which whoever checks it has not let run."""
        named = sorted({metric.score for metric in rollout.metrics if metric.score})
        if named and not self._record.runs_code:
            raise StoreError(
                f"its spec scores by {', '.join(named)}, code that whoever made the folder has chosen, and it was not "
                "run; look at it, then add --run-code"
            )

    def at(self, entry: Entry) -> int:
        """Read what a decision saw, from now on; how many files. Raises LakeError."""
        if entry.sealed is not None:
            self._now = self._by_seal[int(entry.sealed["n"]) - 1]
        elif not entry.facts:
            # It was taken before anything had been recorded.
            self._now = {}
        elif self._record.exported:
            raise LakeError(f"no seal names the facts of entry {entry.n}, so they were not exported")
        else:
            self._now = None
        count = 0
        for kind, version in (entry.facts or {}).items():
            for name in self._names(kind, version):
                self._there(kind, name)
                count += 1
        return count

    def last(self) -> int:
        """Read everything that was sealed, from now on; how many files."""
        self._now = self._by_seal[-1] if self._by_seal else {}
        return sum(map(len, self._now.values()))

    def versions(self) -> dict[str, int]:
        """Every table there is, for the engine to ask for."""
        return dict.fromkeys(self._now or {}, 0)

    def files(self, kind: str, version: int | None = None) -> list[str]:
        """The data files of a table. Raises LakeError."""
        return [str(self._there(kind, name)) for name in self._names(kind, version)]

    def _names(self, kind: str, version: int | None) -> Sequence[str]:
        if self._now is not None:
            return sorted(self._now.get(kind, ()))
        return (self._record.listed(kind, version) or []) if version is not None else []

    def _there(self, kind: str, name: str) -> Any:
        path = self._record.path(kind, name)
        if not path.exists():
            if (kind, name) in self._removed:
                raise Removed(f"{kind}/{name} was removed", self._removed[kind, name])
            raise LakeError(f"{kind}/{name} is not there; `crossfade verify` says whether it was removed on purpose")
        return path


Measure = Callable[[Facts, Rollout, Position, float], Measured]
"""One look over facts at a time."""


def replay(
    record: AnyRecord,
    *,
    threads: int = 2,
    backend: Backend | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Replayed:
    """Recompute every decision, by another engine than DuckDB where one is given.

    `progress` is told how many of how many have been.

    Raises StoreError when the ledger or the seals cannot be read.
    """
    entries, seals = chains(record)
    facts, aged = Facts(record, seals), Aged(entries, record.told.specs, seals)
    found = Replayed(name=record.told.name, by=software())
    todo = sum(entry.move is not None or _excludes(entry) for entry in entries)
    for entry in entries:
        if entry.software and entry.software not in found.software:
            found.software.append(entry.software)
        if entry.move is not None or _excludes(entry):
            found.looked.append(_again(record, facts, aged, entry, partial(measured, threads=threads, backend=backend)))
            progress(len(found.looked), todo)
        elif entry.rule == APPROVE:
            found.looked.append(_approved(record, entry))
    return found


def chains(record: AnyRecord) -> tuple[list[Entry], list[Sealed]]:
    """The ledger and the seals of a record. Raises StoreError where they do not hold."""
    verified, entries = verify_texts(record.told.entries, record.told.head)
    broken, seals = verify_seals(record.told.seals, record.told.seals_head)
    reason = verified.reason or (broken.reason if broken else "")
    if reason:
        raise StoreError(f"the record of {record.told.name} does not hold: {reason}; see `crossfade verify`")
    return entries, seals


def spec_of(record: AnyRecord, entry: Entry) -> Rollout:
    """The spec a decision was taken under. Raises StoreError."""
    text = record.told.specs.get(entry.revision)
    if text is None:
        raise StoreError(f"the spec of revision {entry.revision} is missing")
    return parse(text)


def measured(
    facts: Facts, rollout: Rollout, position: Position, now: float, threads: int, backend: Backend | None = None
) -> Measured:
    """One look over the facts as they are set, at a time, under a spec of the record. Raises StoreError."""
    facts.allow(rollout)
    with looking(facts, threads, backend) as look:
        return look(rollout, position, now)


@contextmanager
def looking(
    facts: Facts, threads: int, backend: Backend | None = None
) -> Iterator[Callable[[Rollout, Position, float], Measured]]:
    """Looks at the facts as they are set, at different times."""
    versions = facts.versions()
    full = Full(facts, versions, threads, backend=backend)

    def look(rollout: Rollout, position: Position, now: float) -> Measured:
        full.look(rollout.name, position.stage, look_mode(rollout, position), position.stage_since, now)
        return take(full, rollout, position, now, versions)

    try:
        yield look
    finally:
        full.close()


def _excludes(entry: Entry) -> bool:
    """Whether a rule kept a segment on the champion, which is a decision without a move."""
    return entry.move is None and entry.actor == RULE and entry.rule == "segment"


def _again(record: AnyRecord, facts: Facts, aged: Aged, entry: Entry, measure: Measure) -> Again:
    by_hand = entry.actor != RULE
    files, differences, aged_out = 0, [], None
    try:
        rollout = spec_of(record, entry)
        position = Position.from_json(entry.from_position or Position().to_json())
        differences += _moved(rollout, position, entry)
        if not by_hand:
            files = facts.at(entry)
            differences += _decided(facts, rollout, position, entry, measure)
    except Removed as removed:
        gone = aged.gone(entry, removed.by)
        if gone.lawful:
            aged_out = gone.said
        else:
            differences.append(f"it cannot be recomputed: {gone.said}")
    except (LakeError, StoreError, IndexError) as error:
        differences.append(f"it cannot be recomputed: {error}")
    except UNREADABLE as error:
        # A file that was damaged; what else its message says is about our own question.
        differences.append(f"it cannot be recomputed: a file of facts cannot be read: {str(error).splitlines()[0]}")
    return Again(
        n=entry.n,
        move=entry.move or EXCLUDE,
        rule=entry.rule,
        by_hand=by_hand,
        files=files,
        differences=tuple(differences),
        aged_out=aged_out,
    )


def _approved(record: AnyRecord, entry: Entry) -> Again:
    """Whether a person might approve there, and whether the evidence is what they were shown."""
    differences = []
    about = entry.about or {}
    seen = verdicts_digest(str(about.get("stage")), entry.revision, entry.evidence)
    if about.get("shown") not in (seen, evidence_digest(entry.evidence)):
        differences.append("the evidence is not what was shown")
    try:
        position = Position.from_json(entry.from_position or Position().to_json())
        after = approve(spec_of(record, entry), position, entry.actor, str(about.get("via")), str(about.get("shown")))
        if plain(after.to_json()) != plain(entry.to_position):
            differences.append("the approval leads to another position")
    except (StoreError, ValueError, IndexError) as error:
        differences.append(f"it could not be given: {error}")
    return Again(n=entry.n, move=APPROVE, rule=entry.rule, by_hand=True, files=0, differences=tuple(differences))


def _moved(rollout: Rollout, position: Position, entry: Entry) -> list[str]:
    """Whether the move leads where the entry says."""
    try:
        if entry.move is None:
            kept = Position.from_json(entry.to_position or {}).excluded
            after = exclude(rollout, position, sorted({*kept} - {*position.excluded}))
            return [] if plain(after.to_json()) == plain(entry.to_position) else ["it leads to another position"]
        # Whom it was held for is part of what is decided, and held against that.
        held_for = Position.from_json(entry.to_position or {}).held_for if entry.move == Move.HOLD else ()
        if entry.move == Move.RESUME and entry.actor != RULE:
            held_for = suffering(entry.evidence)
        after = apply(rollout, position, Move(str(entry.move)), entry.at, actor=entry.actor, held_for=held_for)
    except (IllegalMove, ValueError, KeyError) as error:
        return [f"the move is not legal: {error}"]
    if plain(after.to_json()) != plain(entry.to_position):
        return ["the move leads to another position"]
    return []


def _decided(facts: Facts, rollout: Rollout, position: Position, entry: Entry, measure: Measure) -> list[str]:
    """Whether the facts give the evidence, and the evidence the move, that the entry holds."""
    if entry.facts is None:
        return ["it does not say which facts it was taken on"]
    found = measure(facts, rollout, position, entry.at)
    evidence = assess(rollout, found)
    differences = differing([plain(line.to_json()) for line in evidence], list(entry.evidence))
    seen = seen_of(found)
    anew = decide(rollout, position, evidence, entry.at, seen)
    if (None if anew.move is None else str(anew.move), anew.rule) != (entry.move, entry.rule):
        differences.append(f"decided {anew.move or 'nothing'} ({anew.rule}), recorded {entry.move} ({entry.rule})")
    before, after = position.excluded, Position.from_json(entry.to_position or {}).excluded
    if entry.move is None and tuple(sorted({*before, *anew.excluded})) != after:
        differences.append("kept other segments on the champion")
    if entry.move == Move.HOLD and anew.held_for != Position.from_json(entry.to_position or {}).held_for:
        differences.append("held for the sake of other segments")
    # The words are held against the recorded numbers, because rounding may turn at the last digit.
    told = tuple(Evidence.from_json(line) for line in entry.evidence)
    said = decide(rollout, position, told, entry.at, seen).sentence
    if said != entry.sentence:
        differences.append(f"said {said!r}, recorded {entry.sentence!r}")
    return differences


def differing(anew: Sequence[Mapping[str, Any]], recorded: Sequence[Mapping[str, Any]]) -> list[str]:
    """How recomputed evidence differs from recorded evidence."""
    told = []
    ours, theirs = ({_key(line): line for line in lines} for lines in (anew, recorded))
    for key in sorted(ours.keys() | theirs.keys(), key=str):
        name = " ".join(str(part) for part in key if part is not None)
        if key not in theirs or key not in ours:
            told.append(f"{name}: {'recomputed, not recorded' if key in ours else 'recorded, not recomputed'}")
            continue
        one, other = ours[key], theirs[key]
        for part in sorted(one.keys() | other.keys()):
            # A part that a later version added cannot have been recorded.
            if part in other and not same(one.get(part), other[part]):
                told.append(f"{name}: {part} is {one.get(part)!r}, recorded {other[part]!r}")
    return told


def same(one: Any, other: Any) -> bool:
    """Whether two recorded values are equal, numbers within TOLERANCE."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)
    return bool(one == other)


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return (line["metric"], line["arm"], line["role"], line["stage"], line["step"], line["segment"])
