"""What keeps the lake from growing for ever: old facts deleted, files and log entries that nobody needs removed.

A version that somebody names, such as the ledger, stays readable: its data files, and of the log the checkpoint before
it with what follows up to it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, WriterProperties
from deltalake.exceptions import DeltaError

from crossfade.rim.lake_place import Entry, LakeError, Place

log = logging.getLogger("crossfade.lake")

TIMES: Mapping[str, str] = {
    "exposed": "at",
    "compared": "at",
    "shown": "at",
    "outcome": "received_at",
    "dropped": "at",
    "fault": "at",
    "sketched": "at",
}
"""By which time facts of a kind grow old. A lease is its worker's last word for as long as the worker is silent."""

_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)

_ENTRY = re.compile(r"_delta_log/(\d{20})(\.json|\.checkpoint.*\.parquet)$")


def predicate(kind: str, before: float, cuts: Mapping[str, float]) -> str:
    """Which facts may go: those from before `before`, or from before the cut of their rollout where it has one.

    An outcome that names a decision does not say whose it is, so the earliest cut protects all of those.
    """
    at = f'"{TIMES[kind]}"'
    others = "".join(f" AND rollout <> '{_quoted(name)}'" for name in sorted(cuts))
    parts = [f"({at} < {before!r} AND rollout <> ''{others})"]
    parts += [f"({at} < {cut!r} AND rollout = '{_quoted(name)}')" for name, cut in sorted(cuts.items())]
    parts.append(f"({at} < {min([before, *cuts.values()])!r} AND rollout = '')")
    return " OR ".join(parts)


def doomed(files: Sequence[str], kind: str, before: float, cuts: Mapping[str, float]) -> int:
    """How many facts in some files `retire` would delete. Raises LakeError."""
    if not files:
        return 0
    try:
        with duckdb.connect(":memory:") as connection:
            told = (
                f"SELECT count(*) FROM read_parquet($files, union_by_name = true) WHERE {predicate(kind, before, cuts)}"
            )
            return int((connection.execute(told, {"files": list(files)}).fetchone() or (0,))[0])
    except (duckdb.Error, OSError) as error:
        raise LakeError(f"cannot count the facts of kind {kind} that are beyond their time: {error}") from error


def retire(
    table: DeltaTable,
    kind: str,
    before: float,
    cuts: Mapping[str, float],
    writer: WriterProperties,
    said: Sequence[Transaction] = (),
) -> int:
    """Delete the facts that `predicate` names; how many. The table's own log records it. Raises LakeError."""
    if not due(table, kind, before, cuts):
        return 0
    try:
        result = table.delete(
            predicate(kind, before, cuts),
            writer_properties=writer,
            commit_properties=CommitProperties(
                custom_metadata={"crossfade": "retention"}, app_transactions=list(said) or None
            ),
            post_commithook_properties=_HOOKS,
        )
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot delete old facts from {table.table_uri}: {error}") from error
    count = int(result["num_deleted_rows"] or 0)
    if count:
        log.info("deleted %d facts of kind %s, as the retention asks", count, kind)
    return count


def unneeded(table: DeltaTable, keep_hours: float, versions: Iterable[int]) -> list[str]:
    """Files that neither a recent version nor one of `versions` needs. Raises LakeError."""
    try:
        return table.vacuum(
            retention_hours=int(keep_hours),
            dry_run=True,
            enforce_retention_duration=False,
            keep_versions=sorted(set(versions)) or None,
        )
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot tell which files of {table.table_uri} are needed: {error}") from error


def due(table: DeltaTable, kind: str, before: float, cuts: Mapping[str, float]) -> bool:
    """Whether there may be facts that `retire` would delete."""
    oldest = _oldest(table, TIMES[kind])
    return oldest is not None and oldest < max([before, *cuts.values()])


def prune_log(place: Place, kind: str, keep_hours: float, versions: Collection[int]) -> int:
    """Remove log entries that no reader of a recent version or of one of `versions` needs; how many."""
    entries: dict[int, list[Entry]] = {}
    checkpoints: set[int] = set()
    for entry in place.log(kind):
        found = _ENTRY.search(entry.name)
        if found is not None:
            version = int(found[1])
            entries.setdefault(version, []).append(entry)
            if found[2] != ".json":
                checkpoints.add(version)
    too_young = time.time() - keep_hours * 3600.0
    # What is older than the last checkpoint that is itself old enough serves nobody but those who name a version.
    settled = [v for v in checkpoints if max(entry.at for entry in entries[v]) < too_young]
    if not settled:
        return 0
    horizon = max(settled)
    needed: set[int] = set()
    for version in versions:
        base = max((v for v in checkpoints if v <= version), default=0)
        needed.update(range(base, version + 1))
    doomed = [entry for v, found in entries.items() if v < horizon and v not in needed for entry in found]
    for entry in doomed:
        place.remove(kind, entry.name)
    return len(doomed)


def _oldest(table: DeltaTable, column: str) -> float | None:
    """The least time in a table, by what its files say of themselves; -inf when one does not say."""
    actions = table.get_add_actions(flatten=True)
    if not actions.num_rows:
        return None
    name = f"min.{column}"
    if name not in actions.schema.names:
        return float("-inf")
    least: list[float | None] = pa.table(actions).column(name).to_pylist()
    return min(float("-inf") if value is None else float(value) for value in least)


def _quoted(text: str) -> str:
    return text.replace("'", "''")
