"""Outcomes that replace the value of others: chains of them followed to their beginning, and the value that counts.

A correction names the `outcome_id` that it corrects, and has the same name and owner. It may itself be corrected; then
it says nothing any more. Of several that stand side by side the one received last counts. It replaces the value alone:
when the event happened, when it was received and about which item stay as the original says, so that a correction
never moves an outcome in or out of a window. Where the original is not known (yet), nothing is replaced.
"""

from __future__ import annotations

import ibis

from crossfade.judge.measure.tables import FACTS, LOOK, Expr, first

REPORTED: Expr = ibis.table(dict(FACTS["outcome"].schema().items()), name="reported")
"""Outcomes and corrections as they lie in the lake; `corrects` is empty, or null, where it was not said."""

OWNED = ("name", "decision_id", "rollout", "unit")
"""What a correction has to have in common with what it corrects."""

CHAINS: Expr = ibis.table(
    {
        "outcome_id": "string",
        "corrects": "string",
        "root": "string",
        **dict.fromkeys(OWNED, "string"),
        "value": "float64",
        "received_at": "float64",
    },
    name="chains",
)
"""Corrections, each with how far it was followed: an id that it corrects over others."""

REPLACED: Expr = ibis.table(dict(FACTS["outcome"].schema().items()), name="replaced")
"""`replaced`, kept by an engine that asks several questions of it."""


def events(reported: Expr = REPORTED) -> Expr:
    """Outcomes that correct nothing."""
    return reported.filter(reported["corrects"].isnull() | (reported["corrects"] == ""))


def chains(reported: Expr = REPORTED, look: Expr = LOOK) -> Expr:
    """The corrections that were received by the time of the look, not followed yet."""
    known = reported.filter(reported["corrects"] != "").cross_join(look.select("now"))
    known = known.filter(known["received_at"] <= known["now"])
    return known.mutate(root=known["corrects"]).select(*CHAINS.columns)


def _over(follow: Expr) -> Expr:
    return follow.select("root", *OWNED, at="outcome_id").rename(beyond="root")


def hop(follow: Expr = CHAINS) -> Expr:
    """The same, each followed as far again as it was: asked until nothing changes, any chain has been followed."""
    over = _over(follow)
    same = [follow["root"] == over["at"], *(follow[name] == over[name] for name in OWNED)]
    both = follow.left_join(over, same)
    kept = [follow[name] for name in CHAINS.columns if name != "root"]
    return both.select(*kept, root=ibis.coalesce(over["beyond"], follow["root"])).select(*CHAINS.columns)


def unfollowed(follow: Expr = CHAINS) -> Expr:
    """How many end at another correction: to be followed on, or turning in a circle."""
    over = _over(follow)
    left = follow.semi_join(over, [follow["root"] == over["at"], *(follow[name] == over[name] for name in OWNED)])
    return left.aggregate(open=left.count())


def replaced(reported: Expr = REPORTED, follow: Expr = CHAINS, look: Expr = LOOK) -> Expr:
    """The outcomes that were corrected, with the value that counts."""
    # A correction that was corrected has been replaced itself, whenever the two were received.
    other = follow.select(*OWNED, said="corrects")
    ends = follow.anti_join(
        other, [follow["outcome_id"] == other["said"], *(follow[name] == other[name] for name in OWNED)]
    )
    last = first(ends, by=["root", *OWNED], order=[ibis.desc("received_at"), ibis.desc("outcome_id")]).select(
        "root", "value", *OWNED
    )
    last = last.rename(told="value")
    known = events(reported).cross_join(look.select("now"))
    known = known.filter(known["received_at"] <= known["now"])
    both = known.join(last, [known["outcome_id"] == last["root"], *(known[name] == last[name] for name in OWNED)])
    rows = [known[name] for name in REPLACED.columns if name != "value"]
    return both.select(*rows, value=last["told"]).select(*REPLACED.columns)


def outcomes(reported: Expr = REPORTED, replaced_: Expr = REPLACED) -> Expr:
    """Outcomes with the values that count, and no corrections: the table `outcome` of every other question."""
    kept = events(reported).anti_join(replaced_.select("outcome_id"), "outcome_id")
    return kept.select(*REPORTED.columns).union(replaced_.select(*REPORTED.columns))
