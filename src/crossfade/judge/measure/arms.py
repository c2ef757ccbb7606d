"""Metrics compared between groups of units: one query per metric, grouped by arm, step, weight and slice of time.

A unit enters once a stage, at its first exposure. A response metric counts at once; an outcome metric counts a unit
when its window has closed, so that its value no longer changes. The arm of an event is the arm of the exposure where
it happened: under no difference it still is a fair draw at that step's share, because a unit's first event is counted
and no other.

Every query here is a sum over the rows of one table of units. That makes it incremental: what changed units gave
before is taken off, what they give now is put on (`rim.engine`).
"""

from __future__ import annotations

import ibis

from crossfade.judge.measure.spread import slice_of, spread
from crossfade.judge.measure.tables import (
    ARRIVALS,
    FALLEN,
    GREETINGS,
    HOMES,
    UNITS,
    Expr,
    bucket_of,
    counted,
    latency_bin_of,
)

OPEN = -1
"""The bucket of units whose window is still open."""

SETTLED: Expr = ibis.table(
    {
        "unit": "string",
        "arm": "string",
        "step": "int64",
        "weight": "float64",
        "due": "float64",
        "closed": "boolean",
        "reports": "int64",
        "events": "int64",
        "total": "float64",
        "per": "float64",
        "before": "float64",
        "late": "int64",
        "predictions": "int64",
    },
    name="settled",
)
"""`outcomes.settled` of one metric, kept by an engine that does not want to compute it anew each time."""


def response_rate(
    entered: Expr = UNITS, arrived: Expr = ARRIVALS, failed: Expr = FALLEN, *, by: tuple[str, ...] = ()
) -> Expr:
    """Units at their first exposure of the stage (`n`) and of each step (`seen`), and at their first failure (`k`).

    First events are judged by step: of segments no slice of time is told.
    """
    times = ((entered, "entered", "n"), (arrived, "elapsed", "seen"), (failed, "elapsed", "k"))
    told = [
        rows.select(
            *by,
            "arm",
            "step",
            "weight",
            bucket=ibis.literal(0, "int64") if by else bucket_of(rows[at]),
            **{name: ibis.literal(int(name == counted), "int64") for name in ("n", "seen", "k")},
        )
        for rows, at, counted in ((spread(table, by), at, counted) for table, at, counted in times)
    ]
    all_ = told[0].union(told[1], told[2])
    counts = {name: all_[name].sum() for name in ("n", "seen", "k")}
    return all_.group_by(*by, "arm", "step", "weight", "bucket").agg(**counts)


def response_mean(
    homely: Expr = HOMES, *, failures: bool = False, cap: float | None = None, by: tuple[str, ...] = ()
) -> Expr:
    """Per unit the mean latency (or, for `failures`, the number of failed requests) of the step it entered at."""
    homely = spread(homely, by)
    value = homely["failures"].cast("float64") if failures else homely["latency"] / homely["requests"].cast("float64")
    valued = homely.select(*by, "arm", "step", "weight", closed=ibis.literal(True), value=_capped(value, cap))
    return _sums(
        valued,
        by,
        {"total": "value", "squares": ("value", "value")},
        nonzero=counted(valued["value"] != 0.0).sum(),
        reports=valued.count(),
    )


def response_quantile(greeted: Expr = GREETINGS, *, by: tuple[str, ...] = ()) -> Expr:
    """A latency histogram of each unit's first request in each step.

    The arm of a unit that returns is known: its further requests would bet on the same coin again.
    """
    greeted = spread(greeted, by)
    slice_ = slice_of if by else bucket_of
    binned = greeted.mutate(bucket=slice_(greeted["elapsed"]), bin=latency_bin_of(greeted["latency_ms"]))
    return binned.group_by(*by, "arm", "step", "weight", "bucket", "bin").agg(n=binned.count())


def response_greeted(greeted: Expr = GREETINGS) -> Expr:
    """Units at their first request in each step (`n`), and those of them whose arm failed it (`k`)."""
    binned = greeted.mutate(bucket=bucket_of(greeted["elapsed"]))
    return binned.group_by("arm", "step", "weight", "bucket").agg(n=binned.count(), k=binned["failed"].sum())


def outcome_rate(judged: Expr = SETTLED, *, by: tuple[str, ...] = ()) -> Expr:
    """Units (`n`), units with an event (`k`), outcomes reported when the window closed, and those that came late."""
    judged = spread(judged, by)
    timed = judged.mutate(bucket=_slice(judged, by))
    return timed.group_by(*by, "arm", "step", "weight", "bucket").agg(
        n=timed.count(),
        k=counted(timed["events"] > 0).sum(),
        reports=timed["reports"].sum(),
        late=timed["late"].sum(),
    )


