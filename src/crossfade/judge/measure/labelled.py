"""Late labels: what came true, joined to what both models had predicted for the same mirrored request.

A pair is looked at once its window has closed, with the label received last inside it, so that what is said of it never
changes and quick labels do not count for more than slow ones.
"""

from __future__ import annotations

import math

import ibis
import numpy as np
import numpy.typing as npt

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Absent
from crossfade.judge.measure.own_scores import NOBODY, Scorer, own_scores
from crossfade.judge.measure.tables import FACTS, LOOK, Expr, during, first
from crossfade.judge.moments import Floats, ScoredMoments
from crossfade.spec.model import Kind, Metric, Rollout

CLIP = 0.001
"""Probabilities are kept this far from 0 and 1 in a log-loss, which would have no bound otherwise."""

DEPTH = 10
"""Ranks that count in an NDCG."""

Lists = npt.NDArray[np.object_]


def labels(
    name: str,
    window: float,
    *,
    by_unit: bool = False,
    compared: Expr = FACTS["compared"],
    outcome: Expr = FACTS["outcome"],
    look: Expr = LOOK,
) -> Expr:
    """A row for each pair whose window has closed and each item of it that a label was received for; one without any.

    Only pairs of which both predictions are recorded. `value` is that of the label received last. `by_unit`: labels
    name units, and each unit's first such pair stands for it.
    """
    key = "unit" if by_unit else "decision_id"
    pairs = during(compared, look)
    pairs = pairs.filter(~pairs["champion_failed"], ~pairs["challenger_failed"])
    pairs = pairs.filter(_said(pairs, "champion"), _said(pairs, "challenger"))
    pairs = pairs.cross_join(look.select("since", "now"))
    pairs = pairs.mutate(closed=pairs["elapsed"] + window <= pairs["now"] - pairs["since"])
    if by_unit:
        pairs = first(pairs.filter(pairs["unit"] != ""), by=["arm", "unit"], order=["elapsed", "decision_id"])
        known = outcome.join(look.select("rollout"), "rollout")
        known = known.filter(known["name"] == name, known["decision_id"] == "", known["unit"] != "")
    else:
        known = outcome.filter(outcome["name"] == name, outcome["decision_id"] != "")
    known = known.select(key, "item", "value", "received_at")
    own = pairs.filter(pairs["closed"]).select(key, "arm", "elapsed", "since")
    told = known.join(own, key)
    told = told.filter(told["received_at"] - told["since"] <= told["elapsed"] + window)
    last = [told["received_at"].desc(), told["value"]]
    ranked = told.mutate(place=ibis.row_number().over(group_by=[key, "arm", "item"], order_by=last))
    kept = ranked.filter(ranked["place"] == 0).select(key, "arm", "item", "value", labelled=ibis.literal(True))
    rows = pairs.left_join(kept, [key, "arm"])
    return rows.select(
        "arm",
        "decision_id",
        "elapsed",
        "closed",
        "champion_numbers",
        "challenger_numbers",
        "champion_names",
        "challenger_names",
        labelled=ibis.coalesce(rows["labelled"], False),
        value=ibis.coalesce(rows["value"], 0.0),
        item=ibis.coalesce(rows["item"], ""),
    )


def _said(pairs: Expr, side: str) -> Expr:
    numbers, names = (ibis.coalesce(pairs[f"{side}_{what}"].length(), 0) for what in ("numbers", "names"))
    return (numbers > 0) | (names > 0)


BY_UNIT = "labels name units: of each unit its first prediction in the stage counts"


def scored(rows: Rows, arm: str, rollout: Rollout, metric: Metric, scorer: Scorer = NOBODY) -> ScoredMoments | Absent:
    """Rows of `labels` as the scores of both models, one entry a labelled pair, in order of time."""
    own = {name: column[rows["arm"] == arm] for name, column in rows.items()}
    order = np.lexsort((own["item"].astype(str), own["decision_id"].astype(str), own["elapsed"]))
    own = {name: column[order] for name, column in own.items()}
    closed = own["closed"].astype(bool)
    starts = _starts(own["decision_id"])
    immature, due = int((~closed[starts]).sum()), int(closed[starts].sum())
    assumed: tuple[str, ...] = (BY_UNIT,) if metric.by_unit else ()
    if metric.kind is Kind.NDCG:
        a, b = _ranked(own, starts, closed)
        return ScoredMoments(truth=np.ones(len(a)), a=a, b=b, closed=due, immature=immature, assumptions=assumed)
    use = own["labelled"].astype(bool) & closed
    # A label with and one without an item are two labels of one pair: the first in order counts.
    first = np.zeros(len(use), dtype=bool)
    labelled = np.flatnonzero(use)
    first[labelled[_starts(own["decision_id"][labelled])]] = True
    if metric.absent is not None:
        silent = closed & ~own["labelled"].astype(bool)
        own["value"] = np.where(silent, metric.absent, own["value"])
        first |= silent
    found = {name: column[first] for name, column in own.items()}
    truth = found["value"].astype(np.float64)
    if metric.kind is Kind.SCORE:
        own_said = own_scores(metric.score, found, truth, scorer)
        if isinstance(own_said, str):
            return Absent(reason=f"{metric.name}: {own_said}")
        (a, b), assumed = own_said.scores, (*assumed, own_said.by)
    else:
        a, b = (_score(metric, rollout, found, side, truth) for side in ("champion", "challenger"))
    usable = np.isfinite(a) & np.isfinite(b)
    return ScoredMoments(
        truth=truth[usable],
        a=a[usable],
        b=b[usable],
        unlike=int((~usable).sum()),
        closed=due,
        immature=immature,
        assumptions=assumed,
    )


