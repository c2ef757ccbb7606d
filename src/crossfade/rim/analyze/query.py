"""One query over exposures and outcomes, each unit once, on whatever engine holds them; and its rows as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from crossfade.judge.analysis.asked import EXPOSURES, AnalysisError, Asked
from crossfade.judge.analysis.units import Units, Values
from crossfade.rim.analyze.sources import Expr
from crossfade.spec.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Units, the names of outcomes in the data, and what was left out."""

    units: Units
    names: tuple[str, ...]
    notes: list[str]


def units(
    exposures: Expr, outcomes: Expr, asked: Sequence[Asked], *, window: float | None, segments: Sequence[str]
) -> Found:
    """Each unit at its first exposure, with what happened to it afterwards, inside its window."""
    covariates = {one.covariate for one in asked if one.covariate is not None}
    columns = [name for name in covariates if name in exposures.columns]
    first = _first(exposures, [*segments, *columns])
    if "value" not in outcomes.columns:
        outcomes = outcomes.mutate(value=ibis.literal(1.0))
    joined = outcomes.join(first.select("unit", "entered", of="arm"), "unit")
    gap = joined["at"] - joined["entered"]
    after = gap >= 0.0 if window is None else (gap >= 0.0) & (gap <= window)
    needed = _needed(asked, columns)
    sums = {f"{what}{i}": _sum(joined, name, what, after) for i, (name, what) in enumerate(needed)}
    wide = first
    if sums:
        per_unit = joined.group_by("unit").agg(**sums)
        wide = first.left_join(per_unit, "unit").drop("unit_right")
    table = wide.order_by("entered", "unit").to_pyarrow()
    if len(table) == 0:
        raise AnalysisError("the exposures have no rows", "give each unit's exposures, one a row", found_in_data=True)
    named = outcomes.group_by("name").agg(rows=outcomes.count()).order_by("name").to_pyarrow().to_pydict()
    reports = _reports(joined, after)
    arms, arm = _codes(table["arm"])
    found = {key: f"{key[1]}{i}" for i, key in enumerate(needed)}
    entered = table["entered"].to_numpy()
    last = outcomes["at"].max().to_pyarrow().as_py()
    seen_last = exposures["at"].max().to_pyarrow().as_py()
    return Found(
        units=Units(
            arms=arms,
            arm=arm,
            entered=entered,
            values={one.metric.name: _values(one, table, found, reports, columns) for one in asked},
            segments={name: _codes(table[name]) for name in segments},
            ended=max(seen_last, last) if last is not None else seen_last,
        ),
        names=tuple(named["name"]),
        notes=_notes(table, joined, outcomes, named),
    )


def _first(exposures: Expr, carried: Sequence[str]) -> Expr:
    """One row a unit: arm and columns of its first exposure, when it was, how many there were, and in how many arms."""
    order = ["at", "arm", *carried]
    ranked = exposures.select("unit", *order).mutate(place=ibis.row_number().over(group_by="unit", order_by=order))
    one = ranked.filter(ranked["place"] == 0).drop("place").rename(entered="at")
    counted = exposures.group_by("unit").agg(times=exposures.count(), arms_seen=exposures["arm"].nunique())
    return one.join(counted, "unit")


def _needed(asked: Sequence[Asked], columns: Sequence[str]) -> list[tuple[str, str]]:
    """(outcome, what of it) pairs: `k` events, `y` total, `x` total before the first exposure, `v` total where any."""
    needed: dict[tuple[str, str], None] = {}
    for one in asked:
        kind = one.metric.kind
        needed[one.outcome, "k" if kind in (Kind.RATE, Kind.COUNT) else "v" if kind is Kind.QUANTILE else "y"] = None
        if one.per is not None and one.per != EXPOSURES:
            needed[one.per, "y"] = None
        if one.covariate is not None and one.covariate not in columns:
            needed[one.covariate, "x"] = None
    return list(needed)


def _sum(joined: Expr, name: str, what: str, after: Expr) -> Expr:
    chosen = (joined["name"] == name) & (after if what != "x" else joined["at"] < joined["entered"])
    if what == "k":
        # Not cast: PostgreSQL makes no number of a truth.
        return ibis.cases((chosen & (joined["value"] != 0.0), 1), else_=0).sum().cast("float64")
    nothing = ibis.null("float64") if what == "v" else ibis.literal(0.0)
    return ibis.cases((chosen, joined["value"]), else_=nothing).sum()


def _reports(joined: Expr, after: Expr) -> dict[str, dict[str, int]]:
    """Outcomes by name and by their unit's arm."""
    kept = joined.filter(after)
    rows = kept.group_by("name", "of").agg(rows=kept.count()).to_pyarrow().to_pydict()
    found: dict[str, dict[str, int]] = {}
    for name, arm, many in zip(rows["name"], rows["of"], rows["rows"], strict=True):
        found.setdefault(name, {})[str(arm)] = many
    return found


def _values(
    one: Asked,
    table: pa.Table,
    found: Mapping[tuple[str, str], str],
    reports: Mapping[str, Mapping[str, int]],
    columns: Sequence[str],
) -> Values:
    def column(name: str, what: str) -> Any:
        return _floats(table[found[name, what]], np.nan if what == "v" else 0.0)

    nothing = np.zeros(0)
    events = total = nothing
    match one.metric.kind:
        case Kind.RATE | Kind.COUNT:
            events = column(one.outcome, "k")
        case Kind.QUANTILE:
            total = column(one.outcome, "v")
        case _:
            total = column(one.outcome, "y")
    per = covariate = None
    if one.per is not None:
        per = _floats(table["times"], 0.0) if one.per == EXPOSURES else column(one.per, "y")
    if one.covariate is not None:
        known = one.covariate in columns
        covariate = _floats(table[one.covariate], np.nan) if known else column(one.covariate, "x")
        if np.isnan(covariate).any():
            # A unit without the covariate says as much as the average one.
            covariate = np.where(np.isnan(covariate), np.nanmean(covariate), covariate)
    return Values(events=events, total=total, per=per, covariate=covariate, reports=reports.get(one.outcome, {}))


def _notes(table: pa.Table, joined: Expr, outcomes: Expr, named: Mapping[str, Sequence[Any]]) -> list[str]:
    notes = []
    moved = int((table["arms_seen"].to_numpy() > 1).sum())
    if moved:
        notes.append(f"{moved:,} units were exposed to more than one arm; each counts in the arm that it saw first")
    total = sum(named["rows"])
    known = joined.count().to_pyarrow().as_py()
    if total > known:
        notes.append(f"{total - known:,} of {total:,} outcomes are of units that were never exposed")
    early = joined.filter(joined["at"] < joined["entered"]).count().to_pyarrow().as_py()
    if early:
        notes.append(f"{early:,} outcomes happened before their unit's first exposure and are not its result")
    return notes


def _floats(column: pa.ChunkedArray, missing: float) -> np.ndarray:
    return np.asarray(column.fill_null(missing).to_numpy(), dtype=np.float64)


def _codes(column: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """The distinct texts of a column in order, and each row's place among them."""
    encoded = column.cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda i: names[i])
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return tuple(names[i] for i in order), place[encoded.indices.to_numpy()]
