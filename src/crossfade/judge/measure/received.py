"""What became of the outcomes that a rollout asks for: how many are its own, were corrected, or correct nothing known.

An outcome is a rollout's own by the decision that it names, once that was recorded, or by naming it and a unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.judge.measure.corrections import CHAINS, OWNED, REPLACED, REPORTED, events
from crossfade.judge.measure.tables import FACTS, LOOK, Expr


def received(
    names: Sequence[str], outcome: Expr = FACTS["outcome"], exposed: Expr = FACTS["exposed"], look: Expr = LOOK
) -> Expr:
    """Outcomes of these names, each once, corrections apart."""
    own = _own(names, outcome, exposed, look)
    return own.aggregate(n=own.count())


def corrected(
    names: Sequence[str], replaced: Expr = REPLACED, exposed: Expr = FACTS["exposed"], look: Expr = LOOK
) -> Expr:
    """Those of them whose value was replaced."""
    own = _own(names, replaced, exposed, look)
    return own.aggregate(n=own.count())


def astray(names: Sequence[str], follow: Expr = CHAINS, reported: Expr = REPORTED, look: Expr = LOOK) -> Expr:
    """Corrections of these names that lead to no outcome that is known (yet), of any rollout where by decision."""
    named = follow.filter(follow["name"].isin(list(names))).cross_join(look.select(of="rollout"))
    mine = (named["decision_id"] != "") | ((named["unit"] != "") & (named["rollout"] == named["of"]))
    known = events(reported).cross_join(look.select("now"))
    known = known.filter(known["received_at"] <= known["now"]).select("outcome_id", *OWNED)
    kept = named.filter(mine)
    same = [kept["root"] == known["outcome_id"], *(kept[name] == known[name] for name in OWNED)]
    lost = kept.anti_join(known, same)
    return lost.aggregate(n=lost.count())


def _own(names: Sequence[str], rows: Expr, exposed: Expr, look: Expr) -> Expr:
    named = rows.filter(rows["name"].isin(list(names))).select("rollout", "decision_id", "unit", "received_at")
    named = named.cross_join(look.select(of="rollout", now="now"))
    named = named.filter(named["received_at"] <= named["now"])
    served = exposed.join(look.select("rollout", "now"), "rollout")
    served = served.filter(served["unit"] != "", served["at"] <= served["now"]).select("decision_id")
    told = named.filter(named["decision_id"] != "").semi_join(served, "decision_id")
    loose = named.filter(named["decision_id"] == "", named["unit"] != "", named["rollout"] == named["of"])
    return told.select("unit").union(loose.select("unit"))
