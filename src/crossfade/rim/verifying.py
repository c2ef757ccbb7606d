"""Checks a rollout's record as somebody does who trusts nobody: chains, signatures, specs, and every file of facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import duckdb

from crossfade.ledger import Entry, Sealed, SealedFile, Sets, verify_seals, verify_texts
from crossfade.ledger.seals import FORGOTTEN, RETENTION
from crossfade.rim import accounts, signing
from crossfade.rim.accounts import Account, AccountsProblem
from crossfade.rim.aged import Aged
from crossfade.rim.checked import Checked
from crossfade.rim.lake import LakeError
from crossfade.rim.record import FOUND, AnyRecord
from crossfade.spec.digest import REVISION_DIGITS, digest
from crossfade.spec.problems import SpecProblems

AGAIN = 20
"""How often a record that grows while it is read is read at most."""


class _Breaks(Exception):
    def __init__(self, where: int | str, reason: str) -> None:
        super().__init__(reason)
        self.where = where


def check(
    record: AnyRecord,
    *,
    key: str | None = None,
    expect: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checked:
    """Check everything. `key` is the public key that must have signed; `expect` a hash that the ledger must hold;
    `progress` is told how many of how many files have been read.

    Raises StoreError only where it cannot be checked, never because something does not hold.
    """
    for _ in range(AGAIN):
        found = _check(record, key, expect, progress)
        # Files may go, as a seal says, while they are being read: what was added to the record meanwhile tells.
        if found.intact or not record.grown():
            break
    return found


def _check(record: AnyRecord, key: str | None, expect: str | None, progress: Callable[[int, int], None]) -> Checked:
    found = Checked()
    try:
        _chain(record, found, expect)
        _specs(record, found)
        _seals(record, found)
        _accounts(record, found)
        _searched(record, found)
        _signatures(found, key)
        _links(found)
        _facts(record, found, progress)
    except _Breaks as broken:
        found.intact, found.first_broken, found.reason = False, broken.where, str(broken)
    return found


def _chain(record: AnyRecord, found: Checked, expect: str | None) -> None:
    verified, found.read = verify_texts(record.told.entries, record.told.head)
    found.entries = verified.entries
    if not verified.intact:
        raise _Breaks(verified.first_broken or 0, verified.reason)
    if any(entry.rollout != record.told.name for entry in found.read):
        raise _Breaks(1, f"the ledger is that of {found.read[0].rollout}, not of {record.told.name}")
    found.head = found.read[-1].hash if found.read else None
    if expect is not None and expect not in {entry.hash for entry in found.read}:
        place = len(found.read)
        raise _Breaks(place, f"no entry has the hash {expect}: the ledger was written anew, or it is another one")


def _specs(record: AnyRecord, found: Checked) -> None:
    for entry in found.read:
        text = record.told.specs.get(entry.revision)
        if text is None:
            raise _Breaks(entry.n, f"the spec of entry {entry.n} (revision {entry.revision}) is missing")
        try:
            said = digest(text)[:REVISION_DIGITS]
        except SpecProblems as problem:
            raise _Breaks(entry.n, f"the spec of revision {entry.revision} cannot be read: {problem}") from problem
        if said != entry.revision:
            raise _Breaks(entry.n, f"the spec of revision {entry.revision} was changed: it is revision {said}")


def _seals(record: AnyRecord, found: Checked) -> None:
    broken, found.sealed = verify_seals(record.told.seals, record.told.seals_head)
    found.seals = len(found.sealed)
    if broken is not None:
        raise _Breaks(f"seal {broken.n}", broken.reason)


def _accounts(record: AnyRecord, found: Checked) -> None:
    """Who holds a token is what the account log says, entry for entry."""
    said = record.accounts
    try:
        found.accounts = accounts.log_of(said.log)
    except AccountsProblem as problem:
        raise _Breaks(f"account {problem.n}", str(problem)) from problem
    if said.tokens is not None:
        reason = accounts.differing(found.accounts, said.upto, said.tokens)
    else:
        short = said.upto is not None and len(found.accounts) < said.upto
        reason = f"the account log ends at entry {len(found.accounts)} of {said.upto}" if short else ""
    if reason:
        raise _Breaks("tokens", reason)


def _searched(record: AnyRecord, found: Checked) -> None:
    """What was found among groups that nobody declared is what a seal says, where there is one."""
    content, sealed = record.found_text, record.searched
    if sealed is None:
        found.search = "unsealed" if content is not None else ""
        return
    if content is None:
        found.search = "missing"
    elif hashlib.sha256(content).hexdigest() != sealed[1]:
        raise _Breaks(FOUND, f"{FOUND} (what was found among groups nobody declared) is not what seal {sealed[0]} says")
    else:
        found.search = "sealed"


def _signatures(found: Checked, key: str | None) -> None:
    records: list[tuple[int | str, Entry | Sealed | Account]] = [(entry.n, entry) for entry in found.read]
    records += [(f"seal {seal.n}", seal) for seal in found.sealed]
    records += [(f"account {one.n}", one) for one in found.accounts]
    for where, one in records:
        if one.signer is None:
            found.unsigned += 1
            if key is not None or one.signature is not None:
                raise _Breaks(where, f"{_named(where)} is not signed")
            continue
        if one.signature is None or not signing.holds(one.signer, one.signature, one.hash):
            raise _Breaks(where, f"{_named(where)} does not have a signature of the key it names")
        if key is not None and one.signer != key:
            raise _Breaks(where, f"{_named(where)} is signed by {one.signer}, not by the key you trust")
        if one.signer not in found.signers:
            found.signers.append(one.signer)


def _named(where: int | str) -> str:
    return f"entry {where}" if isinstance(where, int) else where


def _links(found: Checked) -> None:
    """Each decision names the seal of what it saw."""
    for entry in found.read:
        erased = (entry.about or {}).get("erased")
        if erased is not None:
            _erased(found, entry, erased)
        if entry.facts is None:
            continue
        if entry.sealed is None:
            found.unsealed.append(entry.n)
            continue
        n = entry.sealed.get("n")
        if not isinstance(n, int) or not 0 < n <= len(found.sealed) or found.sealed[n - 1].hash != entry.sealed["hash"]:
            raise _Breaks(f"seal {n}", f"entry {entry.n} stands on seal {n}, which is not the one it was taken on")
    versions: dict[str, int] = {}
    stands = {entry.sealed["n"]: entry for entry in found.read if entry.sealed is not None}
    for seal in found.sealed:
        versions.update({kind: table.version for kind, table in seal.tables.items()})
        known = stands.get(seal.n)
        if known is not None and any(versions.get(kind) != v for kind, v in (known.facts or {}).items()):
            raise _Breaks(known.n, f"entry {known.n} names other versions than seal {seal.n}")


def _erased(found: Checked, entry: Entry, erased: Mapping[str, Any]) -> None:
    """What an entry says was erased, a seal says too."""
    said: Mapping[str, Any] = erased.get("seal") or {}
    n = said.get("n")
    if not isinstance(n, int) or not 0 < n <= len(found.sealed) or found.sealed[n - 1].hash != said.get("hash"):
        raise _Breaks(entry.n, f"entry {entry.n} says that facts were erased by seal {n}, which is not there as it was")
    if found.sealed[n - 1].why not in (FORGOTTEN, RETENTION):
        raise _Breaks(entry.n, f"entry {entry.n} says that facts were erased by seal {n}, which says nothing of it")


def _facts(record: AnyRecord, found: Checked, progress: Callable[[int, int], None]) -> None:
    sets = Sets()
    for seal in found.sealed:
        sets.take(seal, seal.n)
        found.sets.append({kind: dict(files) for kind, files in sets.tables.items()})
    wanted = _wanted(record, found, sets)
    gone: set[tuple[str, str]] = set()
    found.aged_out = any(seal.why == RETENTION for seal in found.sealed)
    for count, (kind, name) in enumerate(wanted):
        progress(count, len(wanted))
        if (kind, name) in sets.replaced:
            # It may still be there, between the seal that says so and the deletion.
            found.forgotten += 1
            continue
        if (kind, name) in sets.removed:
            # It may still be there, between the seal that says so and the deletion.
            found.removed += 1
            gone.add((kind, name))
            continue
        _file(record, kind, name, sets.known[kind, name])
        found.files += 1
    _aged(record, found, sets)
    _catalogue(record, found, sets)
    if sets.replaced:
        # From here on, what stands in a file's place is that file.
        found.sets = [
            {kind: {sets.resolved(kind, name): file for name, file in files.items()} for kind, files in one.items()}
            for one in found.sets
        ]
    found.rewritten = _rewritten(record, found, sets, set(wanted) - gone)


def _aged(record: AnyRecord, found: Checked, sets: Sets) -> None:
    """What a decision stands on is removed only beyond the time that the spec asks for."""
    if not sets.removed:
        return
    aged = Aged(found.read, record.told.specs, found.sealed)
    for entry in found.read:
        if entry.sealed is None or entry.move is None:
            continue
        stands = found.sets[entry.sealed["n"] - 1]
        removed = {(kind, sets.resolved(kind, name)) for kind, files in stands.items() for name in files}
        by = sorted({sets.removed[key] for key in removed if key in sets.removed})
        if not by:
            continue
        gone = aged.gone(entry, by[0])
        if not gone.lawful:
            raise _Breaks(f"seal {by[0]}", f"entry {entry.n} cannot be shown: {gone.said}")
        found.without_facts.append(entry.n)


def _wanted(record: AnyRecord, found: Checked, sets: Sets) -> list[tuple[str, str]]:
    """The files that must be there, in the order in which they were sealed."""
    if not record.exported:
        return list(sets.known)
    # Elsewhere those are enough on which a decision stands, and those that came after the last one.
    stands = {entry.sealed["n"] for entry in found.read if entry.sealed is not None} | {len(found.sealed)}
    needed = {
        (kind, sets.resolved(kind, name))
        for n, tables in enumerate(found.sets, start=1)
        if n in stands
        for kind, files in tables.items()
        for name in files
    }
    return [key for key in sets.known if key in needed]


def _file(record: AnyRecord, kind: str, name: str, sealed: SealedFile) -> None:
    where = f"{record.where}/{kind}/{name}"
    try:
        content = record.read(kind, name)
    except LakeError as problem:
        raise _Breaks(where, f"a sealed file is missing: {problem}") from problem
    if hashlib.sha256(content).hexdigest() != sealed.sha256:
        raise _Breaks(where, f"{kind}/{name} was changed: it does not have the digest it was sealed with")


def _catalogue(record: AnyRecord, found: Checked, sets: Sets) -> None:
    """The tables themselves must name the files that were sealed: other programs read them by that."""
    stands = {entry.sealed["n"] for entry in found.read if entry.sealed is not None} | {len(found.sealed)}
    for seal, tables in zip(found.sealed, found.sets, strict=True):
        if seal.n not in stands or (seal.n != len(found.sealed) and _expired(found, sets, seal.n)):
            continue
        for kind, sealed in _versions(found.sealed[: seal.n]).items():
            if seal.n <= sets.forgotten.get(kind, 0):
                # The log of that version named the unit, and went with its name.
                continue
            where = f"{record.where}/{kind}/_delta_log, version {sealed.version}"
            try:
                listed, log = record.listed(kind, sealed.version), record.log(kind, sealed.version)
            except LakeError as problem:
                if any(later.why == RETENTION for later in found.sealed[seal.n :]):
                    # Its facts were beyond their time, and so was its log.
                    continue
                raise _Breaks(where, f"the table of {kind} cannot be read as it was sealed: {problem}") from problem
            if listed is not None and sorted(listed) != sorted(tables[kind]):
                raise _Breaks(where, f"the table of {kind} names other files than seal {seal.n}")
            if log is not None and log != sealed.log:
                raise _Breaks(where, f"the log of the table of {kind} was changed since seal {seal.n}")
    try:
        present = {kind: set(record.listed(kind, version) or ()) for kind, version in record.versions().items()}
    except LakeError as problem:
        raise _Breaks(record.where, f"the tables cannot be read: {problem}") from problem
    sealed_files = {(kind, name) for tables in found.sets for kind, files in tables.items() for name in files}
    found.uncovered = sum((kind, name) not in sealed_files for kind, names in present.items() for name in names)


def _versions(seals: Sequence[Sealed]) -> dict[str, Any]:
    return {kind: table for seal in seals for kind, table in seal.tables.items()}


def _expired(found: Checked, sets: Sets, n: int) -> bool:
    """Whether files of that seal have been removed since, on purpose: then its version is readable no more."""
    return any(
        (kind, sets.resolved(kind, name)) in sets.removed for kind, files in found.sets[n - 1].items() for name in files
    )


def _rewritten(record: AnyRecord, found: Checked, sets: Sets, there: Collection[tuple[str, str]]) -> int:
    """Files that were put together hold every fact of those they replaced; how many times that was seen."""
    count, pardoned = 0, False
    before: Mapping[str, Mapping[str, SealedFile]] = {}
    for seal, tables in zip(found.sealed, found.sets, strict=True):
        pardoned = pardoned or seal.why == RETENTION
        for kind, table in seal.tables.items():
            added = [sets.resolved(kind, name) for name in table.added]
            left = {sets.resolved(kind, name) for name in table.left}
            kept = [name for name in tables[kind] if name not in added]
            old, new = [name for name in before.get(kind, {}) if name in left], added
            if not old or not all((kind, name) in there for name in (*old, *new, *kept)):
                continue
            where = f"{record.where}/{kind}/{old[0]}"
            try:
                lost = 0 if pardoned else _lost(record, kind, old, new)
            except (duckdb.Error, LakeError) as problem:
                raise _Breaks(where, f"facts of {kind} cannot be read: {problem}") from problem
            if lost:
                raise _Breaks(where, f"what replaced {kind}/{old[0]} by seal {seal.n} does not hold all its facts")
            count += not pardoned
        if any(table.left for table in seal.tables.values()):
            pardoned = False
        before = tables
    return count


def _lost(record: AnyRecord, kind: str, old: Sequence[str], new: Sequence[str]) -> int:
    """Facts of some files that others do not hold."""

    def rows(names: Sequence[str]) -> str:
        told = ", ".join("'" + str(record.path(kind, name)).replace("'", "''") + "'" for name in names)
        return f"SELECT {columns} FROM read_parquet([{told}], union_by_name = true)"

    with duckdb.connect(":memory:") as connection:
        columns = "*"
        # A column that came with a later version is in the new files only.
        described = connection.execute(f"DESCRIBE {rows(old)}").fetchall()
        # Whoever made a folder that is checked names the columns in it, and must not write our statements.
        columns = ", ".join('"' + str(name).replace('"', '""') + '"' for name, *_ in described)
        if not new:
            return 1
        found = connection.execute(f"SELECT count(*) FROM ({rows(old)} EXCEPT ALL {rows(new)})").fetchone()
    return int(found[0]) if found else 0
