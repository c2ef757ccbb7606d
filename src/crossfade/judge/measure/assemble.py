"""From the rows that an engine returns to moments of a pair of arms: pure array work, no statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.arms import OPEN
from crossfade.judge.moments import (
    BINS,
    Floats,
    Ints,
    MeanMoments,
    PairedMeans,
    PairedMoments,
    QuantileMoments,
    RateMoments,
    RatioMoments,
)

Rows = Mapping[str, npt.NDArray[Any]]
"""Columns by name, all of one length."""

PREFERENCE = "preference"
DISAGREEMENT = "disagreement"


def pair_share(weight: Floats, challengers: int) -> Floats:
    """Probability that a unit of the champion or of one challenger is the challenger's; each of k owns `weight`."""
    rest = np.clip(1.0 - challengers * weight, 0.0, 1.0)
    return np.asarray(weight / np.maximum(weight + rest, np.finfo(np.float64).tiny), dtype=np.float64)


def _sides(rows: Rows, champion: str, arm: str) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """The rows of the two arms, and which of them are the challenger's."""
    arms = rows["arm"]
    is_b = arms == arm
    keep = is_b | (arms == champion)
    if keep.all():
        return rows, np.asarray(is_b, dtype=np.bool_)
    return {name: column[keep] for name, column in rows.items()}, np.asarray(is_b[keep], dtype=np.bool_)


def _cells(rows: Rows, names: Sequence[str]) -> tuple[list[npt.NDArray[Any]], Ints]:
    """The distinct values of `names`, ordered by the first name first, and for each row its cell."""
    keys = [np.asarray(rows[name]) for name in names]
    # Each key has few values, so that counting places takes the place of sorting hundreds of thousands of rows.
    place, values = np.zeros(len(keys[0]), dtype=np.int64), []
    for key in keys:
        few, which = _ranks(key)
        values.append(few)
        if len(few) > 1:
            place = place * len(few) + which
    taken = np.zeros(math.prod(len(few) for few in values), dtype=bool)
    taken[place] = True
    cells = np.flatnonzero(taken)
    shape = tuple(len(few) for few in values)
    distinct = [few[at] for few, at in zip(values, np.unravel_index(cells, shape), strict=True)] if len(cells) else keys
    return distinct, (np.cumsum(taken) - 1)[place]


