"""Outcomes by days since a unit's first exposure in the stage: does an effect wear off, grow, or turn?

Every unit of an arm whose n-th day is over counts in day n, with what was reported of that day. The same units stand in
several days, so that days are to be read side by side and not added up.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.outcomes import hits
from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, UNITS, Expr, counted

DAY = 86_400.0

MOST = 90
"""Days that are told apart; what happens later is not looked at."""

EVERYBODY = ""
"""The name under which units themselves are counted: `n` of those that came exactly `age` whole days ago."""


def cohorts(
    names: Sequence[str],
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    entered: Expr = UNITS,
    look: Expr = LOOK,
) -> Expr:
    """Per outcome name, arm and day: units with an event (`n`), and sum and sum of squares of each unit's total."""
    clock = look.select(span=look["now"] - look["since"])
    aged = entered.select("unit", "arm", "entered").cross_join(clock)
    aged = aged.mutate(whole=((aged["span"] - aged["entered"]) / DAY).floor().cast("int64"))
    asked = sorted(set(names))
    reported = hits(asked, outcome, exposed, look)
    if len(asked) == 1:
        reported = reported.mutate(name=ibis.literal(asked[0]))
    found = reported.join(aged, "unit")
    found = found.mutate(age=((found["said"] - found["entered"]) / DAY).floor().cast("int64"))
    found = found.filter(found["age"] >= 0, found["age"] < found["whole"], found["age"] < MOST)
    each = found.group_by("name", "unit", "arm", "age").agg(
        total=found["value"].sum(), events=counted(found["value"] != 0).sum()
    )
    told = each.group_by("name", "arm", "age").agg(
        n=counted(each["events"] > 0).sum(),
        total=each["total"].sum(),
        squares=(each["total"] * each["total"]).sum(),
        events=each["events"].sum(),
        events_squared=(each["events"] * each["events"]).sum(),
    )
    there = aged.group_by("arm", age=aged["whole"]).agg(n=aged.count())
    zero = ibis.literal(0, "int64")
    none = ibis.literal(0.0)
    came = there.select(
        "arm", "age", "n", name=ibis.literal(EVERYBODY), total=none, squares=none, events=zero, events_squared=zero
    )
    columns = ("name", "arm", "age", "n", "total", "squares", "events", "events_squared")
    return told.select(*columns).union(came.select(*columns))
