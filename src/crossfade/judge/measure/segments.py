"""Every measure asked once for each segment: the question, and its rows as moments of one segment each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from crossfade.judge.measure import assemble, spread
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Absent, Key, Segment, Segmented
from crossfade.judge.measure.questions import Question, answer
from crossfade.judge.measure.spread import OTHER, SEGMENT, pairs_heard
from crossfade.judge.measure.tables import Expr
from crossfade.judge.moments import Moments


def by_segment(question: Question, fields: int) -> Question | None:
    """The same question of every segment at once; None where it is not asked of segments."""
    if question.by_pair is not None:
        of_pairs = partial(question.by_pair, fields)
        return replace(question, key=("segments", fields, *question.key), build=of_pairs, segments=fields)
    if not question.by_unit:
        return None
    build: Callable[..., Expr] = question.build
    return replace(question, key=("segments", *question.key), build=partial(build, by=SEGMENT), segments=fields)


def heard_in_shadow(fields: int) -> Question:
    """The question how many mirrored requests each segment has."""
    return Question(
        key=("pairs-heard", fields),
        build=partial(pairs_heard, fields),
        shape=assemble.paired,
        silent="no mirrored request has been compared in this stage yet",
        segments=fields,
    )


def heard(rows: Rows, fields: Sequence[str]) -> tuple[tuple[Segment, ...], dict[str, tuple[int, int]]]:
    """Rows of `spread.heard` as segments, and what is counted together."""
    told: list[tuple[int, int, Segment]] = []
    others: dict[str, tuple[int, int]] = {}
    columns = (rows[name].tolist() for name in ("field", "place", "value", "units", "values"))
    for of, place, value, units, values in zip(*columns, strict=True):
        if place == OTHER:
            others[fields[of]] = (int(units), int(values))
        else:
            told.append((of, place, Segment(field=fields[of], value=str(value), place=int(place), units=int(units))))
    return tuple(one for _, _, one in sorted(told, key=lambda one: one[:2])), others


def moments_of(
    question: Question, rows: Rows, fields: Sequence[str], segments: Sequence[Segment], name: str, arms: Sequence[str]
) -> dict[Key, Moments | Absent]:
    """The moments of every segment and challenger, or why there are none."""
    parts = _split(rows, fields, segments)
    return {(name, arm, segment): answer(question, own, arm) for segment, own in parts.items() for arm in arms}


def _split(rows: Rows, fields: Sequence[str], segments: Sequence[Segment]) -> dict[str, Rows]:
    """The rows of each segment, by its name."""
    code = rows["field"].astype(np.int64) * spread.MOST + rows["place"].astype(np.int64)
    order = np.argsort(code, kind="stable")
    code = code[order]
    columns = {name: column[order] for name, column in rows.items() if name not in SEGMENT}
    parts: dict[str, Rows] = {}
    for segment in segments:
        own = list(fields).index(segment.field) * spread.MOST + segment.place
        low, high = np.searchsorted(code, [own, own + 1])
        parts[segment.name] = {name: column[low:high] for name, column in columns.items()}
    return parts


__all__ = ["Key", "Segment", "Segmented", "by_segment", "heard", "heard_in_shadow", "moments_of"]