def _ranks(key: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The distinct values of a column in their order, and for each row which it has."""
    if not len(key):
        return key, np.zeros(0, dtype=np.int64)
    if key.dtype.kind == "i" and (low := int(key.min())) > -(1 << 20) and int(key.max()) < 1 << 20:
        there = np.zeros(int(key.max()) - low + 1, dtype=bool)
        there[key - low] = True
        return np.flatnonzero(there).astype(key.dtype) + low, (np.cumsum(there) - 1)[key - low]
    if (key == key[0]).all():
        return key[:1], np.zeros(len(key), dtype=np.int64)
    few = np.unique(key)
    return few, np.searchsorted(few, key)


def _into(cell: Ints, cells: int, values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> Ints:
    out = np.zeros(cells, dtype=np.int64)
    np.add.at(out, cell[where], values[where].astype(np.int64))
    return out


def _floats_into(cell: Ints, cells: int, values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> Floats:
    out = np.zeros(cells, dtype=np.float64)
    np.add.at(out, cell[where], values[where])
    return out


def rate(rows: Rows, champion: str, arm: str, challengers: int, *, settled: bool) -> RateMoments:
    """Rows of `response_rate` or `outcome_rate` as moments of one pair."""
    pair, is_b = _sides(rows, champion, arm)
    open_ = pair["bucket"] == OPEN
    immature = int(pair["n"][open_].sum())
    pair, is_b = {name: column[~open_] for name, column in pair.items()}, is_b[~open_]
    (bucket, step, weight), cell = _cells(pair, ("bucket", "step", "weight"))
    count = len(bucket)
    seen = pair.get("seen")
    return RateMoments(
        step=step.astype(np.int64),
        bucket=bucket.astype(np.int64),
        share=pair_share(weight.astype(np.float64), challengers),
        n_a=_into(cell, count, pair["n"], ~is_b),
        k_a=_into(cell, count, pair["k"], ~is_b),
        n_b=_into(cell, count, pair["n"], is_b),
        k_b=_into(cell, count, pair["k"], is_b),
        settled=settled,
        immature=immature,
        seen_a=None if seen is None else _into(cell, count, seen, ~is_b),
        seen_b=None if seen is None else _into(cell, count, seen, is_b),
        **_reports(rows, champion, arm),
    )


def mean(rows: Rows, champion: str, arm: str) -> MeanMoments:
    """Rows of `response_mean` or `outcome_mean` as moments of one pair, a row for each step and weight."""
    sums = {"sum": "total", "squares": "squares"}
    if "nonzero" in rows:
        sums["some"] = "nonzero"
    if "cov_sum" in rows:
        sums |= {name: name for name in ("cov_sum", "cov_squares", "cov_products")}
    if "cov_known" in rows:
        sums |= {"cov_known": "cov_known", "cov_met": "cov_met"}
    fields = _sums(rows, champion, arm, sums)
    if "nonzero" in rows:
        fields |= {f"some_{side}": fields[f"some_{side}"].astype(np.int64) for side in "ab"}
    fields = _average_for_unknown(fields) if "cov_known" in rows else fields
    return MeanMoments(**fields, **_reports(rows, champion, arm))


def _reports(rows: Rows, champion: str, arm: str) -> dict[str, Any]:
    """What was reported of each arm's units, those whose window is open too; nothing where no row says."""
    if "reports" not in rows:
        return {}
    sides = (("a", champion), ("b", arm))
    return {f"reports_{side}": int(rows["reports"][rows["arm"] == of].sum()) for side, of in sides}


def _average_for_unknown(fields: dict[str, Any]) -> dict[str, Any]:
    """A unit without a covariate says as much as the average one, of both arms together."""
    known = {side: fields.pop(f"cov_known_{side}") for side in "ab"}
    met = {side: fields.pop(f"cov_met_{side}") for side in "ab"}
    average = (fields["cov_sum_a"] + fields["cov_sum_b"]) / np.maximum(known["a"] + known["b"], 1.0)
    for side in "ab":
        unknown = fields[f"n_{side}"] - known[side]
        fields[f"cov_sum_{side}"] = fields[f"cov_sum_{side}"] + average * unknown
        fields[f"cov_squares_{side}"] = fields[f"cov_squares_{side}"] + average * average * unknown
        fields[f"cov_products_{side}"] = fields[f"cov_products_{side}"] + average * (fields[f"sum_{side}"] - met[side])
    fields["cov_known"] = (known["a"] + known["b"]).astype(np.int64)
    return fields


def slices(rows: Rows, champion: str, arm: str, challengers: int) -> MeanMoments:
    """Rows of `outcome_slices` as moments of one pair: of units whose window has closed."""
    closed = rows["bucket"] != OPEN
    pair, is_b = _sides({name: column[closed] for name, column in rows.items()}, champion, arm)
    (bucket, step, weight), cell = _cells(pair, ("bucket", "step", "weight"))
    count = len(bucket)
    fields: dict[str, Any] = {}
    for side, where in (("a", ~is_b), ("b", is_b)):
        fields[f"n_{side}"] = _into(cell, count, pair["n"], where)
        fields[f"sum_{side}"] = _floats_into(cell, count, pair["total"], where)
        fields[f"squares_{side}"] = _floats_into(cell, count, pair["squares"], where)
    share = pair_share(weight.astype(np.float64), challengers)
    return MeanMoments(step=step.astype(np.int64), bucket=bucket.astype(np.int64), share=share, **fields)


def ratio(rows: Rows, champion: str, arm: str) -> RatioMoments:
    """Rows of `outcome_ratio` as moments of one pair, a row for each step and weight."""
    names = ("sum_y", "sum_x", "squares_y", "squares_x", "products_xy")
    return RatioMoments(**_sums(rows, champion, arm, {name: name for name in names}))


def _sums(rows: Rows, champion: str, arm: str, sums: Mapping[str, str]) -> dict[str, Any]:
    """The fields of moments that are sums of columns over the units of each arm, and of how many units."""
    pair, is_b = _sides(rows, champion, arm)
    closed = pair["closed"].astype(bool)
    immature = int(pair["n"][~closed].sum())
    pair, is_b = {name: column[closed] for name, column in pair.items()}, is_b[closed]
    (step, _), cell = _cells(pair, ("step", "weight"))
    fields: dict[str, Any] = {"step": step.astype(np.int64), "immature": immature}
    for side, where in (("a", ~is_b), ("b", is_b)):
        fields[f"n_{side}"] = _into(cell, len(step), pair["n"], where)
        for name, column in sums.items():
            fields[f"{name}_{side}"] = _floats_into(cell, len(step), pair[column], where)
    return fields


def _histograms(cell: Ints, cells: int, rows: Rows, is_b: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Both arms' histograms, from the first bin that a value fell into to the last."""
    bins = rows["bin"].astype(np.int64)
    low, high = (int(bins.min()), int(bins.max()) + 1) if len(bins) else (0, BINS)
    fields: dict[str, Any] = {"low": low}
    for name, where in (("counts_a", ~is_b), ("counts_b", is_b)):
        # One flat index, which is many times quicker than a pair. An arm has one row a cell and bin: nothing is added.
        counts = np.zeros(cells * (high - low), dtype=np.int64)
        counts[cell[where] * (high - low) + bins[where] - low] = rows["n"][where]
        fields[name] = counts.reshape(cells, high - low)
    return fields


def quantile(rows: Rows, champion: str, arm: str, challengers: int) -> QuantileMoments:
    """Rows of `response_quantile` as moments of one pair."""
    pair, is_b = _sides(rows, champion, arm)
    (bucket, step, weight), cell = _cells(pair, ("bucket", "step", "weight"))
    return QuantileMoments(
        step=step.astype(np.int64),
        bucket=bucket.astype(np.int64),
        share=pair_share(weight.astype(np.float64), challengers),
        **_histograms(cell, len(bucket), pair, is_b),
    )


def outcome_quantile(rows: Rows, champion: str, arm: str, challengers: int) -> QuantileMoments:
    """Rows of `outcome_quantile` as moments of one pair: of settled units that something was reported for."""
    valued = rows["bin"] != OPEN
    return quantile({name: column[valued] for name, column in rows.items()}, champion, arm, challengers)


def _of_arm(rows: Rows, arm: str) -> Rows:
    keep = rows["arm"] == arm
    return {name: column[keep] for name, column in rows.items()}


def paired_quantile(rows: Rows, arm: str) -> QuantileMoments:
    """Rows of `latency_pairs` as moments of one challenger: both arms answered the same requests."""
    own = _of_arm(rows, arm)
    is_b = np.asarray(own["side"] == "challenger", dtype=np.bool_)
    (bucket,), cell = _cells(own, ("bucket",))
    count = len(bucket)
    return QuantileMoments(
        step=np.zeros(count, dtype=np.int64),
        bucket=bucket.astype(np.int64),
        share=np.full(count, 0.5),
        **_histograms(cell, count, own, is_b),
    )


def paired_mean(rows: Rows, arm: str) -> PairedMeans:
    """Rows of `latency_means` or `cost_means` as moments of one challenger."""
    own = _of_arm(rows, arm)
    sums = {name: float(own[name].sum()) for name in ("sum_a", "squares_a", "sum_b", "squares_b", "products")}
    return PairedMeans(n=int(own["n"].sum()), missing=int(own["missing"].sum()), **sums)


def paired(rows: Rows, arm: str) -> PairedMoments:
    """Rows of signed differences as moments of one challenger."""
    own = _of_arm(rows, arm)
    order = np.argsort(own["bucket"], kind="stable")
    return PairedMoments(
        bucket=own["bucket"][order].astype(np.int64),
        plus=own["plus"][order].astype(np.int64),
        minus=own["minus"][order].astype(np.int64),
        zero=own["zero"][order].astype(np.int64),
        total=own["total"][order].astype(np.int64) if "total" in own else None,
        squares=own["squares"][order].astype(np.int64) if "squares" in own else None,
    )
