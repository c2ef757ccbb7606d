"""Gathers what the dossier is made from: checks the record, recomputes its decisions, and counts its facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from crossfade.judge.assess import assess
from crossfade.ledger import Entry
from crossfade.rim.checked import Checked
from crossfade.rim.drifting import drift_of
from crossfade.rim.lake import LakeError
from crossfade.rim.record import AnyRecord
from crossfade.rim.replaying import Facts, chains, measured, replay, spec_of
from crossfade.rim.showing import record_of
from crossfade.rim.software import software
from crossfade.rim.store import StoreError
from crossfade.rim.verifying import check
from crossfade.spec.model import Rollout
from crossfade.state import Phase, Position
from crossfade.view import refreshed
from crossfade.view.dossier import Known

SLICES = 60
"""Slices of time in which exposure is shown."""


def gather(record: AnyRecord, *, now: float, key: str | None = None) -> Known:
    """Everything that is known. A record that does not hold is told as such. Raises StoreError where nothing is."""
    found = check(record, key=key)
    if not found.read:
        raise StoreError(f"the ledger of {record.told.name} has no entry that can be read: {found.reason}")
    last = found.read[-1]
    rollout = spec_of(record, last)
    position = Position.from_json(last.to_position or Position().to_json())
    try:
        replayed = replay(record).to_json()
    except StoreError:
        replayed = {}
    facts = _facts(record, found)
    files = {kind: [str(record.path(kind, name)) for name in names] for kind, names in facts.items()}
    moves = [entry for entry in found.read if entry.move is not None]
    try:
        timeline = _timeline(rollout.name, moves, files.get("exposed", []))
        spans = _spans(rollout.name, moves, files.get("exposed", []))
        faults, leases = _faults(rollout.name, files.get("fault", [])), _leases(files.get("lease", []))
    except duckdb.Error as error:
        raise StoreError(f"the facts cannot be read: {error}; see `crossfade verify`") from error
    return Known(
        rollout=rollout,
        text=record.told.specs[last.revision],
        entries=found.read,
        view=_view(record, found, rollout, position, now, files.get("sketched", [])),
        verified=found.to_json(),
        replayed=replayed,
        rows={kind: sum(file.rows for file in files.values()) for kind, files in (found.sets or [{}])[-1].items()},
        timeline=timeline,
        spans=spans,
        faults=faults,
        leases=leases,
        now=now,
        software=software(),
    )


def _view(
    record: AnyRecord, found: Checked, rollout: Rollout, position: Position, now: float, sketched: Sequence[str]
) -> dict[str, Any]:
    """The record that people see, made anew from everything that was sealed; the last one shown where that fails."""
    at = max((seal.at for seal in found.sealed), default=now)
    try:
        facts = Facts(record, chains(record)[1])
        if position.phase is not Phase.PENDING and facts.last():
            seen = measured(facts, rollout, position, at, threads=2)
            evidence, drift = assess(rollout, seen), drift_of(rollout, sketched, seen, at)
            told = record_of(rollout, position, found.read, seen, evidence, None, now=at, drift=drift)
            return {**told, "from": "facts"}
    except (StoreError, LakeError):
        pass
    return {**refreshed(record.view, rollout, position, found.read, now=now), "from": "shown"}


def _facts(record: AnyRecord, found: Checked) -> dict[str, list[str]]:
    """The files of the last seal that are there."""
    try:
        facts = Facts(record, chains(record)[1])
        facts.last()
    except StoreError:
        return {}
    there: dict[str, list[str]] = {}
    for kind, names in (found.sets[-1] if found.sets else {}).items():
        for name in names:
            try:
                if record.path(kind, name).exists():
                    there.setdefault(kind, []).append(name)
            except LakeError:
                continue
    return there


def _timeline(rollout: str, moves: Sequence[Entry], files: Sequence[str]) -> list[dict[str, Any]]:
    """Units seen per arm, slice by slice."""
    if not files or not moves:
        return []
    since = moves[0].at
    rows = _rows(files, "SELECT max(\"at\") FROM facts WHERE rollout = $rollout AND unit <> ''", rollout=rollout)
    until = max(float(rows[0][0] or since), moves[-1].at)
    width = max((until - since) / SLICES, 1e-3)
    rows = _rows(
        files,
        'SELECT least(floor(("at" - $since) / $width), $last)::INT AS slice, arm, count(DISTINCT unit) FROM facts '
        "WHERE rollout = $rollout AND unit <> '' AND \"at\" >= $since GROUP BY ALL ORDER BY ALL",
        rollout=rollout,
        since=since,
        width=width,
        last=SLICES - 1,
    )
    found: dict[int, dict[str, int]] = {}
    for place, arm, count in rows:
        found.setdefault(int(place), {})[str(arm)] = int(count)
    return [
        {"at": since + place * width, "until": since + (place + 1) * width, "units": units}
        for place, units in found.items()
    ]


def _spans(rollout: str, moves: Sequence[Entry], files: Sequence[str]) -> list[dict[str, int]]:
    """Different units seen per arm from each move to the next."""
    if not files:
        return []
    spans = []
    for entry, following in zip(moves, [*moves[1:], None], strict=True):
        rows = _rows(
            files,
            "SELECT arm, count(DISTINCT unit) FROM facts WHERE rollout = $rollout AND unit <> '' AND \"at\" >= $since "
            'AND "at" < $until GROUP BY arm ORDER BY arm',
            rollout=rollout,
            since=entry.at,
            until=following.at if following else float("inf"),
        )
        spans.append({str(arm): int(count) for arm, count in rows})
    return spans


def _faults(rollout: str, files: Sequence[str]) -> list[dict[str, Any]]:
    rows = _rows(
        files,
        'SELECT what, sum("count"), min("at"), max("at") FROM facts '
        "WHERE rollout IN ($rollout, '') GROUP BY what ORDER BY ALL",
        rollout=rollout,
    )
    return [
        {"what": str(what), "count": int(count), "first": float(first), "last": float(last)}
        for what, count, first, last in rows
    ]


def _leases(files: Sequence[str]) -> int:
    rows = _rows(files, "SELECT count(*) FROM facts WHERE NOT held")
    return int(rows[0][0]) if rows else 0


def _rows(files: Sequence[str], sql: str, **given: Any) -> list[tuple[Any, ...]]:
    """The rows of a query over some files, known as `facts`."""
    if not files:
        return []
    told = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE VIEW facts AS SELECT * FROM read_parquet([{told}], union_by_name = true)")
        return connection.execute(sql, given or None).fetchall()
