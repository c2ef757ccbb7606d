"""Facts of one stage as the rows of a search: units at their first exposure, or mirrored requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crossfade.judge.infer.question import Question
from crossfade.judge.measure.assemble import DISAGREEMENT, pair_share
from crossfade.judge.measure.questions import Question as Asked
from crossfade.judge.measure.questions import ask
from crossfade.judge.measure.tables import SLACK
from crossfade.judge.measure.unusable import CATASTROPHIC
from crossfade.judge.moments import Floats, Ints
from crossfade.judge.plan import questions
from crossfade.judge.search import Compared, Feature, Paired, Table
from crossfade.judge.search.cells import Bools
from crossfade.judge.search.table import Signal
from crossfade.rim.differing import pairs_of
from crossfade.rim.engine.full import Files, Full
from crossfade.rim.engine.look import look_mode
from crossfade.rim.engine.session import number, text
from crossfade.spec.model import Kind, Rollout, Shadow, Source, stage_name
from crossfade.state import Position, as_muted

# A unit is its first exposure: its arm, share and segments then. Its failures count in that step alone, because a later
# step has another share.
_UNITS = """
WITH exposures AS (
    SELECT unit, "at" - {since} AS elapsed, arm, step, weight, failed, segments
    FROM read_parquet([{files}], union_by_name = true)
    WHERE rollout = {rollout} AND stage = {stage} AND mode = {mode} AND unit <> ''
        AND "at" >= {since} - {slack} AND "at" <= {now}
),
entered AS (
    SELECT unit, min(elapsed) AS entered, arg_min(arm, elapsed) AS arm, arg_min(step, elapsed) AS step,
        arg_min(weight, elapsed) AS weight, arg_min(segments, elapsed) AS segments
    FROM exposures GROUP BY unit
),
fallen AS (SELECT unit, arm, step, min(elapsed) AS fell FROM exposures WHERE failed GROUP BY ALL)
SELECT entered.*, fell FROM entered LEFT JOIN fallen USING (unit, arm, step) WHERE {kept} ORDER BY entered, unit
"""

_PAIRS = """
SELECT "at" - {since} AS entered, arm, segments, champion_failed, challenger_failed, differs, noisy, unusable
FROM pairs WHERE stage = {stage} AND "at" >= {since} - {slack} AND "at" <= {now} AND {kept}
ORDER BY entered, decision_id
"""


def table(
    files: Files,
    versions: Mapping[str, int],
    rollout: Rollout,
    position: Position,
    now: float,
    thinned: Sequence[float] = (),
) -> Table | None:
    """The rows of the present stage as they lay in these versions of the facts; None where nothing can be searched.

    After each moment of `thinned` (seconds into the stage) half as many are kept, drawn by their names.
    """
    rollout = as_muted(rollout, position)
    told = [(metric, role, limit) for metric, role, limit in questions(rollout, position.stage) if _rate(metric.kind)]
    asked = [
        Question(
            metric=metric,
            role=role,
            limit=limit,
            arm=arm.name,
            baseline=rollout.champion.name,
            stage=stage_name(rollout.stages[position.stage]),
            step=None,
            alpha_harm=rollout.alpha,
            alpha_safe=rollout.alpha,
            window=metric.window,
        )
        for metric, role, limit in told
        for arm in rollout.challengers
    ]
    kind = "compared" if isinstance(rollout.stages[position.stage], Shadow) else "exposed"
    if not asked or not rollout.features or kind not in versions or not files.files(kind, versions[kind]):
        return None
    full = Full(files, versions, 1)
    try:
        full.look(rollout.name, position.stage, look_mode(rollout, position), position.stage_since, now)
        if kind == "compared":
            return _pairs(full, files.files(kind, versions[kind]), rollout, position, now, asked, thinned)
        return _units(full, files.files(kind, versions[kind]), rollout, position, now, asked, thinned)
    finally:
        full.close()


def _rate(kind: Kind) -> bool:
    return kind is Kind.RATE


def _units(
    full: Full,
    files: Sequence[str],
    rollout: Rollout,
    position: Position,
    now: float,
    asked: Sequence[Question],
    thinned: Sequence[float],
) -> Table:
    rows = full.arrow(
        _UNITS.format(
            files=", ".join(map(text, files)),
            rollout=text(rollout.name),
            stage=position.stage,
            mode=text(look_mode(rollout, position)),
            since=number(position.stage_since),
            now=number(now),
            slack=SLACK,
            kept=_kept("unit", "entered", thinned),
        )
    )
    at = _floats(rows, "entered")
    arm = np.asarray(rows.column("arm").to_pylist(), dtype="U")
    share = pair_share(_floats(rows, "weight"), len(rollout.challengers))
    step = _floats(rows, "step").astype(np.int64)
    fell = _floats(rows, "fell", absent=np.inf)
    signals: list[Signal] = []
    for question in asked:
        is_b, use = arm == question.arm, np.isin(arm, (question.arm, question.baseline))
        if question.metric.source is Source.RESPONSE:
            found = (np.isfinite(fell), fell, at, False)
        else:
            wanted = ask(rollout, look_mode(rollout, position), question.metric)
            if not isinstance(wanted, Asked):
                continue
            found = (*_settled(full, wanted, rows, at), True)
        event, happened, counts_from, settled = found
        signals.append(
            Compared(
                question=question,
                is_b=is_b,
                use=use,
                share=share,
                step=step,
                event=event,
                happened=happened,
                counts_from=counts_from,
                settled=settled,
            )
        )
    return Table(at=at, features=_features(rows, rollout), signals=tuple(signals))


def _settled(full: Full, question: Asked, rows: pa.Table, at: Floats) -> tuple[Bools, Floats, Floats]:
    """Whether each unit had the outcome, and when its window closed: infinite where it is open."""
    full.ask(question)
    told = full.arrow("SELECT unit, due, closed, events FROM settled")
    place = {unit: index for index, unit in enumerate(told.column("unit").to_pylist())}
    mine = np.array([place.get(unit, -1) for unit in rows.column("unit").to_pylist()], dtype=np.int64)
    closed = np.asarray(told.column("closed").to_pylist(), dtype=bool)
    events = _floats(told, "events") > 0
    there = mine >= 0
    event, due = np.zeros(len(at), dtype=bool), np.full(len(at), np.inf)
    event[there] = events[mine[there]] & closed[mine[there]]
    due[there] = np.where(closed[mine[there]], _floats(told, "due")[mine[there]], np.inf)
    return event, np.where(event, due, np.inf), due


def _pairs(
    full: Full,
    files: Sequence[str],
    rollout: Rollout,
    position: Position,
    now: float,
    asked: Sequence[Question],
    thinned: Sequence[float],
) -> Table:
    pairs_of(full.connection, rollout.name, files, [one.path for one in rollout.compare if one.mute])
    rows = full.arrow(
        _PAIRS.format(
            stage=position.stage,
            since=number(position.stage_since),
            now=number(now),
            slack=SLACK,
            kept=_kept("decision_id", f'"at" - {number(position.stage_since)}', thinned),
        )
    )
    stage = rollout.stages[position.stage]
    assert isinstance(stage, Shadow)
    at = _floats(rows, "entered")
    arm = np.asarray(rows.column("arm").to_pylist(), dtype="U")
    ours, theirs, differs, noisy, unusable = (
        _floats(rows, name, absent=-1.0)
        for name in ("champion_failed", "challenger_failed", "differs", "noisy", "unusable")
    )
    both = (ours == 0) & (theirs == 0)
    signals: list[Signal] = []
    for question in asked:
        use, difference = arm == question.arm, theirs - ours
        if question.metric.name == DISAGREEMENT and question.role == "gate":
            use = use & both & ((noisy >= 0) if stage.noise > 0.0 else True)
            difference = differs - (noisy if stage.noise > 0.0 else 0.0)
        elif question.metric.name == CATASTROPHIC and question.role == "gate":
            difference = (unusable * (1.0 - ours)) - ours * (1.0 - theirs)
        elif question.metric.source is not Source.RESPONSE:
            continue
        signals.append(Paired(question=question, use=use, difference=np.where(use, difference, 0.0).astype(np.int8)))
    return Table(at=at, features=_features(rows, rollout), signals=tuple(signals))


def _features(rows: pa.Table, rollout: Rollout) -> tuple[Feature, ...]:
    """One for each field; facts of before the spec named it have nothing there."""
    lists = rows.column("segments").combine_chunks()
    return tuple(_feature(str(field), lists, place) for place, field in enumerate(rollout.features))


def _feature(name: str, lists: Any, place: int) -> Feature:
    import pyarrow.compute as pc

    long = pc.fill_null(pc.greater(pc.list_value_length(lists), place), False)
    values = pa.array([""] * len(lists), type=pa.string())
    if len(lists) and pc.any(long).as_py():
        told = pc.list_element(lists.filter(long), place)
        values = pc.replace_with_mask(values, long, pc.fill_null(told, "").cast(pa.string()))
    coded = pc.dictionary_encode(values)
    codes: Ints = np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return Feature(name=name, values=tuple(coded.dictionary.to_pylist()), code=codes)


def _floats(rows: pa.Table, name: str, absent: float = np.nan) -> Floats:
    column = rows.column(name).combine_chunks()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(np.isnan(found), absent, found) if not np.isnan(absent) else found


def _kept(name: str, entered: str, thinned: Sequence[float]) -> str:
    """Which rows are kept: of each later stretch half as many, drawn by a hash of their names."""
    if not thinned:
        return "TRUE"
    halves = " + ".join(f"({entered} > {number(at)})::INT" for at in thinned)
    return f"(hash({name}) % pow(2, {halves})::BIGINT) = 0"
