"""Takes a unit's identity out of the lake: finds its rows in every file there is, and writes each file anew without it.

A file is replaced by one of the same rows in the same order, because decisions stand on files: what was read from the
one is read from the other, but for the names.
"""

from __future__ import annotations

import io
import json
import secrets
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from crossfade.rim.lake_place import LakeError, Place
from crossfade.rim.lake_sealed import log_versions
from crossfade.rim.lake_upkeep import TIMES

NAMED: Mapping[str, Sequence[str]] = {
    "exposed": ("unit", "decision_id"),
    "compared": ("unit", "decision_id"),
    "shown": ("unit", "decision_id"),
    "outcome": ("unit", "decision_id", "outcome_id", "corrects"),
}
"""Columns that name a unit, or that reporters and clients know one by, of each kind that has any."""

OPERATION = "FORGET"
"""What the table's own log says of the rewriting."""

_UUID = 36


@dataclass(slots=True)
class Tombstones:
    """What stands where a name stood: random, the same wherever the name was, and kept nowhere else."""

    units: dict[tuple[str, str], str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def unit(self, rollout: str, name: str) -> str:
        """For a unit, in each rollout another."""
        if name in self.others:
            return self.others[name]
        return self.units.setdefault((rollout, name), f"forgotten-{secrets.token_hex(16)}")

    def other(self, name: str) -> str:
        """For an id. One that begins with its time goes on doing so, because ids break ties."""
        if not name:
            return ""
        if name not in self.others:
            end = secrets.token_hex(10)
            timed = len(name) == _UUID and name[14] == "7"
            self.others[name] = (
                f"{name[:13]}-7{end[:3]}-8{end[3:6]}-{end[6:18]}" if timed else f"forgotten-{secrets.token_hex(16)}"
            )
        return self.others[name]


class Search:
    """Where a unit's facts lie, in the files that are given."""

    def __init__(self, place: Place, who: Mapping[str, Collection[str]]) -> None:
        """`who`: by rollout, the names under which the unit was recorded."""
        self._place, self._who = place, who
        self.decisions: set[str] = set()
        self.found: dict[str, list[str]] = {}
        """Files that hold facts of it, by kind."""
        with duckdb.connect(":memory:") as connection:
            pairs = [(rollout, name) for rollout, names in who.items() for name in names]
            connection.execute("CREATE TABLE who (rollout VARCHAR, unit VARCHAR)")
            connection.execute("CREATE TABLE mine (decision_id VARCHAR)")
            if pairs:
                connection.executemany("INSERT INTO who VALUES (?, ?)", pairs)
            for kind in NAMED:
                self._look(connection, kind)

    def _look(self, connection: duckdb.DuckDBPyConnection, kind: str) -> None:
        names = {str(self._place.local(kind, name)): name for name in self._place.data(kind)}
        if not names:
            return
        told = ", ".join("'" + path.replace("'", "''") + "'" for path in names)
        rows = f"read_parquet([{told}], union_by_name = true, filename = true)"
        mine = "(rollout, unit) IN (SELECT rollout, unit FROM who)"
        if kind == "outcome":
            mine += " OR (decision_id <> '' AND decision_id IN (SELECT decision_id FROM mine))"
        try:
            found = connection.execute(f"SELECT DISTINCT filename FROM {rows} WHERE {mine}").fetchall()
            if found and kind != "outcome":
                ids = connection.execute(f"SELECT DISTINCT decision_id FROM {rows} WHERE {mine}").fetchall()
                fresh = [one for one in ids if one[0] not in self.decisions]
                if fresh:
                    connection.executemany("INSERT INTO mine VALUES (?)", fresh)
                self.decisions.update(str(name) for (name,) in fresh)
        except duckdb.Error as error:
            raise LakeError(f"facts of {kind} cannot be searched: {error}") from error
        if found:
            self.found[kind] = sorted(names[path] for (path,) in found)

    def rows(self, kind: str, table: pa.Table) -> list[int]:
        """The places of its facts in a table of that kind."""
        mask = None
        for rollout, names in self._who.items():
            one = pc.and_(
                pc.equal(table.column("rollout"), rollout),
                pc.is_in(table.column("unit"), pa.array(sorted(names), pa.string())),
            )
            mask = one if mask is None else pc.or_(mask, one)
        if kind == "outcome" and self.decisions:
            known = pc.is_in(table.column("decision_id"), pa.array(sorted(self.decisions), pa.string()))
            mask = known if mask is None else pc.or_(mask, known)
        return [] if mask is None else [int(at) for at in pc.indices_nonzero(mask).to_pylist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """A file written anew."""

    content: bytes
    facts: Mapping[str, int]
    """How many facts of the unit it held, by rollout; '' where they do not say."""


def anew(kind: str, content: bytes, search: Search, stones: Tombstones) -> Anew:
    """A file with tombstones in place of names. Raises LakeError when it cannot be read."""
    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"a file of {kind} cannot be read: {error}") from error
    places = search.rows(kind, table)
    rollouts = table.column("rollout").to_pylist()
    count: dict[str, int] = {}
    for at in places:
        count[rollouts[at]] = count.get(rollouts[at], 0) + 1
    # Ids first: where each request is a unit of its own, its name is the decision's.
    for column in sorted(NAMED[kind], key=lambda name: name == "unit"):
        if column not in table.column_names:
            continue
        index = table.schema.get_field_index(column)
        values = table.column(column).to_pylist()
        for at in places:
            if values[at]:
                value = values[at]
                values[at] = stones.unit(rollouts[at], value) if column == "unit" else stones.other(value)
        table = table.set_column(index, table.schema.field(index), pa.array(values, table.schema.field(index).type))
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", compression_level=1)
    return Anew(content=out.getvalue(), facts=count)


def new_name(old: str) -> str:
    """A name for what replaces a file, beside it."""
    folder, slash, _ = old.rpartition("/")
    return f"{folder}{slash}part-00000-{uuid.uuid4()}-c000.zstd.parquet"


def put_in_place(place: Place, kind: str, replaced: Mapping[str, str], seal: int) -> None:
    """Let the table name the new files in place of the old ones, as a seal says, and forget that it named those.

    Does again what was begun and nothing that is done. The table's log holds the least and the greatest name of each
    file, so what is older than the rewriting goes, and with it earlier versions of the table. Raises LakeError.
    """
    try:
        table = DeltaTable(place.uri(kind))
        begin = _rewritten_at(place, kind, seal)
        if begin is None:
            present = {place.name(kind, uri) for uri in table.file_uris()}
            due = {old: new for old, new in replaced.items() if old in present}
            begin = table.version() + 1
            place.write(kind, f"_delta_log/{begin:020d}.json", _commit(place, kind, due, seal), fresh=True)
            table = DeltaTable(place.uri(kind))
        versions = log_versions(place, kind)
        if any(version < begin for version, _ in versions):
            if not any(version >= begin and name.endswith(".parquet") for version, name in versions):
                table.create_checkpoint()
            for version, name in versions:
                if version < begin:
                    place.remove(kind, name)
    except TableNotFoundError:
        return
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot rewrite {place.uri(kind)}: {error}") from error
    for old in replaced:
        place.remove(kind, old)


def _commit(place: Place, kind: str, replaced: Mapping[str, str], seal: int) -> bytes:
    """An entry of the table's log that takes files out and puts others in, and says that no data changed."""
    now = int(time.time() * 1000)
    actions: list[dict[str, Any]] = [{"commitInfo": {"timestamp": now, "operation": OPERATION, "seal": seal}}]
    for old, new in sorted(replaced.items()):
        content = place.read(kind, new)
        actions.append({"remove": {"path": quote(old), "deletionTimestamp": now, "dataChange": False}})
        add = {"path": quote(new), "partitionValues": {}, "size": len(content), "modificationTime": now}
        actions.append({"add": {**add, "dataChange": False, "stats": _stats(kind, content)}})
    return b"".join(json.dumps(action).encode() + b"\n" for action in actions)


def _stats(kind: str, content: bytes) -> str:
    """What the log says of a file: no names, but how old its facts are, which retention goes by."""
    column = TIMES[kind]
    table = pq.ParquetFile(io.BytesIO(content)).read(columns=[column])
    stats: dict[str, Any] = {"numRecords": table.num_rows}
    if table.num_rows:
        ends = pc.min_max(table.column(column)).as_py()
        if ends["min"] is not None:
            stats |= {"minValues": {column: ends["min"]}, "maxValues": {column: ends["max"]}}
    return json.dumps(stats)


def _rewritten_at(place: Place, kind: str, seal: int) -> int | None:
    """The version that rewrote files as that seal, or a later one, says; None where the log tells of none."""
    for version, name in sorted(log_versions(place, kind), reverse=True):
        if name.endswith(".json"):
            told = json.loads(place.read(kind, name).split(b"\n", 1)[0]).get("commitInfo", {})
            if told.get("operation") == OPERATION and int(told.get("seal", 0)) >= seal:
                return version
    return None


def files_brought(lines: Iterable[bytes]) -> list[str] | None:
    """The files that one entry of a table's log brought new facts in; None where known ones were changed.

    Deleting rewrites files, which brings none.
    """
    actions = [json.loads(line) for line in lines]
    if any(action.get("commitInfo", {}).get("operation") == OPERATION for action in actions):
        return None
    if any(action.get("commitInfo", {}).get("operation") == "DELETE" for action in actions):
        return []
    return [action["add"]["path"] for action in actions if "add" in action and action["add"]["dataChange"]]
