"""A rollout's ledger: chained entries, one for each decision and each revision of the spec, appended and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import rfc8785

from crossfade.ledger.chain import GENESIS, Sign, digest, plain, read

SCHEMA = "crossfade.ledger/1"

MANUAL = "manual"
"""The rule of a move that a person asked for."""

LATER = frozenset({"sealed", "software", "by", "about", "signer", "signature"})
"""Fields that came after the first entries were hashed: where they say nothing they are not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an entry says, before it has a place in the chain."""

    at: float
    """Seconds since the epoch."""
    rollout: str
    revision: str
    """Digest of the spec the decision was taken under."""
    kind: str
    """`decision` (a move, or a note without one) or `spec` (a revision was recorded)."""
    rule: str
    """The rule that spoke, or `manual`, or `spec`."""
    move: str | None
    actor: str
    """`rule`, or the person who asked."""
    sentence: str
    from_position: Mapping[str, Any] | None
    to_position: Mapping[str, Any] | None
    evidence: Sequence[Mapping[str, Any]] = ()
    """The evidence records as they stood."""
    facts: Mapping[str, int] | None = None
    """Versions of the fact tables that the evidence was computed from."""
    sealed: Mapping[str, Any] | None = None
    """Number and hash of the seal that names the files of these versions."""
    software: str | None = None
    """Which Crossfade decided: its version and a digest of the code that judges."""
    by: Mapping[str, Any] | None = None
    """How the person who asked was known: the name and roles of their token, or their account on the machine."""
    about: Mapping[str, Any] | None = None
    """What a note is about, in a form for programs; each rule says what it puts here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Body):
    """One link of a rollout's chain."""

    n: int
    """1 for the first entry."""
    previous: str
    hash: str
    signer: str | None = None
    signature: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable record that other programs read, and over which (without `hash`) the hash is taken."""
        record: dict[str, Any] = {"schema": SCHEMA}
        said = ((f.name, getattr(self, f.name)) for f in fields(self))
        record.update((name, value) for name, value in said if value is not None or name not in LATER)
        record["evidence"] = list(self.evidence)
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Entry:
        """The inverse of `to_json`; raises KeyError or TypeError on foreign data. Does not verify."""
        # JSON readers take 1e20 for a whole number; `plain` makes it again what it was when it was hashed.
        known = plain({k: v for k, v in record.items() if k != "schema"})
        known["evidence"] = tuple(known["evidence"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of checking a chain."""

    intact: bool
    entries: int
    first_broken: int | None = None
    """Place of the first entry that does not hold, counted from 1."""
    reason: str = ""


def append(previous: Entry | None, body: Body, sign: Sign | None = None) -> Entry:
    """The entry that puts `body` after `previous`."""
    said = {f.name: plain(getattr(body, f.name)) for f in fields(Body)}
    said["evidence"] = tuple(said["evidence"])
    link: dict[str, Any] = {
        "n": previous.n + 1 if previous else 1,
        "previous": previous.hash if previous else GENESIS,
        "signer": sign.signer if sign else None,
    }
    hashed = digest(Entry(**said, **link, hash="").to_json())
    signature = sign.sign(bytes.fromhex(hashed)).hex() if sign else None
    return Entry(**said, **link, hash=hashed, signature=signature)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a store says that a chain ends: how many entries it has, and the position the last one left."""

    entries: int
    position: Mapping[str, Any] | None


def verify(entries: Iterable[Entry], head: Head | None = None) -> Verified:
    """Whether a whole chain holds: every hash, every link, numbers without a gap, one rollout, positions that join.

    A chain that was cut off is whole in itself: only with `head` are entries missed that lay at its end.
    """
    last: Entry | None = None
    count = 0
    for count, entry in enumerate(entries, start=1):
        reason = _fault(last, entry, count)
        if reason:
            return Verified(intact=False, entries=count, first_broken=count, reason=reason)
        last = entry
    if head is not None and count != head.entries:
        reason = f"the rollout has come to entry {head.entries}, and the ledger ends at {count}"
        return Verified(intact=False, entries=count, first_broken=min(count, head.entries) + 1, reason=reason)
    if head is not None and last is not None and last.to_position != head.position:
        reason = f"the rollout does not stand where entry {count}, its last, left it"
        return Verified(intact=False, entries=count, first_broken=count, reason=reason)
    return Verified(intact=True, entries=count)


def verify_texts(texts: Iterable[str | bytes], head: Head | None = None) -> tuple[Verified, list[Entry]]:
    """`verify` for entries as they are stored, to the last byte; and the entries, as far as they can be read."""
    entries: list[Entry] = []
    for place, text in enumerate(texts, start=1):
        try:
            record = read(text)
            entry = Entry.from_json(record)
            # Whoever changes what no field holds, such as the name of the schema, changed the entry.
            if entry.to_json() != record:
                raise ValueError("it holds what an entry does not have")
        except (ValueError, TypeError, KeyError) as problem:
            found = verify(entries)
            if not found.intact:
                return found, entries
            reason = f"entry {place} was changed: {_said(problem)}"
            return Verified(intact=False, entries=place, first_broken=place, reason=reason), entries
        entries.append(entry)
    return verify(entries, head), entries


def _said(problem: Exception) -> str:
    return str(problem) if isinstance(problem, ValueError) else f"it lacks what an entry has ({problem})"


def _fault(last: Entry | None, entry: Entry, place: int) -> str:
    try:
        expected = digest(entry.to_json())
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as problem:
        return f"entry {place} cannot be hashed: {problem}"
    if entry.n != place:
        return f"entry {place} says that it is number {entry.n}: an entry is missing or out of place"
    if entry.hash != expected:
        return f"entry {place} was changed: its content does not have the hash it carries"
    if entry.previous != (last.hash if last else GENESIS):
        return f"entry {place} does not follow the entry before it"
    if last is not None and last.rollout != entry.rollout:
        return f"entry {place} belongs to {entry.rollout}, not to {last.rollout}"
    if last is not None and last.to_position != entry.from_position:
        return f"entry {place} starts from a position that the entry before it did not leave"
    return ""
