"""What others check: a rollout's ledger, specs, seals and facts, in a data folder or in a folder that was exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.ledger import Head
from crossfade.ledger.seals import SEARCHED
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.lake_place import FOLDER, Place, here
from crossfade.rim.lake_sealed import log_digest
from crossfade.rim.searching import kept
from crossfade.rim.standing import NoData, open_store
from crossfade.rim.store import StoreError, Told, UnknownRollout
from crossfade.rim.tokens import TokenProblem, Tokens
from crossfade.spec.model import Rollout
from crossfade.state import Position

EXPORT = "export.json"
"""What an exported folder says of itself."""

EXPORT_SCHEMA = "crossfade.export/1"

LEDGER, SEALS, SPECS, FACTS, VIEW, FOUND, ACCOUNTS = (
    "ledger.jsonl",
    "seals.jsonl",
    "specs",
    "facts",
    "record.json",
    "found.json",
    "accounts.jsonl",
)
"""What an exported folder holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The account log of a data folder, and what it is held against."""

    log: bytes
    upto: int | None
    """How many entries there should be at least, by what is kept outside the log."""
    tokens: Mapping[str, tuple[str, tuple[str, ...]]] | None = None
    """Hash and roles of each token there is, by name; None where only the log was exported."""


class LiveRecord:
    """The record of a rollout in a data folder, which may be in use."""

    exported = False
    runs_code = True
    """Whether functions that its specs name may run: a data folder is trusted with that."""

    def __init__(self, data: Path, name: str) -> None:
        """Raises StoreError."""
        self._data, self._name = data, name
        self.grown()
        if self.told.seals and not here(data):
            # A shared store names files that were never on this host: that they are missing here says nothing of them.
            raise NoData(
                f"{data} has none of the sealed facts of {name}, and does not say where they are",
                "ask on a host whose crossfade was started with --lake, or name its folder with --data",
            )
        self._place = Place(data)
        self._lake = Lake(data)
        self.where = f"{data / FOLDER}"
        self.searched = _sealed_search(self.told)
        aside = kept.aside(data, name, self.searched[1]) if self.searched else None
        self.found_text = aside if aside is not None or self.searched else kept.text(data, name)
        self.found = _parsed(self.found_text)
        self.accounts = _accounts(data)

    def grown(self) -> bool:
        """Read ledger and seals once more; whether there is more of them than before. Raises StoreError."""
        before = getattr(self, "told", None)
        store = open_store(self._data)
        try:
            self.told = store.told(self._name)
            self.view = store.view(self._name)
        finally:
            store.close()
        return before is not None and len(self.told.entries) + len(self.told.seals) > (
            len(before.entries) + len(before.seals)
        )

    def read(self, kind: str, name: str) -> bytes:
        """A data file. Raises LakeError."""
        return self._place.read(kind, name)

    def path(self, kind: str, name: str) -> Path:
        """A data file on this disk. Raises LakeError."""
        return self._place.local(kind, name)

    def listed(self, kind: str, version: int) -> list[str] | None:
        """The files that the table itself names at a version; None where nobody keeps that. Raises LakeError."""
        return self._lake.names(kind, version)

    def log(self, kind: str, version: int) -> str | None:
        """The digest of the table's log at a version; None where nobody keeps that. Raises LakeError."""
        return log_digest(self._place, kind, version)

    def versions(self) -> dict[str, int]:
        """The present versions of the tables. Raises LakeError."""
        return self._lake.versions()

    def close(self) -> None:
        """Let go of what is open."""
        self._lake.close()


