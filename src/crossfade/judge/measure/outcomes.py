"""What was reported later, brought to units: which are whose, and what each unit has when its window closes."""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.arms import SETTLED
from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, UNITS, Expr, counted


def hits(names: Sequence[str], outcome: Expr = FACTS["outcome"], exposed: Expr = EXPOSURES, look: Expr = LOOK) -> Expr:
    """Outcomes of those names with the unit they belong to: `name`, `unit`, `value`, `happened`,
    `received`, `said`.

    An outcome with a decision id belongs to that exposure's unit, and counts in the stage of that exposure alone; one
    without belongs to the unit it names. `happened` is the time of that exposure, or what was `said`. What was received
    after the look does not exist yet.
    """
    named = outcome.filter(outcome["name"].isin(names)).select(
        "rollout", "decision_id", "unit", "name", "value", "at", "received_at"
    )
    clock = look.select(of="rollout", since="since", now="now")
    known = named.cross_join(clock)
    known = known.filter(known["received_at"] <= known["now"])
    known = known.mutate(received=known["received_at"] - known["since"], said=known["at"] - known["since"])
    # One join and no union, so that no engine reads the outcomes twice or keeps a copy of them.
    served = exposed.filter(exposed["decision_id"] != "").select("decision_id", whose="unit", served="elapsed")
    both = known.left_join(served, "decision_id")
    told = both["decision_id"] != ""
    loose = ~told & (both["unit"] != "") & (both["rollout"] == both["of"])
    return both.filter(loose | (told & both["whose"].notnull())).select(
        "name",
        "value",
        "said",
        "received",
        unit=ibis.cases((told, both["whose"]), else_=both["unit"]),
        happened=ibis.cases((told, both["served"]), else_=both["said"]),
    )


def settled(
    name: str,
    window: float,
    arrival: float = 0.0,
    *,
    per: str = "",
    covariate: str = "",
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    entered: Expr = UNITS,
    look: Expr = LOOK,
) -> Expr:
    """Each unit with what was received for it inside its window: `reports`, `events` (values other than 0), `total`.

    A window closes when what happened in it has had `arrival` more seconds to be received; `late` are the reports that
    took longer. Without such an allowance everything received inside the window counts. `per` is the total of another
    outcome inside the same window, `before` that of the covariate's values that happened before the unit entered (and
    were received before its window closed).
    """
    # Everything that is asked of outcomes in one pass over them: joining them with their exposures costs the most.
    found = hits(sorted({name, per, covariate} - {""}), outcome, exposed, look)
    found = found.join(entered.select("unit", "entered"), "unit")
    found = found.filter(
        (found["received"] <= found["entered"] + (window + arrival)) | (found["said"] <= found["entered"] + window)
    )
    timely = found["received"] <= found["entered"] + (window + arrival)
    during = found["said"] <= found["entered"] + window
    after, inside = found["happened"] >= found["entered"], timely & during if arrival else timely
    mine = after & (found["name"] == name)
    told = {
        "reports": (counted(inside & mine), 0),
        "events": (counted(inside & mine & (found["value"] != 0)), 0),
        "total": (_where(inside & mine, found["value"]), 0.0),
        "per": (_where(inside & after & (found["name"] == per), found["value"]), 0.0),
        "before": (_where(inside & ~after & (found["name"] == covariate), found["value"]), 0.0),
        "late": (counted(during & ~timely & mine), 0),
    }
    wanted = {"reports", "events", "total", "late"} | ({"per"} if per else set()) | ({"before"} if covariate else set())
    per_unit = found.group_by("unit").agg(**{key: told[key][0].sum() for key in told if key in wanted})
    everyone = entered.left_join(per_unit, "unit").cross_join(look.select("since", "now"))
    due = everyone["entered"] + (window + arrival)
    filled = {
        key: everyone[key].fill_null(zero) if key in wanted else ibis.literal(zero) for key, (_, zero) in told.items()
    }
    judged = everyone.mutate(due=due, closed=due <= everyone["now"] - everyone["since"], **filled)
    return judged.select(*SETTLED.columns)


def _where(flag: Expr, value: Expr) -> Expr:
    return ibis.cases((flag, value), else_=0.0)
