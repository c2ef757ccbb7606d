"""Signed differences: both answers to one mirrored request, or one unit's vote between two interleaved rankings.

Everywhere +1 speaks against the challenger.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from crossfade.judge.measure.mutes import counting
from crossfade.judge.measure.tables import FACTS, LOOK, Expr, bucket_of, counted, during, first, latency_bin_of

SETTLE = 5.0
"""Seconds after a list was shown in which clicks on it are gathered into its unit's vote, unless a metric says."""


def signed(sample: Expr) -> Expr:
    """Counts of `d` > 0, < 0 and = 0 per arm and slice of `elapsed`."""
    timed = sample.mutate(bucket=bucket_of(sample["elapsed"]))
    return timed.group_by("arm", "bucket").agg(
        plus=counted(timed["d"] > 0).sum(),
        minus=counted(timed["d"] < 0).sum(),
        zero=counted(timed["d"] == 0).sum(),
    )


def disagreement(
    *, noise: bool, mutes: tuple[str, ...] = (), compared: Expr = FACTS["compared"], look: Expr = LOOK
) -> Expr:
    """Pairs in which both answered: +1 where the challenger differs, −1 where the champion differs from itself.

    Where the spec asks the champion twice (`noise`) only such pairs count: mixed with others, the champion's own
    noise would be charged to the challenger. Fields muted since a pair was recorded do not count in it either.
    """
    pairs = during(compared, look)
    pairs = pairs.filter(~pairs["champion_failed"], ~pairs["challenger_failed"])
    d = counted(counting(pairs["differs"], pairs["fields"], mutes, unknown=True))
    if noise:
        pairs = pairs.filter(pairs["noise_differs"].notnull())
        d = d - counted(counting(pairs["noise_differs"], pairs["noise_fields"], mutes, unknown=False))
    return signed(pairs.mutate(d=d))


def failures(compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Pairs by who failed: +1 the challenger alone, −1 the champion alone."""
    pairs = during(compared, look)
    return signed(pairs.mutate(d=counted(pairs["challenger_failed"]) - counted(pairs["champion_failed"])))


def _one_per_slice(compared: Expr, look: Expr) -> Expr:
    """One pair per unit and slice of time; a request without a unit stands for itself."""
    pairs = during(compared, look)
    who = ibis.cases((pairs["unit"] == "", pairs["decision_id"]), else_=pairs["unit"])
    sliced = pairs.mutate(bucket=bucket_of(pairs["elapsed"]), who=who)
    return first(sliced, by=["arm", "who", "bucket"], order=["elapsed", "decision_id"])


def latency_pairs(compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Latency histograms of both arms over the same requests; `side` is `champion` or `challenger`."""
    one = _one_per_slice(compared, look)
    sides = [
        one.select("arm", "bucket", side=ibis.literal(side), bin=latency_bin_of(one[f"{side}_ms"]))
        for side in ("champion", "challenger")
    ]
    both = sides[0].union(sides[1])
    return both.group_by("arm", "bucket", "side", "bin").agg(n=both.count())


def latency_means(compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """n, sums and squares of both arms' mean latency per unit over the same requests."""
    pairs = during(compared, look)
    who = ibis.cases((pairs["unit"] == "", pairs["decision_id"]), else_=pairs["unit"])
    named = pairs.mutate(who=who)
    per_unit = named.group_by("arm", "who").agg(a=named["champion_ms"].mean(), b=named["challenger_ms"].mean())
    return per_unit.group_by("arm").agg(
        n=per_unit.count(),
        sum_a=per_unit["a"].sum(),
        squares_a=(per_unit["a"] * per_unit["a"]).sum(),
        sum_b=per_unit["b"].sum(),
        squares_b=(per_unit["b"] * per_unit["b"]).sum(),
    )


def votes(
    credit: str,
    champion: str,
    challengers: Sequence[str],
    settle: float = SETTLE,
    shown: Expr = FACTS["shown"],
    outcome: Expr = FACTS["outcome"],
    look: Expr = LOOK,
) -> Expr:
    """One vote a unit: the sign of the credit of its first list that was clicked for a model within `settle` seconds.

    The vote is cast when that time is over and can never change afterwards, which is what continuous looking needs.
    Clicks on one item of a list count once; items that nobody owns give no credit; lists that are excluded, or shown
    to nobody by name, do not vote. Clicks are joined by decision id.
    """
    lists = during(shown, look)
    lists = lists.filter(lists["excluded"] == "", lists["unit"] != "")
    arm = ibis.cases(*((lists["owners"].contains(name), name) for name in challengers), else_="")
    lists = lists.mutate(arm=arm).select("decision_id", "unit", "arm", "items", "owners", "elapsed")
    wanted = outcome.filter(outcome["name"] == credit, outcome["decision_id"] != "", outcome["value"] != 0)
    clicks = wanted.select("decision_id", "item", "received_at").join(lists, "decision_id")
    clicks = clicks.cross_join(look.select("since", "now"))
    clicks = clicks.filter(
        clicks["received_at"] - clicks["since"] <= clicks["elapsed"] + settle, clicks["items"].contains(clicks["item"])
    )
    owned = clicks.mutate(owner=clicks["owners"][clicks["items"].index(clicks["item"])])
    owned = owned.filter(owned["arm"] != "", (owned["owner"] == champion) | (owned["owner"] == owned["arm"]))
    keys = ["decision_id", "unit", "arm", "elapsed", "since", "now"]
    once = owned.select(*keys, "item", "owner").distinct()
    worth = ibis.cases((once["owner"] == champion, 1), else_=-1).cast("int64")
    credited = once.group_by(*keys).agg(d=worth.sum())
    decided = first(credited, by=["unit"], order=["elapsed", "decision_id"])
    cast = decided.filter(decided["elapsed"] + settle <= decided["now"] - decided["since"])
    return signed(cast.mutate(elapsed=cast["elapsed"] + settle))
