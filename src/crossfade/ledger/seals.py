"""Seals: a chain of records that name the files which hold the facts of a data folder, with their digests.

A seal says what changed since the one before it, so that all of them together tell which files made up each table at
each seal. What is done to files on purpose (facts beyond their time deleted, files that nobody needs removed) is said
before it is done, so that it can be told from tampering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from crossfade.ledger.chain import GENESIS, Sign, digest, plain, read

SCHEMA = "crossfade.seal/1"

RETENTION = "retention"
"""The `why` of a seal that says: facts beyond their time are about to be deleted."""

SEARCHED = "searched"
"""In the note of a seal: SHA-256 of the record of what was searched for, by rollout."""

FORGOTTEN = "forgotten"
"""The `why` of a seal that says: files are about to be replaced by others that name a unit no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One data file, which never changes."""

    sha256: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The file that takes the place of another, at every seal that names that."""

    name: str
    sha256: str
    rows: int
    was: str
    """SHA-256 of the file that it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTable:
    """How one table has changed since the seal before."""

    version: int
    log: str
    """SHA-256 over the digests of those files of the table's own log from which this version is read."""
    added: Mapping[str, SealedFile] = field(default_factory=dict)
    left: Sequence[str] = ()
    """Files that are part of the table no more: their facts were written anew, or deleted after a seal that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is sealed, before it has a place in the chain."""

    at: float
    """Seconds since the epoch."""
    why: str
    """`decision`, `periodic`, `stop`, `retention`, `vacuum` or `forgotten`."""
    tables: Mapping[str, SealedTable] = field(default_factory=dict)
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Files that are about to be deleted because no version that is kept needs them."""
    note: Mapping[str, Any] = field(default_factory=dict)
    """What a retention or a forgetting goes by; and under `searched` the digest of what a search found, by rollout."""
    replaced: Mapping[str, Mapping[str, Replacement]] | None = None
    """By kind and name, the files that are about to be replaced, because they name a unit that is to be forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed(Seal):
    """One link of the chain."""

    n: int
    previous: str
    hash: str
    signer: str | None = None
    signature: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable record, over which (without `hash` and `signature`) the hash is taken."""
        record: dict[str, Any] = {"schema": SCHEMA, **plain(asdict(self))}
        return {k: v for k, v in record.items() if v is not None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Sealed:
        """The inverse of `to_json`; raises KeyError or TypeError on foreign data. Does not verify."""
        known = {k: v for k, v in record.items() if k != "schema"}
        known["tables"] = {
            kind: SealedTable(**{**table, "added": {name: SealedFile(**file) for name, file in table["added"].items()}})
            for kind, table in known["tables"].items()
        }
        if known.get("replaced") is not None:
            known["replaced"] = {
                kind: {old: Replacement(**new) for old, new in files.items()}
                for kind, files in known["replaced"].items()
            }
        return cls(**known)


def append_seal(previous: Sealed | None, seal: Seal, sign: Sign | None = None) -> Sealed:
    """The record that puts `seal` after `previous`."""
    said: dict[str, Any] = {
        name: getattr(seal, name) for name in ("at", "why", "tables", "removed", "note", "replaced")
    }
    link: dict[str, Any] = {
        "n": previous.n + 1 if previous else 1,
        "previous": previous.hash if previous else GENESIS,
        "signer": sign.signer if sign else None,
    }
    hashed = digest(Sealed(**said, **link, hash="").to_json())
    signature = sign.sign(bytes.fromhex(hashed)).hex() if sign else None
    return Sealed(**said, **link, hash=hashed, signature=signature)


class Sets:
    """Which files make up each table, seal after seal."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, SealedFile]] = {}
        self.versions: dict[str, int] = {}
        self.known: dict[tuple[str, str], SealedFile] = {}
        """Every file that was ever sealed."""
        self.removed: dict[tuple[str, str], int] = {}
        """Files that were deleted on purpose, and the seal that says so."""
        self.replaced: dict[tuple[str, str], str] = {}
        """Files in whose place others stand since a unit was forgotten."""
        self.forgotten: dict[str, int] = {}
        """By kind, the last seal that says that files are replaced."""
        self._pardoned: set[str] = set()

    def resolved(self, kind: str, name: str) -> str:
        """What stands in a file's place now: itself, unless it was replaced."""
        while (kind, name) in self.replaced:
            name = self.replaced[kind, name]
        return name

    def take(self, seal: Seal, n: int) -> str:
        """Go on to the next seal; what is wrong with it, or nothing."""
        if seal.why == RETENTION:
            self._pardoned.update(self.tables)
        for kind, table in seal.tables.items():
            before = self.tables.get(kind, {})
            strange = [name for name in table.left if name not in before]
            again = [name for name in table.added if name in before]
            if strange or again or table.version < self.versions.get(kind, 0):
                return f"does not follow from what was sealed of {kind} before"
            after = {**{name: file for name, file in before.items() if name not in set(table.left)}, **table.added}
            lost = _rows(before) - _rows(after)
            if lost > 0 and kind not in self._pardoned:
                return f"has {lost} facts of kind {kind} fewer than the seal before, and no retention was announced"
            if table.left:
                self._pardoned.discard(kind)
            self.tables[kind], self.versions[kind] = after, table.version
            self.known.update({(kind, name): file for name, file in table.added.items()})
        for kind, names in seal.removed.items():
            if any(name in self.tables.get(kind, {}) for name in names):
                return f"removes files of {kind} that are in use"
            self.removed.update({(kind, name): n for name in names})
        for kind, files in (seal.replaced or {}).items():
            for old, new in files.items():
                if reason := self._replace(kind, old, new):
                    return reason
            self.forgotten[kind] = n
        return ""

    def _replace(self, kind: str, old: str, new: Replacement) -> str:
        was = self.known.get((kind, old))
        if was is None or (kind, old) in self.replaced or (kind, old) in self.removed or (kind, new.name) in self.known:
            return f"replaces {kind}/{old}, which was not there to be replaced"
        if (new.was, new.rows) != (was.sha256, was.rows):
            return f"replaces {kind}/{old} by a file of other facts"
        self.known[kind, new.name] = SealedFile(sha256=new.sha256, rows=new.rows)
        self.replaced[kind, old] = new.name
        table = self.tables.get(kind, {})
        if old in table:
            self.tables[kind] = {
                new.name if name == old else name: self.known[kind, new.name if name == old else name] for name in table
            }
        return ""


