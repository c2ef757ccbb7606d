"""What was reported later, brought to units: which are whose, and what each unit has when its window closes."""

from __future__ import annotations

import ibis

from crossfade.judge.measure.arms import SETTLED
from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, UNITS, Expr, counted


def hits(name: str, outcome: Expr = FACTS["outcome"], exposed: Expr = EXPOSURES, look: Expr = LOOK) -> Expr:
    """Outcomes of that name with the unit they belong to: `unit`, `value`, `happened`, `received`.

    An outcome with a decision id belongs to that exposure's unit, and counts in the stage of that exposure alone; one
    without belongs to the unit it names. What was received after the look does not exist yet.
    """
    named = outcome.filter(outcome["name"] == name).select(
        "rollout", "decision_id", "unit", "value", "at", "received_at"
    )
    clock = look.select(of="rollout", since="since", now="now")
    known = named.cross_join(clock)
    known = known.filter(known["received_at"] <= known["now"])
    known = known.mutate(received=known["received_at"] - known["since"], happened=known["at"] - known["since"])
    served = exposed.select("decision_id", served_unit="unit", served="elapsed")
    told = known.filter(known["decision_id"] != "").join(served, "decision_id")
    told = told.select("value", "received", unit=told["served_unit"], happened=told["served"])
    loose = known.filter(known["decision_id"] == "", known["unit"] != "", known["rollout"] == known["of"])
    columns = ("unit", "value", "happened", "received")
    return told.select(*columns).union(loose.select(*columns))


def settled(
    name: str,
    window: float,
    *,
    per: str = "",
    covariate: str = "",
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    entered: Expr = UNITS,
    look: Expr = LOOK,
) -> Expr:
    """Each unit with what was received for it inside its window: `reports`, `events` (values other than 0), `total`.

    `per` is the total of another outcome inside the same window, `before` that of the covariate's values that happened
    before the unit entered (and were received before its window closed).
    """
    found = _received(name, window, outcome, exposed, entered, look)
    inside = found.filter(found["happened"] >= found["entered"])
    per_unit = inside.group_by("unit").agg(
        reports=inside.count(), events=counted(inside["value"] != 0).sum(), total=inside["value"].sum()
    )
    everyone = entered.left_join(per_unit, "unit").drop("unit_right")
    for column, other in (("per", per), ("before", covariate)):
        if other:
            found = _received(other, window, outcome, exposed, entered, look)
            late = found["happened"] >= found["entered"]
            kept = found.filter(late if column == "per" else ~late)
            sums = kept.group_by("unit").agg(**{column: kept["value"].sum()})
            everyone = everyone.left_join(sums, "unit").drop("unit_right")
        else:
            everyone = everyone.mutate(**{column: ibis.literal(0.0)})
    everyone = everyone.cross_join(look.select("since", "now"))
    due = everyone["entered"] + window
    zeros = {"reports": 0, "events": 0, "total": 0.0, "per": 0.0, "before": 0.0}
    filled = {column: everyone[column].fill_null(zero) for column, zero in zeros.items()}
    judged = everyone.mutate(due=due, closed=due <= everyone["now"] - everyone["since"], **filled)
    return judged.select(*SETTLED.columns)


def _received(name: str, window: float, outcome: Expr, exposed: Expr, entered: Expr, look: Expr) -> Expr:
    found = hits(name, outcome, exposed, look).join(entered.select("unit", "entered"), "unit")
    return found.filter(found["received"] <= found["entered"] + window)
