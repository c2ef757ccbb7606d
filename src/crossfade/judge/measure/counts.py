"""What is counted beside the metrics: how far a stage has come, what went missing, and who was touched by harm."""

from __future__ import annotations

import ibis

from crossfade.judge.measure.tables import ARRIVALS, EXPOSING, FACTS, LOOK, SLACK, Expr, counted, during


def requests(exposed: Expr = FACTS["exposed"], look: Expr = LOOK) -> Expr:
    """Requests of the stage per assigned arm, whatever mode served them."""
    all_ = during(exposed, look)
    yes = ibis.literal(1, "int64")
    no = ibis.literal(0, "int64")
    return all_.group_by("arm").agg(
        requests=all_.count(),
        missing=ibis.cases((all_["unit"] == "", yes), else_=no).sum(),
        failed=ibis.cases((all_["failed"], yes), else_=no).sum(),
        fallbacks=ibis.cases(
            (all_["failed"] & (all_["served_by"] != all_["arm"]) & (all_["served_by"] != ""), yes), else_=no
        ).sum(),
        unserved=ibis.cases((all_["served_by"] == "", yes), else_=no).sum(),
    )


def exposed_units(arrived: Expr = ARRIVALS) -> Expr:
    """Distinct units that each arm was assigned in the stage; one that moved over counts in both."""
    # A unit moves over only where a step begins, so that its arrivals name every arm it had.
    return arrived.group_by("arm").agg(units=arrived["unit"].nunique())


def step_units(arrived: Expr = ARRIVALS) -> Expr:
    """Units that each arm was assigned in each step; one that came in several steps counts in each."""
    return arrived.group_by("arm", "step").agg(units=arrived.count())


