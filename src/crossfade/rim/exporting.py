"""Writes all that it takes to check and recompute a rollout's decisions into one folder, to be carried elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.ledger import Sets
from crossfade.rim.record import ACCOUNTS, EXPORT, EXPORT_SCHEMA, FACTS, FOUND, LEDGER, SEALS, SPECS, VIEW, LiveRecord
from crossfade.rim.replaying import chains
from crossfade.rim.software import software

README = """\
What Crossfade recorded of the rollout {name}: decisions, the specs they were taken under, and the facts they stand on.

    crossfade verify {name} --folder .      # nothing in here was changed, dropped, reordered or cut off
    crossfade replay {name} --folder .      # every decision, recomputed from these facts
    crossfade report {name} --folder . -o report.html

{ledger}: one entry a line, canonical JSON (RFC 8785), chained by SHA-256; {seals}: the same for the files of facts;
{facts}/: these files, Parquet, one folder a kind; {specs}/: each revision of the spec; {view}: what people last saw;
{found}, where there is one: what was searched for among groups that nobody declared;
{accounts}, where there is one: who was given tokens, and from whom they were taken, chained as well.
The facts hold whatever identifies a unit on the wire, and requests of every rollout that shared the data folder.
"""


class ExportProblem(Exception):
    """The folder cannot be written; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    entries: int
    seals: int
    files: int
    size: int
    """Bytes of facts."""
    missing: Sequence[str]
    """Files that decisions stand on and that were removed on purpose before."""

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {
            "folder": str(self.folder),
            "entries": self.entries,
            "seals": self.seals,
            "files": self.files,
            "bytes": self.size,
            "missing": list(self.missing),
        }


def export(record: LiveRecord, folder: Path, *, at: float) -> Exported:
    """Write a rollout's record. Raises ExportProblem, LakeError, and StoreError when the record does not hold."""
    told = record.told
    entries, seals = chains(record)
    sets, by_seal = Sets(), []
    for seal in seals:
        sets.take(seal, seal.n)
        by_seal.append({kind: list(files) for kind, files in sets.tables.items()})
    stands = {int(entry.sealed["n"]) for entry in entries if entry.sealed is not None} | {len(seals)}
    named = {(kind, name) for n in stands if n for kind, names in by_seal[n - 1].items() for name in names}
    wanted = sorted({(kind, sets.resolved(kind, name)) for kind, name in named})
    gone = [(kind, name) for kind, name in wanted if (kind, name) in sets.removed]
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ExportProblem(f"{folder} is not empty; name another folder")
        size = _facts(record, folder, [key for key in wanted if key not in set(gone)])
        _lines(folder / LEDGER, told.entries)
        _lines(folder / SEALS, told.seals)
        (folder / SPECS).mkdir()
        for revision, text in told.specs.items():
            (folder / SPECS / f"{revision}.yaml").write_bytes(text.encode())
        if record.view is not None:
            _json(folder / VIEW, record.view)
        if record.accounts.log:
            (folder / ACCOUNTS).write_bytes(record.accounts.log)
        if record.found_text is not None:
            # To the byte, because a seal says its digest.
            (folder / FOUND).write_bytes(record.found_text)
        names = {
            "ledger": LEDGER,
            "seals": SEALS,
            "facts": FACTS,
            "specs": SPECS,
            "view": VIEW,
            "found": FOUND,
            "accounts": ACCOUNTS,
        }
        (folder / "README.md").write_text(README.format(name=told.name, **names))
        head = {"entries": told.head.entries, "position": told.head.position, "seals": told.seals_head}
        if record.accounts.upto is not None:
            head["accounts"] = record.accounts.upto
        said = {"schema": EXPORT_SCHEMA, "name": told.name, "at": at, "software": software(), "head": head}
        # Last, because it makes the folder an export.
        _json(folder / EXPORT, said)
    except OSError as error:
        raise ExportProblem(f"cannot write {folder}: {error.strerror or error}") from error
    return Exported(
        folder=folder,
        entries=len(entries),
        seals=len(seals),
        files=len(wanted) - len(gone),
        size=size,
        missing=[f"{kind}/{name}" for kind, name in gone],
    )


def _facts(record: LiveRecord, folder: Path, wanted: Sequence[tuple[str, str]]) -> int:
    size = 0
    (folder / FACTS).mkdir(parents=True)
    for kind, name in wanted:
        target = folder / FACTS / kind / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(record.path(kind, name), target)
        size += os.path.getsize(target)
    return size


def _lines(file: Path, texts: Sequence[str | bytes]) -> None:
    file.write_bytes(b"".join((t if isinstance(t, bytes) else t.encode()) + b"\n" for t in texts))


def _json(file: Path, record: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
