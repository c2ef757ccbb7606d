"""What was reported later, brought to units: which are whose, and what each unit has when its window closes."""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.arms import SETTLED
from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, UNITS, Expr, counted


def hits(names: Sequence[str], outcome: Expr = FACTS["outcome"], exposed: Expr = EXPOSURES, look: Expr = LOOK) -> Expr:
    """Outcomes of those names with the unit they belong to: `name`, `unit`, `value`, `happened`, `received`.

    An outcome with a decision id belongs to that exposure's unit, and counts in the stage of that exposure alone; one
    without belongs to the unit it names. What was received after the look does not exist yet.
    """
    named = outcome.filter(outcome["name"].isin(names)).select(
        "rollout", "decision_id", "unit", "name", "value", "at", "received_at"
    )
    clock = look.select(of="rollout", since="since", now="now")
    known = named.cross_join(clock)
    known = known.filter(known["received_at"] <= known["now"])
    known = known.mutate(received=known["received_at"] - known["since"], happened=known["at"] - known["since"])
    served = exposed.select("decision_id", served_unit="unit", served="elapsed")
    told = known.filter(known["decision_id"] != "").join(served, "decision_id")
    told = told.select("name", "value", "received", unit=told["served_unit"], happened=told["served"])
    loose = known.filter(known["decision_id"] == "", known["unit"] != "", known["rollout"] == known["of"])
    columns = ("name", "unit", "value", "happened", "received")
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
    # Everything that is asked of outcomes in one pass over them: joining them with their exposures costs the most.
    found = hits(sorted({name, per, covariate} - {""}), outcome, exposed, look)
    found = found.join(entered.select("unit", "entered"), "unit")
    found = found.filter(found["received"] <= found["entered"] + window)
    after = found["happened"] >= found["entered"]
    told = {
        "reports": (counted(after & (found["name"] == name)), 0),
        "events": (counted(after & (found["name"] == name) & (found["value"] != 0)), 0),
        "total": (_where(after & (found["name"] == name), found["value"]), 0.0),
        "per": (_where(after & (found["name"] == per), found["value"]), 0.0),
        "before": (_where(~after & (found["name"] == covariate), found["value"]), 0.0),
    }
    wanted = {"reports", "events", "total"} | ({"per"} if per else set()) | ({"before"} if covariate else set())
    per_unit = found.group_by("unit").agg(**{key: told[key][0].sum() for key in told if key in wanted})
    everyone = entered.left_join(per_unit, "unit").cross_join(look.select("since", "now"))
    due = everyone["entered"] + window
    filled = {
        key: everyone[key].fill_null(zero) if key in wanted else ibis.literal(zero) for key, (_, zero) in told.items()
    }
    judged = everyone.mutate(due=due, closed=due <= everyone["now"] - everyone["since"], **filled)
    return judged.select(*SETTLED.columns)


def _where(flag: Expr, value: Expr) -> Expr:
    return ibis.cases((flag, value), else_=0.0)
