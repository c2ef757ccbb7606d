"""Signed differences of both answers to one mirrored request.

Everywhere +1 speaks against the challenger.
"""

from __future__ import annotations

import ibis

from crossfade.judge.measure.mutes import counting
from crossfade.judge.measure.spread import pairs_signed
from crossfade.judge.measure.tables import FACTS, LOOK, Expr, bucket_of, counted, during, first, latency_bin_of


def signed(sample: Expr) -> Expr:
    """Counts of `d` > 0, < 0 and = 0 per arm and slice of `elapsed`."""
    timed = sample.mutate(bucket=bucket_of(sample["elapsed"]))
    return timed.group_by("arm", "bucket").agg(
        plus=counted(timed["d"] > 0).sum(),
        minus=counted(timed["d"] < 0).sum(),
        zero=counted(timed["d"] == 0).sum(),
    )


def disagreement(
    fields: int = 0,
    *,
    noise: bool,
    mutes: tuple[str, ...] = (),
    compared: Expr = FACTS["compared"],
    look: Expr = LOOK,
) -> Expr:
    """Pairs in which both answered: +1 where the challenger differs, −1 where the champion differs from itself.

    Where the spec asks the champion twice (`noise`) only such pairs count: mixed with others, the champion's own
    noise would be charged to the challenger. Fields muted since a pair was recorded do not count in it either.
    A pair of which a field was not measured is left out: nobody knows whether it differs. With `fields`, per segment of
    so many.
    """
    pairs = during(compared, look)
    pairs = pairs.filter(~pairs["champion_failed"], ~pairs["challenger_failed"])
    pairs = pairs.filter(ibis.coalesce(pairs["unmeasured"].length(), 0) == 0)
    d = counted(counting(pairs["differs"], pairs["fields"], mutes, unknown=True))
    if noise:
        pairs = pairs.filter(pairs["noise_differs"].notnull())
        d = d - counted(counting(pairs["noise_differs"], pairs["noise_fields"], mutes, unknown=False))
    sample = pairs.mutate(d=d)
    return pairs_signed(sample, fields, compared, look) if fields else signed(sample)


def failures(fields: int = 0, *, compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Pairs by who failed: +1 the challenger alone, −1 the champion alone. With `fields`, per segment of so many."""
    pairs = during(compared, look)
    sample = pairs.mutate(d=counted(pairs["challenger_failed"]) - counted(pairs["champion_failed"]))
    return pairs_signed(sample, fields, compared, look) if fields else signed(sample)


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
    """Sums over units of both arms' mean latency over the same requests."""
    pairs = during(compared, look)
    return _means(pairs, pairs["champion_ms"], pairs["challenger_ms"])


def cost_means(compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Sums over units of what both arms' replies to the same requests cost on average; pairs in which one reply does
    not say so are only counted."""
    pairs = during(compared, look)
    return _means(pairs, pairs["champion_cost"], pairs["challenger_cost"])


def _means(pairs: Expr, a: Expr, b: Expr) -> Expr:
    """n, sums, squares and products of two numbers' means per unit; `missing` pairs lack one of them."""
    who = ibis.cases((pairs["unit"] == "", pairs["decision_id"]), else_=pairs["unit"])
    both = a.notnull() & b.notnull()
    named = pairs.mutate(who=who, a=ibis.cases((both, a)), b=ibis.cases((both, b)), missing=counted(~both))
    per_unit = named.group_by("arm", "who").agg(
        a=named["a"].mean(), b=named["b"].mean(), missing=named["missing"].sum()
    )
    return per_unit.group_by("arm").agg(
        n=per_unit["a"].count(),
        sum_a=ibis.coalesce(per_unit["a"].sum(), 0.0),
        squares_a=ibis.coalesce((per_unit["a"] * per_unit["a"]).sum(), 0.0),
        sum_b=ibis.coalesce(per_unit["b"].sum(), 0.0),
        squares_b=ibis.coalesce((per_unit["b"] * per_unit["b"]).sum(), 0.0),
        products=ibis.coalesce((per_unit["a"] * per_unit["b"]).sum(), 0.0),
        missing=per_unit["missing"].sum(),
    )