class ExportedRecord:
    """The record of a rollout in a folder that `crossfade export` wrote, wherever that has been carried."""

    exported = True

    def __init__(self, folder: Path, name: str | None = None, *, runs_code: bool = False) -> None:
        """`runs_code`: functions that its specs name may run here, whoever wrote them. Raises StoreError."""
        self.folder, self.runs_code = folder, runs_code
        self.where = f"{folder / FACTS}"
        try:
            said = json.loads((folder / EXPORT).read_bytes())
            found = str(said["name"])
            if said["schema"] != EXPORT_SCHEMA:
                raise StoreError(f"{folder} was exported in the format {said['schema']!r}; this is {EXPORT_SCHEMA}")
        except FileNotFoundError as error:
            raise StoreError(f"{folder} holds no export: it has no {EXPORT}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / EXPORT} cannot be read: {error!r}") from error
        if name not in (None, found):
            raise UnknownRollout(str(name), [found])
        try:
            specs = {file.stem: file.read_bytes().decode() for file in sorted((folder / SPECS).glob("*.yaml"))}
            head, shown, groups = said["head"], folder / VIEW, folder / FOUND
            self.told = Told(
                name=found,
                entries=_lines(folder / LEDGER),
                head=Head(int(head["entries"]), head["position"]),
                seals=_lines(folder / SEALS),
                seals_head=int(head["seals"]),
                specs=specs,
            )
            self.view = json.loads(shown.read_bytes()) if shown.exists() else None
            log = folder / ACCOUNTS
            self.accounts = Accounts(log=log.read_bytes() if log.exists() else b"", upto=head.get("accounts"))
            self.searched = _sealed_search(self.told)
            self.found_text = groups.read_bytes() if groups.exists() else None
            self.found = _parsed(self.found_text)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the export in {folder} cannot be read: {error}") from error

    def grown(self) -> bool:
        """Nobody adds to an export."""
        return False

    def read(self, kind: str, name: str) -> bytes:
        """A data file. Raises LakeError."""
        try:
            return self.path(kind, name).read_bytes()
        except OSError as error:
            raise LakeError(f"cannot read {kind}/{name}: {error.strerror or error}") from error

    def path(self, kind: str, name: str) -> Path:
        """A data file on this disk. Raises LakeError for what lies elsewhere: the names are others' words."""
        facts = (self.folder / FACTS).resolve()
        found = (facts / kind / name).resolve()
        if not found.is_relative_to(facts) or (found.exists() and not found.is_file()):
            raise LakeError(f"{kind}/{name!r} is no file of facts below {facts}, and was not opened")
        return found

    def listed(self, kind: str, version: int) -> list[str] | None:
        """Nothing: an export has no tables beside what the seals say."""
        return None

    def log(self, kind: str, version: int) -> str | None:
        """Nothing: an export has no tables beside what the seals say."""
        return None

    def versions(self) -> dict[str, int]:
        """Nothing: an export does not grow."""
        return {}

    def close(self) -> None:
        """Nothing is open."""


AnyRecord = LiveRecord | ExportedRecord


def open_record(data: Path, name: str, folder: Path | None = None, *, runs_code: bool = False) -> AnyRecord:
    """The record in an exported folder where one is named, else in a data folder. Raises StoreError."""
    return LiveRecord(data, name) if folder is None else ExportedRecord(folder, name, runs_code=runs_code)


def _accounts(data: Path) -> Accounts:
    """Raises StoreError."""
    tokens = Tokens(data)
    try:
        found, upto = tokens.said()
        log = tokens.log.read_bytes() if tokens.log.exists() else b""
    except (TokenProblem, OSError) as error:
        raise StoreError(f"{error}") from error
    return Accounts(log=log, upto=upto, tokens={one.name: (one.sha256, one.roles) for one in found})


def searched(record: AnyRecord, rollout: Rollout, position: Position) -> dict[str, Any]:
    """What was found among groups that nobody declared, as the last seal that tells of it has it."""
    try:
        return kept.told(record.found, rollout, position)
    except (KeyError, TypeError):
        return kept.absent(rollout, "what was written of the search cannot be read", None)


def _sealed_search(told: Told) -> tuple[int, str] | None:
    """The last seal that says what the search of this rollout found, and the digest it says."""
    for text in reversed(told.seals):
        try:
            seal = json.loads(text)
            digest = seal["note"][SEARCHED][told.name]
        except (ValueError, KeyError, TypeError):
            continue
        return int(seal["n"]), str(digest)
    return None


def _parsed(text: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _lines(file: Path) -> list[bytes]:
    """Each line ends with one newline, or somebody changed the file."""
    content = file.read_bytes()
    lines = content.split(b"\n")
    # A line that does not end was cut off, be it by its last byte alone.
    return lines[:-1] if lines[-1] == b"" else [*lines, b""]
