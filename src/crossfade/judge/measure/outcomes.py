"""What was reported later, brought to units: which are whose, and what each unit has when its window closes."""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.arms import SETTLED
from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, TRIGGERED, UNITS, Expr, element

PREDICTED = ("champion", "challenger")
"""Whose predictions, recorded of mirrored requests, may adjust a mean."""

LARGEST = 1e300
"""What was predicted beyond it, or is no number, is not used."""


def predicted_by(side: str) -> str:
    """The name of predictions among outcomes, which no outcome can have."""
    return f"shadow:{side}"


def copied_by(side: str) -> str:
    """The name of those that were made for copies beside users' own requests."""
    return f"copied:{side}"


def hits(
    names: Sequence[str],
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    look: Expr = LOOK,
    *,
    predicted: str = "",
    at_entry: bool = False,
    compared: Expr = FACTS["compared"],
) -> Expr:
    """Outcomes of those names with the unit they belong to: `unit`, `value`, `received`, `said`, whether `told` by a
    decision, and `name` where there are several.

    An outcome with a decision id belongs to that exposure's unit, and counts in the stage of that exposure alone; one
    without belongs to the unit it names. What was received after the look does not exist yet. With `predicted` what
    that side predicted for mirrored requests comes beside them, as if each had been reported of its unit at once; with
    `at_entry` also, under a name of its own, what it did beside users' own requests.
    """
    # Two readings that share nothing, each with its own conditions on the table itself: engines then read what each
    # needs and keep no copy. Only what is asked for goes through the join, which costs the most.
    named = outcome["name"].isin(
        [name for name in names if name not in (predicted_by(predicted), copied_by(predicted))]
    )
    by_decision = _known(outcome.filter(named, outcome["decision_id"] != ""), ["decision_id"], names, look)
    served = exposed.filter(exposed["decision_id"] != "").select("decision_id", "unit")
    # The smaller side of a join on the right, for engines that do as they are told.
    told = served.join(by_decision, "decision_id").drop("decision_id").mutate(told=ibis.literal(True))
    by_unit = outcome.filter(named, outcome["decision_id"] == "", outcome["unit"] != "")
    loose = _known(by_unit.semi_join(look, "rollout"), ["unit"], names, look).mutate(told=ibis.literal(False))
    if not predicted:
        return told.union(loose.select(*told.columns))
    pairs = compared.filter(compared["unit"] != "", ~compared[f"{predicted}_failed"]).semi_join(look, "rollout")
    hidden = ibis.coalesce(pairs["served"], "") == ""
    name = ibis.cases((hidden, predicted_by(predicted)), else_=copied_by(predicted))
    pairs = pairs.mutate(name=name, value=element(pairs[f"{predicted}_numbers"], 0))
    pairs = pairs if at_entry else pairs.filter(hidden)
    pairs = pairs.filter(pairs["value"].abs() <= LARGEST).mutate(received_at=pairs["at"])
    guessed = _known(pairs, ["unit"], names, look).mutate(told=ibis.literal(False))
    return told.union(loose.select(*told.columns), guessed.select(*told.columns))


def _known(rows: Expr, keys: list[str], names: Sequence[str], look: Expr) -> Expr:
    """What was received by the look, in seconds of the stage."""
    wanted = [*keys, *(["name"] if len(names) > 1 else []), "value"]
    clock = look.select(since="since", now="now")
    known = rows.select(*wanted, "at", "received_at").cross_join(clock)
    known = known.filter(known["received_at"] <= known["now"])
    return known.select(*wanted, received=known["received_at"] - known["since"], said=known["at"] - known["since"])


def settled(
    name: str,
    window: float,
    arrival: float = 0.0,
    *,
    per: str = "",
    covariate: str = "",
    predicted: str = "",
    at_entry: bool = False,
    differing: bool = False,
    outcome: Expr = FACTS["outcome"],
    exposed: Expr = EXPOSURES,
    entered: Expr | None = None,
    look: Expr = LOOK,
    compared: Expr = FACTS["compared"],
) -> Expr:
    """Each unit with what was received for it inside its window: `reports`, `events` (values other than 0), `total`.

    A window closes when what happened in it has had `arrival` more seconds to be received; `late` are the reports that
    took longer. Without such an allowance everything received inside the window counts. `per` is the total of another
    outcome inside the same window, `before` that of the covariate's values that happened before the unit entered (and
    were received before its window closed); or, with `predicted`, the mean of that side's `predictions` for the unit's
    mirrored requests before it entered (`at_entry`: and for the request at which it did). `differing`: units are those
    of `triggers.triggered`, which enter at a request that may not have been their first.
    """
    entered = (TRIGGERED if differing else UNITS) if entered is None else entered
    # Everything that is asked of outcomes in one pass over them: joining them with their exposures costs the most.
    covariate = predicted_by(predicted) if predicted else covariate
    names = sorted({name, per, covariate, copied_by(predicted) if at_entry else ""} - {""})
    found = hits(names, outcome, exposed, look, predicted=predicted, at_entry=at_entry, compared=compared)
    found = found.join(entered.select("unit", "entered"), "unit")
    found = found.filter(
        (found["received"] <= found["entered"] + (window + arrival)) | (found["said"] <= found["entered"] + window)
    )
    timely = found["received"] <= found["entered"] + (window + arrival)
    during = found["said"] <= found["entered"] + window
    early = found["said"] < found["entered"]
    if not differing:
        # A decision of the stage is never from before its unit entered, whatever its reporter says of the time.
        early = early & ~found["told"]
    inside = timely & during if arrival else timely

    def of(which: str) -> Expr:
        return found["name"] == which if len(names) > 1 else ibis.literal(which in names)

    mine = ~early & of(name)
    before = early & of(covariate)
    if at_entry:
        before = before | ((found["said"] == found["entered"]) & of(copied_by(predicted)))
    told = {
        "reports": (found.count(where=inside & mine), 0),
        "events": (found.count(where=inside & mine & (found["value"] != 0)), 0),
        "total": (_sum(inside & mine, found["value"]), 0.0),
        "per": (_sum(inside & ~early & of(per), found["value"]), 0.0),
        "before": (_sum(inside & before, found["value"]), 0.0),
        "late": (found.count(where=during & ~timely & mine), 0),
        "predictions": (found.count(where=inside & before), 0),
    }
    wanted = {"reports", "events", "total", "late"} | ({"per"} if per else set()) | ({"before"} if covariate else set())
    wanted |= {"predictions"} if predicted else set()
    per_unit = found.group_by("unit").agg(**{key: told[key][0] for key in told if key in wanted})
    everyone = entered.left_join(per_unit, "unit").cross_join(look.select("since", "now"))
    due = everyone["entered"] + (window + arrival)
    filled = {
        key: everyone[key].fill_null(zero) if key in wanted else ibis.literal(zero) for key, (_, zero) in told.items()
    }
    judged = everyone.mutate(due=due, closed=due <= everyone["now"] - everyone["since"], **filled)
    if predicted:
        some = judged["predictions"] > 0
        mean = judged["before"] / ibis.cases((some, judged["predictions"]), else_=1).cast("float64")
        judged = judged.mutate(before=ibis.cases((some, mean), else_=0.0))
    return judged.select(*SETTLED.columns)


def _sum(flag: Expr, value: Expr) -> Expr:
    return ibis.cases((flag, value), else_=0.0).sum()