def outcome_mean(
    judged: Expr = SETTLED,
    *,
    count: bool = False,
    cap: float | None = None,
    covariate: bool = False,
    predicted: bool = False,
    by: tuple[str, ...] = (),
) -> Expr:
    """n, sum and sum of squares of the summed value (or, for `count`, of the number of events); `nonzero` have one.

    With `covariate` also those of the value before the unit entered, which no arm can have affected. Where that is what
    was `predicted`, units may have none: told is how many have one, and the sum of their values.
    """
    judged = spread(judged, by)
    valued = judged.mutate(value=_of_unit(judged, count, cap))
    sums: dict[str, str | tuple[str, str]] = {"total": "value", "squares": ("value", "value")}
    if covariate:
        sums |= {"cov_sum": "before", "cov_squares": ("before", "before"), "cov_products": ("before", "value")}
    if predicted:
        known = valued["predictions"] > 0
        valued = valued.mutate(known=counted(known), met=ibis.cases((known, valued["value"]), else_=0.0))
        sums |= {"cov_known": "known", "cov_met": "met"}
    return _sums(
        valued,
        by,
        sums,
        nonzero=counted(valued["value"] != 0.0).sum(),
        reports=valued["reports"].sum(),
        late=valued["late"].sum(),
    )


def outcome_slices(judged: Expr = SETTLED, *, count: bool = False, cap: float | None = None) -> Expr:
    """`outcome_mean` by the slice of time in which each window closed."""
    timed = judged.mutate(bucket=_slice(judged, ()), value=_of_unit(judged, count, cap))
    return timed.group_by("arm", "step", "weight", "bucket").agg(
        n=timed.count(),
        total=timed["value"].sum(),
        squares=(timed["value"] * timed["value"]).sum(),
        reports=timed["reports"].sum(),
        late=timed["late"].sum(),
    )


def outcome_ratio(judged: Expr = SETTLED, *, by: tuple[str, ...] = ()) -> Expr:
    """n and the sums, squares and products of the numerator `y` and the denominator `x`."""
    judged = spread(judged, by)
    sums: dict[str, str | tuple[str, str]] = {
        "sum_y": "total",
        "sum_x": "per",
        "squares_y": ("total", "total"),
        "squares_x": ("per", "per"),
        "products_xy": ("per", "total"),
    }
    return _sums(judged, by, sums, reports=judged["reports"].sum(), late=judged["late"].sum())


def outcome_quantile(judged: Expr = SETTLED, *, by: tuple[str, ...] = ()) -> Expr:
    """A histogram of the summed values of units that something was reported for, when the window closed.

    What is not above the first edge (0 and below, too) lies in the first bin.
    """
    judged = spread(judged, by)
    value = ibis.cases((judged["total"] > 0.0, judged["total"]), else_=0.0)
    none = ~judged["closed"] | (judged["reports"] == 0)
    timed = judged.mutate(bucket=_slice(judged, by), bin=ibis.cases((none, OPEN), else_=latency_bin_of(value)))
    return timed.group_by(*by, "arm", "step", "weight", "bucket", "bin").agg(
        n=timed.count(), reports=timed["reports"].sum(), late=timed["late"].sum()
    )


def _of_unit(judged: Expr, count: bool, cap: float | None) -> Expr:
    return _capped(judged["events"].cast("float64") if count else judged["total"], cap)


def _capped(value: Expr, cap: float | None) -> Expr:
    """Between 0 and the cap, where there is one."""
    return value if cap is None else ibis.cases((value > cap, cap), (value > 0.0, value), else_=0.0)


def _slice(judged: Expr, by: tuple[str, ...]) -> Expr:
    slice_ = slice_of if by else bucket_of
    return ibis.cases((judged["closed"], slice_(judged["due"])), else_=OPEN).cast("int64")


def _sums(valued: Expr, by: tuple[str, ...], sums: dict[str, str | tuple[str, str]], **counts: Expr) -> Expr:
    told = {
        name: (valued[of] if isinstance(of, str) else valued[of[0]] * valued[of[1]]).sum() for name, of in sums.items()
    }
    return valued.group_by(*by, "arm", "step", "weight", "closed").agg(n=valued.count(), **told, **counts)