def _rows(files: Mapping[str, SealedFile]) -> int:
    return sum(file.rows for file in files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first seal that does not hold."""

    n: int
    reason: str


def verify_seals(texts: Iterable[str | bytes], head: int | None = None) -> tuple[Broken | None, list[Sealed]]:
    """Whether a chain of seals holds, as it is stored, to the last byte; and the seals, as far as they hold.

    `head` is how many there should be, by what is kept outside the chain.
    """
    seals: list[Sealed] = []
    sets = Sets()
    for n, text in enumerate(texts, start=1):
        reason, seal = _fault(text, n, seals[-1] if seals else None)
        if seal is not None and not reason:
            reason = sets.take(seal, n)
        if seal is None or reason:
            return Broken(n=n, reason=f"seal {n} {reason}"), seals
        seals.append(seal)
    if head is not None and len(seals) != head:
        reason = f"{head} seals were made, and the chain ends at {len(seals)}"
        return Broken(n=min(len(seals), head) + 1, reason=reason), seals
    return None, seals


def _fault(text: str | bytes, n: int, last: Sealed | None) -> tuple[str, Sealed | None]:
    try:
        record = read(text)
        seal = Sealed.from_json(record)
        if seal.to_json() != record:
            return "was changed: it holds what a seal does not have", None
        expected = digest(record)
    except ValueError as problem:
        return f"was changed: {problem}", None
    except (TypeError, KeyError, AttributeError) as problem:
        return f"was changed: it lacks what a seal has ({problem})", None
    if seal.n != n:
        return f"says that it is number {seal.n}: a seal is missing or out of place", seal
    if seal.hash != expected:
        return "was changed: its content does not have the hash it carries", seal
    if seal.previous != (last.hash if last else GENESIS):
        return "does not follow the seal before it", seal
    return "", seal