def _starts(decisions: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """Where each pair's rows begin."""
    if not len(decisions):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, decisions[1:] != decisions[:-1]]).astype(np.int64)


def _score(metric: Metric, rollout: Rollout, rows: Rows, side: str, truth: Floats) -> Floats:
    """What the metric says of each pair of one model; NaN where label and prediction do not fit each other."""
    numbers, names, items = rows[f"{side}_numbers"], rows[f"{side}_names"], rows["item"]
    predicted = rollout.prediction
    if predicted is not None and predicted.label:
        return _same_class(numbers, names, items, truth)
    if (predicted is not None and predicted.value) or all(len(one) == 1 for one in numbers):
        said = np.fromiter((one[0] if len(one) else np.nan for one in numbers), np.float64, len(numbers))
        return _of_one(metric.kind, said, truth)
    classes = _classes(numbers, names, items, truth)
    return np.fromiter(
        (_of_many(metric.kind, np.asarray(one), at) for one, at in zip(numbers, classes, strict=True)),
        np.float64,
        len(numbers),
    )


def _same_class(numbers: Lists, names: Lists, items: Lists, truth: Floats) -> Floats:
    """1 where the class predicted is the one that came true: by name where the label has an item, else by number."""
    right = np.full(len(truth), np.nan)
    for place, (number, name, item) in enumerate(zip(numbers, names, items, strict=True)):
        if item and len(name):
            right[place] = float(name[0] == item)
        elif not item and len(number):
            right[place] = float(number[0] == truth[place])
    return right


def _of_one(kind: Kind, said: Floats, truth: Floats) -> Floats:
    """One number a pair: a value, or the probability of 1."""
    match kind:
        case Kind.ACCURACY:
            return np.where(np.isfinite(said), (said >= 0.5) == (truth >= 0.5), np.nan).astype(np.float64)
        case Kind.LOG_LOSS:
            p = np.clip(said, CLIP, 1.0 - CLIP)
            return np.asarray(-np.where(truth >= 0.5, np.log(p), np.log1p(-p)))
        case Kind.BRIER:
            return np.asarray((np.clip(said, 0.0, 1.0) - (truth >= 0.5)) ** 2)
        case Kind.AUC:
            return said
    return np.asarray(said - truth)


def _classes(numbers: Lists, names: Lists, items: Lists, truth: Floats) -> list[int]:
    """Which of each pair's probabilities is that of the class that came true; −1 for none of them."""
    found = []
    for number, name, item, value in zip(numbers, names, items, truth, strict=True):
        at = (list(name).index(item) if item in name else -1) if item else int(value)
        found.append(at if 0 <= at < len(number) and (item or at == value) else -1)
    return found


def _of_many(kind: Kind, said: Floats, at: int) -> float:
    """A probability for each class."""
    if at < 0 or kind not in (Kind.ACCURACY, Kind.LOG_LOSS, Kind.BRIER):
        return float("nan")
    if kind is Kind.ACCURACY:
        return float(int(np.argmax(said)) == at)
    if kind is Kind.LOG_LOSS:
        return float(-np.log(np.clip(said[at], CLIP, 1.0)))
    came = np.zeros(len(said))
    came[at] = 1.0
    return float(((np.clip(said, 0.0, 1.0) - came) ** 2).sum() / 2.0)


def _ranked(own: Rows, starts: npt.NDArray[np.int64], closed: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The NDCG of both lists, for each pair with a label above 0: exponential gain, the best order of what was seen."""
    ends = np.r_[starts[1:], len(closed)]
    a: list[float] = []
    b: list[float] = []
    for start, end in zip(starts, ends, strict=True):
        if not closed[start] or not own["labelled"][start]:
            continue
        gains = dict(zip(own["item"][start:end].tolist(), own["value"][start:end].tolist(), strict=True))
        best = _gain(sorted(gains.values(), reverse=True))
        if best > 0.0:
            for scores, side in ((a, "champion_names"), (b, "challenger_names")):
                scores.append(_gain([gains.get(name, 0.0) for name in own[side][start]]) / best)
    return np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)


def _gain(values: list[float]) -> float:
    """Discounted cumulative gain of the first ranks."""
    first = enumerate(values[:DEPTH], start=2)
    return math.fsum((2.0 ** min(max(value, 0.0), 30.0) - 1.0) / math.log2(rank) for rank, value in first)
