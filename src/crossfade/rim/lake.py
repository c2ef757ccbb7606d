"""The lake: journal rows become Delta tables, one per kind of fact, each row exactly once.

A commit names, per journal, the last row it holds (a Delta application transaction), so a compactor that dies
anywhere starts again where the tables say, not where it believes. Rows leave a journal only after every table has
them. Tables are not partitioned: at a commit a second, partitions multiply small files (docs/adr/0002). They lie in
the data folder or below the URL of an object store, see `lake_place`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from crossfade.facts import Fact, Outcome
from crossfade.ledger import SealedFile
from crossfade.rim import lake_sealed, lake_upkeep
from crossfade.rim.lake_claim import Busy, Claim
from crossfade.rim.lake_columns import SCHEMAS, columns, fitted
from crossfade.rim.lake_fence import Fence
from crossfade.rim.lake_place import LakeError, Place
from crossfade.rim.lake_rewriting import files_brought
from crossfade.rim.lake_sources import Sources
from crossfade.rim.lake_tables import WRITER, Tables
from crossfade.rim.reported import Reported

__all__ = ["SCHEMAS", "Busy", "Lake", "LakeError", "columns"]

SMALL_FILES = 32
"""Files per table above which `optimize` rewrites them into few."""

KEEP_HOURS = 24.0 * 7
"""Hours for which versions that nobody names stay readable, so that slow readers are not cut off."""

NOTHING: Mapping[str, Collection[int]] = {}
OUTCOME = "outcome"


class Lake:
    """The fact tables under one data directory. Anyone may read; one process at a time compacts."""

    def __init__(self, data: Path, fence: Fence | None = None) -> None:
        """`fence`: the leadership in which everything is written, where several hosts may write."""
        self.data = data
        self._place = Place(data)
        # A folder has one host, whose processes agree by the claim on it.
        self._fence = fence if self._place.url is not None else None
        self._reported: Reported | None = None
        self.path = self._place.folder
        self._digests: dict[tuple[str, str], str] = {}
        self._tables = Tables(self._place, self._fence)
        self._sources = Sources(data)
        self._lock = threading.RLock()
        self._claim = Claim(self.path)

    def led(self, fence: Fence) -> None:
        """Write in this leadership from now on, where until now it was only read."""
        with self._lock:
            self._fence = fence if self._place.url is not None else None
            self._tables = Tables(self._place, self._fence)

    # -- writing ---------------------------------------------------------------------------------

    def compact_journals(self) -> dict[str, int]:
        """Move what is new in the journals to the tables: rows added per kind. Raises LakeError, JournalError."""
        with self._lock:
            self._own()
            grouped: dict[str, list[Fact]] = {}
            upto: dict[str, int] = {}
            asked: dict[tuple[str, str], int] = {}
            sources = self._sources.all()
            for source in sources:
                source.collect(partial(self._upto, asked), grouped, upto)
            if self._fence is not None and OUTCOME in grouped:
                grouped[OUTCOME] = self._unreported(grouped[OUTCOME])
            for kind, facts in grouped.items():
                version = self._tables.commit(kind, columns(kind, facts), upto, asked) if facts else None
                if kind == OUTCOME and self._reported is not None:
                    self._reported.keep(version)
            for source in sources:
                source.leave(upto.get(source.app, 0))
            return {kind: len(facts) for kind, facts in grouped.items()}

    def moved(self, journal: Path) -> int:
        """Every batch of a journal up to this row is in the tables."""
        with self._lock:
            return self._sources.moved(journal)

    def optimize(self, *, small_files: int = SMALL_FILES) -> dict[str, int]:
        """Rewrite tables that have come to consist of many small files: files removed per kind."""
        removed: dict[str, int] = {}
        with self._lock:
            self._own(anew=True)
            for kind in SCHEMAS:
                table = self._tables.table(kind)
                if table is None or len(table.file_uris()) <= small_files:
                    continue
                try:
                    result = table.optimize.compact(
                        max_concurrent_tasks=1,
                        writer_properties=WRITER,
                        commit_properties=CommitProperties(app_transactions=self._tables.said() or None),
                    )
                except DeltaError as error:
                    raise LakeError(f"cannot compact {self._place.uri(kind)}: {error}") from error
                removed[kind] = int(result["numFilesRemoved"])
        return removed

    def vacuum(
        self,
        *,
        keep_hours: float = KEEP_HOURS,
        named: Mapping[str, Collection[int]] = NOTHING,
        needed: Collection[tuple[str, str]] = (),
        announce: Callable[[Mapping[str, Sequence[str]]], object] = lambda doomed: None,
    ) -> int:
        """Delete files and log entries that no version younger than `keep_hours`, and none of the `named` ones, needs.

        How many data files. Other versions become unreadable. `announce` is told the data files before they go, which
        those in `needed` never do.
        """
        count = 0
        with self._lock:
            self._own(anew=True)
            found = self.unneeded(keep_hours=keep_hours, named=named)
            doomed = {kind: [name for name in names if (kind, name) not in needed] for kind, names in found.items()}
            announce(doomed)
            for kind in SCHEMAS:
                table = self._tables.table(kind)
                if table is not None:
                    versions = self._readable(kind, table, named.get(kind, ()))
                    for name in doomed.get(kind, ()):
                        self._place.remove(kind, name)
                        count += 1
                    lake_upkeep.prune_log(self._place, kind, keep_hours, versions)
                    present = {self._place.name(kind, uri) for uri in table.file_uris()}
                    self._place.drop_copies(kind, present, older_than=keep_hours * 3600.0)
        return count

    def unneeded(self, *, keep_hours: float, named: Mapping[str, Collection[int]]) -> dict[str, list[str]]:
        """The data files that `vacuum` would delete."""
        found: dict[str, list[str]] = {}
        with self._lock:
            for kind in SCHEMAS:
                table = self._tables.table(kind)
                if table is not None:
                    versions = self._readable(kind, table, named.get(kind, ()))
                    names = lake_upkeep.unneeded(table, keep_hours, versions)
                    found[kind] = sorted(self._place.name(kind, uri) for uri in names)
        return {kind: names for kind, names in found.items() if names}

    def retire(
        self, before: float, cuts: Mapping[str, float], *, announce: Callable[[], object] = lambda: None
    ) -> dict[str, int]:
        """Delete facts from before a time, those of the rollouts in `cuts` from before their own; how many per kind.

        Versions that `vacuum` keeps still tell of them. `announce` is called before any may go. Raises LakeError.
        """
        deleted: dict[str, int] = {}
        with self._lock:
            self._own(anew=True)
            tables = {kind: table for kind in lake_upkeep.TIMES if (table := self._tables.table(kind)) is not None}
            if any(lake_upkeep.due(table, kind, before, cuts) for kind, table in tables.items()):
                announce()
            for kind in lake_upkeep.TIMES:
                table = self._tables.table(kind)
                if table is not None and (
                    count := lake_upkeep.retire(table, kind, before, cuts, WRITER, self._tables.said())
                ):
                    deleted[kind] = count
        return deleted

    @contextmanager
    def alone(self) -> Iterator[Place]:
        """For those who rewrite files: nobody else moves facts, and what is known of the tables is read anew after."""
        with self._lock:
            self._own(anew=True)
            try:
                yield self._place
            finally:
                self._tables.forget()
                self._digests.clear()

    def purge_journals(self) -> None:
        """Leave nothing in the journals of what is in the tables, not even in their files' free space."""
        with self._lock:
            for source in self._sources.all():
                source.purge()

    # -- reading ---------------------------------------------------------------------------------

    def versions(self) -> dict[str, int]:
        """The present version of each table that exists; together they name a set of facts."""
        with self._lock:
            return {kind: table.version() for kind in SCHEMAS if (table := self._fresh(kind)) is not None}

    def files(self, kind: str, version: int | None = None) -> list[str]:
        """The Parquet files that make up a table, at a version or now, on this disk; none when there are none yet."""
        with self._lock:
            return [str(self._place.local(kind, name)) for name in self._names(kind, version)]

    @property
    def url(self) -> str | None:
        """The URL of the object store in which the tables are; None where they are on this disk."""
        return self._place.url

    def urls(self, kind: str, version: int | None = None) -> list[str]:
        """The same files where they lie, for those who reach them without us."""
        with self._lock:
            return [f"{self._place.uri(kind)}/{name}" for name in self._names(kind, version)]

    def added(self, kind: str, after: int, upto: int) -> list[str] | None:
        """The files that brought new facts between two versions (rewritten ones bring none); None when not known."""
        files: list[str] = []
        for version in range(after + 1, upto + 1):
            try:
                lines = self._place.read(kind, f"_delta_log/{version:020d}.json").splitlines()
                brought = files_brought(lines)
                if brought is None:
                    return None
                for line in brought:
                    file = self._place.local(kind, unquote(line))
                    if not file.exists():
                        return None
                    files.append(str(file))
            except LakeError:
                return None
        return files

    def digests(self, versions: Mapping[str, int], *, again: bool = False) -> dict[str, str]:
        """What each table holds at a version, as one SHA-256 over the names and SHA-256 digests of its files.

        The same facts in the same files give the same digest for ever, and one changed byte gives another. A file is
        read once, or with `again` each time, from where it lies: for those who check. Raises LakeError.
        """
        with self._lock:
            return {kind: self._digest(kind, version, again) for kind, version in sorted(versions.items())}

    def names(self, kind: str, version: int | None = None) -> list[str]:
        """The files of a table by their paths below it, at a version or now. Raises LakeError."""
        with self._lock:
            return self._names(kind, version)

    def described(self, kind: str, name: str) -> SealedFile:
        """What a seal says of a file: of the copy on this disk, which is what is measured. Raises LakeError."""
        try:
            content = self._place.local(kind, name).read_bytes()
        except OSError as error:
            raise LakeError(f"cannot read {kind}/{name}: {error.strerror or error}") from error
        return lake_sealed.describe(content, f"{kind}/{name}")

    def log_digest(self, kind: str, version: int) -> str:
        """One digest of what of its log a version of a table is read from. Raises LakeError."""
        return lake_sealed.log_digest(self._place, kind, version)

    def table(self, kind: str) -> pa.Table:
        """All facts of a kind, for tests and small exports."""
        files = self.files(kind)
        if not files:
            return SCHEMAS[kind].empty_table()
        import pyarrow.parquet as pq

        return pa.concat_tables([fitted(kind, pq.ParquetFile(file).read()) for file in files])

    def close(self) -> None:
        """Let go of the journals and of the right to compact."""
        with self._lock:
            self._sources.close()
            self._claim.close()
            if self._reported is not None:
                self._reported.close()
                self._reported = None

    # -- inside ----------------------------------------------------------------------------------

    def _names(self, kind: str, version: int | None) -> list[str]:
        """The files of a table by their paths below it."""
        table = self._fresh(kind)
        if table is None:
            return []
        if version is not None and version != table.version():
            try:
                table = DeltaTable(self._place.uri(kind), version=version)
            except (DeltaError, OSError) as error:
                raise LakeError(f"cannot read {self._place.uri(kind)} at version {version}: {error}") from error
        return sorted(self._place.name(kind, uri) for uri in table.file_uris())

    def _readable(self, kind: str, table: DeltaTable, versions: Collection[int]) -> list[int]:
        """Those of some versions that the table's log still tells: what was before a unit was forgotten it does not."""
        first = min((version for version, _ in lake_sealed.log_versions(self._place, kind)), default=0)
        return [version for version in versions if first <= version <= table.version()]

    def _digest(self, kind: str, version: int, again: bool) -> str:
        root = hashlib.sha256(f"{kind}\n".encode())
        for name in self._names(kind, version):
            digest = None if again else self._digests.get((kind, name))
            if digest is None:
                digest = hashlib.sha256(self._place.read(kind, name)).hexdigest()
                self._digests[(kind, name)] = digest
            root.update(f"{digest} {name}\n".encode())
        return root.hexdigest()

    def claim(self) -> bool:
        """Take the right to compact, for as long as this lake is open; whether nobody else has it."""
        with self._lock:
            try:
                self._claim.take()
            except LakeError:
                return False
            return True

    def _own(self, *, anew: bool = False) -> None:
        """The right to change the tables: on this host, and where there are several, among them. Raises Deposed."""
        self._claim.take()
        self._tables.own(anew=anew)

    def _upto(self, asked: dict[tuple[str, str], int], kind: str, app: str) -> int:
        """How far a journal has come in a table, the same for a whole turn."""
        key = (kind, app)
        if key not in asked:
            asked[key] = self._tables.upto(kind, app)
        return asked[key]

    def _unreported(self, facts: Sequence[Fact]) -> list[Fact]:
        """Those outcomes that the table has not under their id."""
        if self._reported is None:
            self._reported = Reported(self.data)
        table = self._tables.table(OUTCOME)
        if table is not None:
            self._reported.catch_up(table.version(), self._brought)
        return list(self._reported.new([one for one in facts if isinstance(one, Outcome)]))

    def _brought(self, after: int, upto: int) -> list[str]:
        """The files with the outcomes that came between two versions, or with all where the log does not tell."""
        files = self.added(OUTCOME, after, upto)
        return self.files(OUTCOME, upto) if files is None else files

    def _fresh(self, kind: str) -> DeltaTable | None:
        """The table with what others have committed; the one who compacts knows it already."""
        table = self._tables.table(kind)
        if table is not None and not self._claim.held:
            table.update_incremental()
        return table
