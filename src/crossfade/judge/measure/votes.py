"""What units made of interleaved lists: one vote a unit between the rankings that its list was drawn from.

As everywhere, +1 speaks against the challenger.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.tables import FACTS, LOOK, Expr, bucket_of, counted, during, element, first
from crossfade.judge.moments import GRAIN
from crossfade.spec.model import Credit

SETTLE = 5.0
"""Seconds after a list was shown in which clicks on it are gathered into its unit's vote, unless a metric says."""

WHOLE_VOTES = ("team-draft", "balanced")
"""Methods whose votes are told by their sign alone: the draw that gives a list the opposite credit is as likely.

Other methods are fair on average and not by sign: a large credit shown seldom stands against a small one shown often.
Theirs is tested as a number."""

MILLIONTHS = 1_000_000
"""What `Shown.credits` are counted in."""

MOST_WEIGHT = 1e6
"""A reported value that weighs more than this weighs this much, so that whole numbers hold every sum."""


def weighs(credit: Sequence[Credit], name: Expr, value: Expr) -> Expr:
    """What each outcome weighs, in thousandths: whole numbers, whose sums do not depend on their order."""
    cases = []
    for one in credit:
        amount = ibis.least(ibis.greatest(value, 0.0) * one.weight, MOST_WEIGHT) if one.valued else one.weight
        thousandths = (ibis.literal(1000.0) * amount + 0.5).floor()
        cases.append((name == one.outcome, thousandths))
    return ibis.cases(*cases, else_=0.0).cast("int64")


def votes(
    credit: Sequence[Credit],
    champion: str,
    challengers: Sequence[str],
    *,
    whole: bool = True,
    settle: float = SETTLE,
    shown: Expr = FACTS["shown"],
    outcome: Expr = FACTS["outcome"],
    look: Expr = LOOK,
) -> Expr:
    """One vote a unit, of its first list that gave credit to anybody within `settle` seconds.

    The vote is cast when that time is over and does not change afterwards, which is what continuous looking needs,
    unless an outcome turns out to have been reported wrongly and is corrected.
    Clicks are joined by decision id. An outcome of one name counts once an item, with the largest value reported;
    items that nobody owns give no credit; lists that are excluded, or shown to nobody by name, do not vote.

    `whole` votes are signs. Others are the credit of all that was engaged with, over the most that it could have been,
    from −GRAIN to GRAIN, and their sums are told too.
    """
    lists = _lists(challengers, shown, look)
    if whole:
        lists = lists.filter(~lists["graded"])
    clicks = _engaged(credit, champion, settle, lists, outcome, look)
    keys = ["decision_id", "unit", "arm", "elapsed", "since", "now"]
    once = clicks.group_by(*keys, "name", "item").agg(weight=clicks["weight"].max(), worth=clicks["worth"].max())
    summed = once.group_by(*keys).agg(
        credit=(once["weight"] * once["worth"]).sum().cast("float64"),
        engaged=once["weight"].sum().cast("float64"),
        telling=counted((once["worth"] != 0) & (once["weight"] > 0)).sum(),
    )
    decided = first(summed.filter(summed["telling"] > 0), by=["unit"], order=["elapsed", "decision_id"])
    cast = decided.filter(decided["elapsed"] + settle <= decided["now"] - decided["since"])
    against = ibis.cases((cast["credit"] > 0.0, -1), (cast["credit"] < 0.0, 1), else_=0).cast("int64")
    size = (cast["credit"].abs() / (cast["engaged"] * MILLIONTHS) * float(GRAIN) + 0.5).floor().cast("int64")
    timed = cast.mutate(d=against if whole else against * size, bucket=bucket_of(cast["elapsed"] + settle))
    sums = {} if whole else {"total": timed["d"].sum(), "squares": (timed["d"] * timed["d"]).sum()}
    return timed.group_by("arm", "bucket").agg(
        plus=counted(timed["d"] > 0).sum(),
        minus=counted(timed["d"] < 0).sum(),
        zero=counted(timed["d"] == 0).sum(),
        **sums,
    )


def _lists(challengers: Sequence[str], shown: Expr, look: Expr) -> Expr:
    """The lists that may vote, each with its challenger."""
    lists = during(shown, look)
    lists = lists.filter(lists["excluded"] == "", lists["unit"] != "")
    # Facts of an earlier version do not say whose list it was; where there is only one challenger it was that one's.
    told = ibis.coalesce(lists["arm"], "")
    owned = [(lists["owners"].contains(name), name) for name in challengers]
    arm = ibis.cases((told != "", told), *owned, else_=challengers[0] if len(challengers) == 1 else "")
    lists = lists.mutate(arm=arm, graded=ibis.coalesce(lists["credits"].length(), 0) > 0)
    lists = lists.filter(lists["arm"].isin(list(challengers)))
    return lists.select("decision_id", "unit", "arm", "items", "owners", "credits", "graded", "elapsed")


def _engaged(credit: Sequence[Credit], champion: str, settle: float, lists: Expr, outcome: Expr, look: Expr) -> Expr:
    """What was engaged with in time: its weight, and what its slot is worth to the challenger in millionths."""
    named = outcome.filter(
        outcome["name"].isin([one.outcome for one in credit]), outcome["decision_id"] != "", outcome["value"] != 0
    )
    named = named.mutate(weight=weighs(credit, named["name"], named["value"]))
    clicks = named.select("decision_id", "name", "item", "weight", "received_at").join(lists, "decision_id")
    clicks = clicks.cross_join(look.select("since", "now"))
    clicks = clicks.filter(
        clicks["received_at"] - clicks["since"] <= clicks["elapsed"] + settle, clicks["items"].contains(clicks["item"])
    )
    # Spark wants places to be small numbers, and takes one beyond the end for a mistake.
    slot = clicks["items"].index(clicks["item"]).cast("int32")
    owner = element(clicks["owners"], slot)
    owned = ibis.cases((owner == champion, -MILLIONTHS), (owner == clicks["arm"], MILLIONTHS), else_=0).cast("int64")
    return clicks.mutate(worth=ibis.ifelse(clicks["graded"], element(clicks["credits"], slot), owned))