def mirrored(compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Mirrored requests compared, per challenger, and how many of them it failed."""
    pairs = during(compared, look)
    return pairs.group_by("arm").agg(pairs=pairs.count(), failed=counted(pairs["challenger_failed"]).sum())


def drops(dropped: Expr = FACTS["dropped"], look: Expr = LOOK) -> Expr:
    """Shadow copies not sent or not compared since the stage began, per reason."""
    joined = dropped.join(look.select("rollout", "since", "now"), "rollout")
    kept = joined.filter(joined["at"] >= joined["since"] - SLACK, joined["at"] <= joined["now"])
    return kept.group_by("reason").agg(copies=kept["count"].sum())


def faults(fault: Expr = FACTS["fault"], look: Expr = LOOK) -> Expr:
    """Mistakes and mishaps of ours since the stage began, of this rollout or of a whole worker."""
    joined = fault.cross_join(look.select("since", "now", of="rollout"))
    kept = joined.filter(
        (joined["rollout"] == "") | (joined["rollout"] == joined["of"]),
        joined["at"] >= joined["since"] - SLACK,
        joined["at"] <= joined["now"],
    )
    return kept.aggregate(faults=ibis.coalesce(kept["count"].sum(), 0))


def leases(lease: Expr = FACTS["lease"], look: Expr = LOOK) -> Expr:
    """What each worker said last of its lease."""
    joined = lease.cross_join(look.select("now"))
    kept = joined.filter(joined["at"] <= joined["now"])
    kept = kept.mutate(place=ibis.row_number().over(group_by="worker", order_by=kept["at"].desc()))
    kept = kept.filter(kept["place"] == 0)
    return kept.select("worker", "held")


def lists(shown: Expr = FACTS["shown"], look: Expr = LOOK) -> Expr:
    """Interleaved lists per reason of exclusion; '' are those that may vote."""
    all_ = during(shown, look)
    return all_.group_by("excluded").agg(lists=all_.count())


def touched(exposed: Expr = FACTS["exposed"], look: Expr = LOOK) -> Expr:
    """Over the whole rollout, each unit with each arm it was exposed to: since when, and whether that arm failed it."""
    joined = exposed.join(look.select("rollout", "now"), "rollout")
    kept = joined.filter(joined["unit"] != "", joined["mode"].isin(EXPOSING), joined["at"] <= joined["now"])
    return kept.group_by("unit", "arm").agg(
        since=kept["at"].min(), failures=counted(kept["failed"]).sum(), requests=kept.count()
    )


TOUCHED: Expr = ibis.table(
    {"unit": "string", "arm": "string", "since": "float64", "failures": "int64", "requests": "int64"}, name="touched"
)
"""`touched`, kept by an engine that asks several questions of it."""


def reach(touched_: Expr = TOUCHED) -> Expr:
    """Over the whole rollout, per arm: units exposed, units failed by it, requests and failed requests."""
    return touched_.group_by("arm").agg(
        units=touched_.count(),
        failed_units=counted(touched_["failures"] > 0).sum(),
        requests=touched_["requests"].sum(),
        failures=touched_["failures"].sum(),
    )


TOLD: Expr = ibis.table({"unit": "string", "arm": "string"}, name="told")
"""`told` of one outcome, likewise."""

LOOSE: Expr = ibis.table({"unit": "string", "at": "float64"}, name="loose")
"""`loose` of one outcome, likewise."""


def told(name: str, exposed: Expr = FACTS["exposed"], outcome: Expr = FACTS["outcome"], look: Expr = LOOK) -> Expr:
    """Over the whole rollout, units and arms of decisions that an outcome of that name, not 0, was reported for."""
    served = exposed.join(look.select("rollout", "now"), "rollout")
    served = served.filter(served["unit"] != "", served["mode"].isin(EXPOSING), served["at"] <= served["now"])
    known = _events(name, outcome, look)
    known = known.filter(known["decision_id"] != "").select("decision_id")
    return known.join(served.select("decision_id", "unit", "arm"), "decision_id").select("unit", "arm")


def loose(name: str, outcome: Expr = FACTS["outcome"], look: Expr = LOOK) -> Expr:
    """Units that an outcome of that name, not 0, was reported for without a decision, and when it happened."""
    known = _events(name, outcome, look)
    known = known.filter(known["decision_id"] == "", known["unit"] != "", known["rollout"] == known["of"])
    return known.select("unit", "at")


def _events(name: str, outcome: Expr, look: Expr) -> Expr:
    named = outcome.filter(outcome["name"] == name, outcome["value"] != 0)
    known = named.select("rollout", "decision_id", "unit", "at", "received_at")
    known = known.cross_join(look.select(of="rollout", now="now"))
    return known.filter(known["received_at"] <= known["now"])


def harmed(champion: str | int, told_: Expr = TOLD, loose_: Expr = LOOSE, touched_: Expr = TOUCHED) -> Expr:
    """Units with the arm that an outcome which is not 0 belongs to, each once.

    By decision id the arm is that of the decision; by unit it is a challenger if the unit had met one by then.
    """
    met = loose_.join(touched_.select("unit", "arm", "since"), "unit")
    met = met.filter(met["since"] <= met["at"])
    order = [counted(met["arm"] == champion), met["since"].desc(), met["arm"]]
    met = met.mutate(place=ibis.row_number().over(group_by=["unit", "at"], order_by=order))
    met = met.filter(met["place"] == 0).select("unit", "arm")
    return told_.select("unit", "arm").union(met).distinct()


def outcome_reach(champion: str, told_: Expr = TOLD, loose_: Expr = LOOSE, touched_: Expr = TOUCHED) -> Expr:
    """Per arm: units of `harmed`."""
    found = harmed(champion, told_, loose_, touched_)
    return found.group_by("arm").agg(units=found.count())


WAITING = 600.0
"""Seconds after its receipt for which an outcome may be ahead of its exposure; then it is an orphan till that comes."""


def orphans(exposed: Expr = FACTS["exposed"], outcome: Expr = FACTS["outcome"], look: Expr = LOOK) -> Expr:
    """Outcomes that name a decision nobody recorded: those received a while ago, and those that are merely early."""
    named = outcome.filter(outcome["decision_id"] != "")
    lost = named.anti_join(exposed.select("decision_id"), "decision_id").cross_join(look.select("now"))
    early = counted(lost["received_at"] > lost["now"] - WAITING).sum()
    return lost.aggregate(orphans=lost.count() - ibis.coalesce(early, 0), early=ibis.coalesce(early, 0))
