"""Where to look: cells of one and of two features whose past speaks against the challenger more than everyone's does.

Nothing here is evidence. Whatever it proposes is tested on rows that came in afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from crossfade.judge.moments import Floats, Ints
from crossfade.judge.search.cells import Bools, Cell, Levels
from crossfade.judge.search.table import Compared, Paired, Signal

SUPPORT = 30
"""Rows that a cell needs to be proposed."""

EVENTS = 4
"""Events, or differing replies, that it needs."""

SHORTLIST = 48
"""Cells whose rows are looked at one by one, the most suspicious of those counted."""

SUSPICIOUS = -6.0
"""Score from which on a cell is worth a test: tests are cheap, and harm that is found late has been done."""

LARGEST = 0.5
"""Share of rows up to which a cell is a segment, and not everyone with exceptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A cell to be tested, and its score: half the square of the standard deviations by which its past lies out, less
    the logarithm of how many cells there were to choose from."""

    cell: Cell
    score: float
    signal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """What each row says: `harm` (mean 0 where a cell is like everyone) with its variance, of the rows that say much;
    all other rows say `quiet` each, with variance `spread`."""

    rows: Ints
    harm: Floats
    variance: Floats
    everyone: Ints
    quiet: float
    spread: float


def suspects(signal: Signal, levels: Sequence[Levels], known: float, most: int) -> list[Suspect]:
    """Up to `most` cells of rows of the past, by what was known then, the most suspicious first.

    After each the rows in it are taken out, so that the next is not the same harm seen from another side.
    """
    weights = _paired(signal) if isinstance(signal, Paired) else _compared(signal, known)
    if len(weights.rows) < EVENTS:
        return []
    pairs = list(combinations(range(len(levels)), 2))
    counted = [_one_way(weights, place, levels) for place in range(len(levels))]
    counted += [_two_way(weights, i, j, levels, len(pairs)) for i, j in pairs]
    scored = [one for found in counted for one in found if one[0] >= SUSPICIOUS]
    shortlist = sorted(scored, key=lambda one: -one[0])[:SHORTLIST]
    return _greedy(weights, shortlist, levels, most)


def _compared(signal: Compared, known: float) -> _Weights:
    """Of rows with an event: the challenger's say what is left of 1, the champion's what is gone of it.

    Where most units have the event, those without it are the fewer and say the same.
    """
    counts = signal.use & (signal.counts_from <= known)
    event = signal.event & (signal.happened <= known)
    sign = float(signal.question.harm_sign)
    if (event & counts).sum() > 0.5 * counts.sum():
        event, sign = ~event, -sign
    rows = np.flatnonzero(counts & event)
    share = signal.share[rows]
    harm = sign * (signal.is_b[rows] - share)
    variance = share * (1.0 - share)
    # Harm that everyone suffers is no segment's: what is left is what a cell suffers beyond it.
    common = max(float(harm.sum() / variance.sum()), 0.0) if len(rows) and variance.sum() > 0.0 else 0.0
    harm = harm - min(common, 1.0) * variance
    return _Weights(rows=rows, harm=harm, variance=variance, everyone=np.flatnonzero(counts), quiet=0.0, spread=0.0)


def _paired(signal: Paired) -> _Weights:
    use, difference = signal.use, signal.difference.astype(np.float64)
    everyone = np.flatnonzero(use)
    rows = np.flatnonzero(use & (difference != 0.0))
    limit = signal.question.limit.value if signal.question.limit is not None else 0.0
    mean = max(float(difference[everyone].mean()) if len(everyone) else 0.0, limit, 0.0)
    spread = max(mean * (1.0 - mean), 1.0 / max(len(everyone), 1))
    return _Weights(
        rows=rows, harm=difference[rows], variance=np.zeros(len(rows)), everyone=everyone, quiet=-mean, spread=spread
    )


_Found = tuple[float, tuple[tuple[int, int, int], ...], int]
"""A score, for each feature of the cell its place with first and last level, and how many such cells there are."""


def _sums(weights: _Weights, key: Ints, size: int) -> tuple[Floats, Floats, Floats]:
    """Sum, variance and rows with an event of each cell; `key` says which cell each row is in."""
    own = key[weights.rows]
    harm: Floats = np.bincount(own, weights=weights.harm, minlength=size).astype(np.float64)
    variance: Floats = np.bincount(own, weights=weights.variance, minlength=size).astype(np.float64)
    events = np.bincount(own, minlength=size).astype(np.float64)
    if weights.spread > 0.0:
        rows = np.bincount(key[weights.everyone], minlength=size)
        harm, variance = harm + weights.quiet * rows, variance + weights.spread * rows
    return harm, variance, events


def _scores(harm: Floats, variance: Floats, events: Floats, among: int) -> Floats:
    # Some slack in the variance, so that a lone event where few were expected is no sensation.
    score = 0.5 * harm * harm / (variance + 0.25) - np.log(among)
    return np.where((events >= EVENTS) & (harm > 0.0), score, -np.inf)


def _one_way(weights: _Weights, place: int, levels: Sequence[Levels]) -> list[_Found]:
    of = levels[place]
    size = len(of.conditions) + 1
    among = size * len(levels)
    sums = _sums(weights, of.level.astype(np.int64), size)
    found: list[_Found] = [
        (score, ((place, at, at),), among) for at, score in enumerate(_scores(*sums, among).tolist()) if at
    ]
    # Everything up to a cut and everything from it: a tail is one segment, not as many as it has levels.
    last = of.ordered
    for first, end in [(1, at) for at in range(2, last)] + [(at, last) for at in range(2, last)]:
        harm, variance, events = (np.array([one[first : end + 1].sum()]) for one in sums)
        found.append((float(_scores(harm, variance, events, among)[0]), ((place, first, end),), among))
    return found


def _two_way(weights: _Weights, i: int, j: int, levels: Sequence[Levels], tables: int) -> list[_Found]:
    width = len(levels[j].conditions) + 1
    size = (len(levels[i].conditions) + 1) * width
    key = levels[i].level.astype(np.int32) * np.int32(width) + levels[j].level
    scores = _scores(*_sums(weights, key, size), size * tables)
    best = np.argsort(-scores)[:SHORTLIST]
    return [
        (float(scores[at]), ((i, at // width, at // width), (j, at % width, at % width)), size * tables)
        for at in best.tolist()
        if at // width and at % width
    ]


def _greedy(weights: _Weights, shortlist: Sequence[_Found], levels: Sequence[Levels], most: int) -> list[Suspect]:
    masks = [_rows(places, levels) for _, places, _ in shortlist]
    most_rows = LARGEST * len(weights.everyone)
    supported = [place for place, mask in enumerate(masks) if SUPPORT <= int(mask[weights.everyone].sum()) <= most_rows]
    left = np.ones(len(levels[0].level) if levels else 0, dtype=bool)
    chosen: list[Suspect] = []
    while len(chosen) < most and supported:
        scores = [_score(weights, masks[place] & left, shortlist[place][2]) for place in supported]
        best = int(np.argmax(scores))
        if scores[best] < SUSPICIOUS:
            break
        place = supported.pop(best)
        chosen.append(Suspect(cell=_cell(shortlist[place][1], levels), score=scores[best]))
        left &= ~masks[place]
    return chosen


def _score(weights: _Weights, mask: Bools, among: int) -> float:
    own = mask[weights.rows]
    harm, variance = float(weights.harm[own].sum()), float(weights.variance[own].sum())
    if weights.spread > 0.0:
        rows = int(mask[weights.everyone].sum())
        harm, variance = harm + weights.quiet * rows, variance + weights.spread * rows
    return float(_scores(np.array([harm]), np.array([variance]), np.array([float(own.sum())]), among)[0])


def _rows(places: Sequence[tuple[int, int, int]], levels: Sequence[Levels]) -> Bools:
    found = np.ones(len(levels[0].level), dtype=bool)
    for place, first, last in places:
        level = levels[place].level
        found &= (level == first) if first == last else (level >= first) & (level <= last)
    return found


def _cell(places: Sequence[tuple[int, int, int]], levels: Sequence[Levels]) -> Cell:
    conditions = []
    for place, first, last in places:
        of = levels[place].conditions
        one = of[first - 1]
        conditions.append(one if first == last else replace(one, high=of[last - 1].high))
    return tuple(conditions)
