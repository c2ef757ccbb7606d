"""Metrics compared between groups of units: one query per metric, grouped by arm, step, weight and slice of time.

A unit enters once a stage, at its first exposure. A response metric counts at once; an outcome metric counts a unit
when its window has closed, so that its value no longer changes. The arm of an event is the arm of the exposure where
it happened: under no difference it still is a fair draw at that step's share, because a unit's first event is counted
and no other.
"""

from __future__ import annotations

import ibis

from crossfade.judge.measure.tables import (
    ARRIVALS,
    EXPOSURES,
    FACTS,
    LOOK,
    UNITS,
    Expr,
    bucket_of,
    first,
    hits,
    latency_bin_of,
)

OPEN = -1
"""The bucket of units whose window is still open."""


def response_rate(exposed: Expr = EXPOSURES, entered: Expr = UNITS, arrived: Expr = ARRIVALS) -> Expr:
    """Units at their first exposure of the stage (`n`) and of each step (`seen`), and at their first failure (`k`)."""
    failed = first(exposed.filter(exposed["failed"]), by=["unit"], order=["elapsed", "decision_id"])
    times = ((entered, "entered", "n"), (arrived, "elapsed", "seen"), (failed, "elapsed", "k"))
    told = [
        rows.select(
            "arm",
            "step",
            "weight",
            bucket=bucket_of(rows[at]),
            **{name: ibis.literal(int(name == counted), "int64") for name in ("n", "seen", "k")},
        )
        for rows, at, counted in times
    ]
    all_ = told[0].union(told[1], told[2])
    counts = {name: all_[name].sum() for name in ("n", "seen", "k")}
    return all_.group_by("arm", "step", "weight", "bucket").agg(**counts)


def response_mean(exposed: Expr = EXPOSURES, entered: Expr = UNITS, *, failures: bool = False) -> Expr:
    """Per unit the mean latency (or, for `failures`, the number of failed requests) of the step it entered at."""
    home = exposed.join(entered.select("unit", "arm", "step"), ["unit", "arm", "step"])
    value = home["failed"].cast("float64").sum() if failures else home["latency_ms"].mean()
    per_unit = home.group_by("unit", "arm", "step").agg(value=value)
    whole = per_unit.join(entered.select("unit", "weight"), "unit")
    return _moments(whole.mutate(closed=ibis.literal(True)))


def response_quantile(arrived: Expr = ARRIVALS) -> Expr:
    """A latency histogram of each unit's first request in each step.

    The arm of a unit that returns is known: its further requests would bet on the same coin again.
    """
    binned = arrived.mutate(bucket=bucket_of(arrived["elapsed"]), bin=latency_bin_of(arrived["latency_ms"]))
    return binned.group_by("arm", "step", "weight", "bucket", "bin").agg(n=binned.count())


def settled(
    name: str,
    window: float,
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    entered: Expr = UNITS,
    look: Expr = LOOK,
) -> Expr:
    """Each unit with what was received for it inside its window: `reports`, `events` (values other than 0), `total`."""
    found = hits(name, outcome, exposed, look).join(entered.select("unit", "entered"), "unit")
    inside = found.filter(found["received"] <= found["entered"] + window, found["happened"] >= found["entered"])
    per_unit = inside.group_by("unit").agg(
        reports=inside.count(), events=(inside["value"] != 0).cast("int64").sum(), total=inside["value"].sum()
    )
    clock = look.select("since", "now")
    everyone = entered.left_join(per_unit, "unit").cross_join(clock)
    return everyone.select(
        "unit",
        "arm",
        "step",
        "weight",
        due=everyone["entered"] + window,
        closed=everyone["entered"] + window <= everyone["now"] - everyone["since"],
        reports=everyone["reports"].fill_null(0),
        events=everyone["events"].fill_null(0),
        total=everyone["total"].fill_null(0.0),
    )


def outcome_rate(judged: Expr) -> Expr:
    """Of `settled` units: units (`n`), units with an event (`k`) and outcomes reported, when the window closed."""
    where = ibis.cases((judged["closed"], bucket_of(judged["due"])), else_=OPEN)
    timed = judged.mutate(bucket=where.cast("int64"))
    return timed.group_by("arm", "step", "weight", "bucket").agg(
        n=timed.count(), k=(timed["events"] > 0).cast("int64").sum(), reports=timed["reports"].sum()
    )


def outcome_mean(judged: Expr, *, count: bool = False) -> Expr:
    """Of `settled` units: n, sum and sum of squares of the summed value (or, for `count`, of the number of events)."""
    value = judged["events"].cast("float64") if count else judged["total"]
    return _moments(judged.mutate(value=value))


def _moments(valued: Expr) -> Expr:
    reports = valued["reports"].sum() if "reports" in valued.columns else valued.count()
    return valued.group_by("arm", "step", "weight", "closed").agg(
        n=valued.count(),
        total=valued["value"].sum(),
        squares=(valued["value"] * valued["value"]).sum(),
        reports=reports,
    )
