"""Gathers what the dossier is made from: checks the record, recomputes its decisions, and counts its facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crossfade.judge.assess import assess
from crossfade.ledger import Entry
from crossfade.rim.calibrating import calibrated
from crossfade.rim.checked import Checked
from crossfade.rim.drifting import drift_of
from crossfade.rim.engine.full import Full
from crossfade.rim.lake import LakeError
from crossfade.rim.lake_columns import SCHEMAS
from crossfade.rim.querying import CannotAsk, Questions
from crossfade.rim.record import AnyRecord, searched
from crossfade.rim.replaying import UNREADABLE, Facts, chains, measured, replay, spec_of
from crossfade.rim.showing import record_of
from crossfade.rim.software import software
from crossfade.rim.store import StoreError
from crossfade.rim.verifying import check
from crossfade.spec.model import Rollout
from crossfade.state import Phase, Position
from crossfade.view import refreshed
from crossfade.view.dossier import Known
from crossfade.view.dossier import questions as asked

SLICES = 60
"""Slices of time in which exposure is shown."""


def gather(
    record: AnyRecord,
    *,
    now: float,
    key: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Known:
    """Everything that is known. A record that does not hold is told as such. Raises StoreError where nothing is.

    `progress` is told how many of how many decisions were recomputed.
    """
    found = check(record, key=key)
    if not found.read:
        raise StoreError(f"the ledger of {record.told.name} has no entry that can be read: {found.reason}")
    last = found.read[-1]
    rollout = spec_of(record, last)
    position = Position.from_json(last.to_position or Position().to_json())
    try:
        replayed = replay(record, progress=progress).to_json()
    except StoreError:
        replayed = {}
    files = {kind: [str(record.path(kind, name)) for name in names] for kind, names in _facts(record, found).items()}
    moves = [entry for entry in found.read if entry.move is not None]
    try:
        counts = _asked(rollout, found.read, files, moves)
    except CannotAsk as error:
        if found.intact:
            raise StoreError(f"the facts cannot be read: {error}; see `crossfade verify`") from error
        # The dossier says which file does not hold; what nobody can read is counted by nobody.
        counts = _asked(rollout, found.read, {}, moves)
    return Known(
        rollout=rollout,
        text=record.told.specs[last.revision],
        entries=found.read,
        view=_view(record, found, rollout, position, now, files.get("sketched", [])),
        verified=found.to_json(),
        replayed=replayed,
        accounts=[one.to_json() for one in found.accounts],
        found=searched(record, rollout, position),
        calibration=_calibration(record, found, rollout, position, now),
        now=now,
        software=software(),
        **counts,
    )


def _asked(
    rollout: Rollout, entries: Sequence[Entry], files: dict[str, list[str]], moves: Sequence[Entry]
) -> dict[str, Any]:
    """Raises CannotAsk."""
    questions = Questions(rollout.name, entries, files)
    try:
        return _counts(questions, rollout, moves)
    finally:
        questions.close()


def _counts(questions: Questions, rollout: Rollout, moves: Sequence[Entry]) -> dict[str, Any]:
    """What the facts count up to, each by the question that the dossier prints beside it."""

    def rows(sql: str) -> list[dict[str, Any]]:
        answer = questions.ask(sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    held = {str(kind): int(count) for kind, count, _ in questions.tables().rows if kind in SCHEMAS and count}
    (period,) = rows(asked.PERIOD)
    slices, timeline = "", []
    if moves and period["last"] is not None:
        since = moves[0].at
        width = max((max(float(period["last"]), moves[-1].at) - since) / SLICES, 1e-3)
        slices = asked.TIMELINE.format(since=since, width=width, last=SLICES - 1)
        units: dict[int, dict[str, int]] = {}
        for row in rows(slices):
            units.setdefault(row["slice"], {})[row["arm"]] = row["units"]
        timeline = [
            {"at": since + place * width, "until": since + (place + 1) * width, "units": count}
            for place, count in units.items()
        ]
    spans: dict[int, dict[str, int]] = {entry.n: {} for entry in moves}
    for row in rows(asked.SPANS):
        spans[row["n"]][row["arm"]] = row["units"]
    return {
        "rows": held,
        "arms": rows(asked.ARMS),
        "copies": rows(asked.COPIES),
        "nameless": rows(asked.NAMELESS)[0]["requests"],
        "period": (period["first"], period["last"]) if period["last"] is not None else None,
        "reached": {row["arm"]: row["units"] for row in rows(asked.reached(rollout))},
        "late": rows(asked.late(rollout)),
        "dropped": {row["reason"]: row["copies"] for row in rows(asked.DROPPED)},
        "slices": slices,
        "timeline": timeline,
        "spans": list(spans.values()) if "exposed" in held else [],
        "faults": rows(asked.FAULTS),
        "leases": rows(asked.LEASES)[0]["lost"],
    }


def _calibration(
    record: AnyRecord, found: Checked, rollout: Rollout, position: Position, now: float
) -> dict[str, Any] | None:
    """Calibration over everything that was sealed; None where the facts are not there to ask."""
    at = max((seal.at for seal in found.sealed), default=now)
    try:
        facts = Facts(record, chains(record)[1])
        if not facts.last():
            return None
        return calibrated(rollout, position, at, lambda: Full(facts, facts.versions(), threads=2))
    except (StoreError, LakeError, *UNREADABLE):
        return None


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
    except (StoreError, LakeError, *UNREADABLE):
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
