"""Label bets of many lines at once: their rows laid end to end, so that a call to NumPy serves a thousand lines.

A line is one set of `RateMoments`; each is asked about a null of its own. What is bet is defined in `labels`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from crossfade.judge.infer import labels
from crossfade.judge.moments import Floats, Ints, RateMoments

AT_ONCE = 8000
"""Rows taken at once: as many as keep the arrays between two operations inside the processor's cache."""

Bools = npt.NDArray[np.bool_]

Totals = tuple[Floats, Floats, Floats, Floats]
"""(n_a, k_a, n_b, k_b), or the log factors that belong to them."""


class Laid(Protocol):
    """Many lines whose log e-values can be asked for."""

    def log_e(self, lines: Ints, slope: Floats, offset: Floats, sign: Floats, fine: Bools) -> Floats:
        """Log e-value of each of `lines` (which may come several times) against its null and on its side.

        Where `fine`, small differences get the stakes.
        """


class _Rows:
    """Rows that belong to lines, those of a line side by side."""

    def __init__(self, line: Ints, lines: int, **columns: Floats) -> None:
        self.counts = np.bincount(line, minlength=lines)
        self._starts = np.cumsum(self.counts) - self.counts
        self.columns = columns

    def of(self, lines: Ints) -> tuple[Ints, Ints]:
        """The rows of some lines, and where in `lines` the line of each row stands."""
        counts = self.counts[lines]
        place = np.repeat(np.arange(len(lines)), counts)
        first = np.cumsum(counts) - counts
        return self._starts[lines][place] + np.arange(len(place)) - first[place], place


def _summed(terms: Floats, place: Ints, lines: int) -> Floats:
    """Sums over the rows of each line, shape (deltas, rows) → (deltas, lines)."""
    total = np.zeros((len(terms), lines))
    if len(place):
        begins = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
        total[:, place[begins]] = np.add.reduceat(terms, begins, axis=1)
    return total


def _in_parts(
    sizes: Ints,
    lines: Ints,
    nulls: tuple[Floats, Floats, Floats, Bools],
    ask: Callable[[Ints, Floats, Floats, Floats, Bools], Floats],
) -> Floats:
    """`ask` of a part of the lines at a time, so many that their rows are about `AT_ONCE`."""
    rows = np.cumsum(sizes[lines])
    if not len(rows):
        return np.zeros(0)
    cuts = np.flatnonzero(np.diff(rows // AT_ONCE)) + 1
    parts = np.split(np.arange(len(lines)), cuts)
    slope, offset, sign, fine = nulls
    return np.concatenate([ask(lines[part], slope[part], offset[part], sign[part], fine[part]) for part in parts])


def _mixed(log_e: Floats, fine: Bools) -> Floats:
    """The mixture over stakes of log e-values of shape (deltas, lines)."""
    mixed = labels.mixture(log_e.T)
    if fine.any():
        mixed[fine] = labels.mixture(log_e[:, fine].T, labels.FINE)
    return mixed


def _concat(moments: Sequence[RateMoments]) -> tuple[Ints, dict[str, np.ndarray]]:
    """Informative rows of all lines: the line of each, and their columns."""
    line = np.repeat(np.arange(len(moments)), [len(one.share) for one in moments])
    names = ["step", "share", "n_a", "k_a", "n_b", "k_b"]
    columns = {name: np.concatenate([getattr(one, name) for one in moments]) for name in names}
    use = (columns["share"] > 0.0) & (columns["share"] < 1.0)
    if use.all():
        return line, columns
    return line[use], {name: column[use] for name, column in columns.items()}


class TrialLines:
    """Settled units: `labels.trials` of every line."""

    def __init__(self, moments: Sequence[RateMoments]) -> None:
        self._count = len(moments)
        line, rows = _concat(moments)
        self._known, self._first = self._epochs(line, rows)
        self._sizes = self._known.counts + len(labels.FIRST_RATES)

    def _epochs(self, line: Ints, rows: dict[str, np.ndarray]) -> tuple[_Rows, dict[str, Floats]]:
        """Rows gathered into epochs, each with the base rate known when it began; and each line's first epoch."""
        share = rows["share"]
        begins = np.r_[True, line[1:] != line[:-1]] if len(line) else np.zeros(0, dtype=bool)
        of = np.cumsum(begins) - 1

        def before(counts: np.ndarray) -> np.ndarray:
            past = np.cumsum(counts) - counts
            return np.asarray(past - past[begins][of])

        seen = before(rows["n_a"] + rows["n_b"])
        level = np.floor(np.log1p(seen) / np.log(labels.EPOCH_GROWTH)).astype(np.int64)
        level[seen == 0] = -1
        changed = begins.copy()
        changed[1:] |= (level[1:] != level[:-1]) | (share[1:] != share[:-1])
        starts = np.flatnonzero(changed)
        first = {name: np.zeros(self._count) for name in ("n_a", "k_a", "n_b", "k_b")}
        first["share"] = np.full(self._count, 0.5)
        if not len(starts):
            none = np.zeros(0)
            return _Rows(line, self._count, share=none, base=none, n_a=none, k_a=none, n_b=none, k_b=none), first
        total = {name: np.add.reduceat(rows[name], starts).astype(np.float64) for name in ("n_a", "k_a", "n_b", "k_b")}
        past, line = seen[starts], line[starts]
        base = (before(rows["k_a"] + rows["k_b"])[starts] + 0.5) / (past + 1.0)
        known = past > 0
        units = total["n_a"] + total["n_b"]
        # As in `labels.gather`: without a prediction the first epoch is bet at the share that came.
        came = np.flatnonzero(~known & (total["n_a"] > 0) & (total["n_b"] > 0))
        for name, column in total.items():
            first[name][line[came]] = column[came]
        first["share"][line[came]] = total["n_b"][came] / units[came]
        columns = {name: column[known] for name, column in total.items()}
        return _Rows(line[known], self._count, share=share[starts][known], base=base[known], **columns), first

    def log_e(self, lines: Ints, slope: Floats, offset: Floats, sign: Floats, fine: Bools) -> Floats:
        """Log e-value of each of `lines` against its null."""
        return _in_parts(self._sizes, lines, (slope, offset, sign, fine), self._part)

    def _part(self, lines: Ints, slope: Floats, offset: Floats, sign: Floats, fine: Bools) -> Floats:
        row, place = self._known.of(lines)
        many, guesses = len(lines), len(labels.FIRST_RATES)
        # The guesses at each line's first base rate are rows like others, behind the known ones.
        where = np.r_[place, np.tile(np.arange(many), guesses)]

        def column(name: str) -> Floats:
            return np.concatenate([self._known.columns[name][row], np.tile(self._first[name][lines], guesses)])

        base = np.r_[self._known.columns["base"][row], np.repeat(labels.FIRST_RATES, many)]
        counts = (column("n_a"), column("k_a"), column("n_b"), column("k_b"))
        terms = _gathered(column("share"), base, slope[where], offset[where], sign[where], counts)
        log_e = _summed(terms[:, : len(row)], place, many)
        first = terms[:, len(row) :].reshape(len(terms), guesses, many)
        return _mixed(log_e + labels.log_mean_exp(first, axis=1), fine)


def _gathered(pi: Floats, base: Floats, a: Floats, m: Floats, sign: Floats, counts: Totals) -> Floats:
    """`labels.bets` and what they have won, shape (deltas, rows); the same algebra, a null a row."""
    n_a, k_a, n_b, k_b = counts
    tiny = labels.TINY
    low, high = np.maximum(tiny, (tiny - m) / a), np.minimum(1.0 - tiny, (1.0 - tiny - m) / a)
    x = np.clip((base - pi * m) / (1.0 - pi + pi * a), low, high)
    y = a * x + m
    up_b, down_b = (1.0 - y) / (pi * a), y / (pi * a)
    down_a, up_a = (1.0 - x) / (1.0 - pi), x / (1.0 - pi)
    odds = np.exp(labels.DELTAS[:, None] * sign)
    wanted = odds - 1.0
    linear = odds * (down_b + down_a)
    linear += up_b + up_a
    square = up_b * up_a - odds * (down_b * down_a)
    square *= 4.0 * wanted
    square += linear * linear
    np.sqrt(np.maximum(square, 0.0, out=square), out=square)
    stake = 2.0 * wanted / (linear + square)
    terms = k_a * np.log1p(-stake * down_a)
    terms += (n_a - k_a) * np.log1p(stake * up_a)
    terms += k_b * np.log1p(stake * up_b)
    terms += (n_b - k_b) * np.log1p(-stake * down_b)
    return np.asarray(terms)


STRAYS = 2.0
"""Standard errors from the planned share beyond which the share of the units that came counts, too."""


class EventLines:
    """First events: `labels.events` of every line.

    They are bet on at the planned share, which is exact where units come by plan. Where those of a step stray from it
    (a router that splits otherwise, records that were lost for one arm), each event is bet on at the share that came
    as well, and the weaker of both counts, so that too many units of an arm are not taken for too many events of it.
    That only takes away, and so costs no validity; within `STRAYS` what a wrong share can win is at most
    `STRAYS² / 2` times the rate, in logs.
    """

    def __init__(self, moments: Sequence[RateMoments]) -> None:
        found = [labels.events(one) for one in moments] if len(moments) < 3 else _events(moments)
        line = np.repeat(np.arange(len(moments)), [len(one.share) for one in found])
        names = ("share", "k_a", "k_b", "at_least", "at_most", "seen_a", "seen_b")
        columns = {name: np.concatenate([getattr(one, name) for one in found]) for name in names}
        self.found = found
        counted = np.repeat([one.seen_a is not None for one in moments], [len(one.share) for one in found])
        columns["came"], strays = _came(columns, counted)
        self._rows = _Rows(line, len(moments), **columns)
        self.strays = np.bincount(line, weights=strays, minlength=len(moments)) > 0.0
        """Lines with a step whose units stray from the plan."""

    def log_e(self, lines: Ints, slope: Floats, offset: Floats, sign: Floats, fine: Bools) -> Floats:
        """Log e-value of each of `lines` against its null."""
        given = (slope, offset, sign, fine)
        found = _in_parts(self._rows.counts + 1, lines, given, partial(self._part, "share"))
        again = np.flatnonzero(self.strays[lines])
        if len(again):
            some = slope[again], offset[again], sign[again], fine[again]
            other = _in_parts(self._rows.counts + 1, lines[again], some, partial(self._part, "came"))
            found[again] = np.minimum(found[again], other)
        return found

    def _part(self, which: str, lines: Ints, slope: Floats, offset: Floats, sign: Floats, fine: Bools) -> Floats:
        row, place = self._rows.of(lines)
        pi, k_a, k_b = (self._rows.columns[name][row] for name in (which, "k_a", "k_b"))
        a, m = slope[place], offset[place]
        null = pi * a / (pi * a + 1.0 - pi)
        bet = expit(logit(null) + sign[place] * labels.DELTAS[:, None])
        gain_b, gain_a = bet / null, (1.0 - bet) / (1.0 - null)
        paid = np.where(m >= 0, m * pi * (gain_b - 1.0), (-m / a) * (1.0 - pi) * (gain_a - 1.0))
        units = np.where(paid > 0, self._rows.columns["at_most"][row], self._rows.columns["at_least"][row])
        terms = units * np.log1p(-np.minimum(paid, 1.0 - labels.TINY))
        terms += k_b * np.log(gain_b)
        terms += k_a * np.log(gain_a)
        return _mixed(_summed(terms, place, len(lines)), fine)


def _came(columns: Mapping[str, Floats], counted: Bools) -> tuple[Floats, Floats]:
    """Of each row the share of the units that came where it strays from the plan, else the plan's; and whether."""
    pi, n_a, n_b = columns["share"], columns["seen_a"], columns["seen_b"]
    n = n_a + n_b
    strays = counted & (n_a > 0.0) & (n_b > 0.0) & (np.abs(n_b - pi * n) > STRAYS * np.sqrt(pi * (1.0 - pi) * n))
    return np.where(strays, n_b / np.maximum(n, 1.0), pi), strays.astype(np.float64)


def _events(moments: Sequence[RateMoments]) -> list[labels.Events]:
    """`labels.events` of many lines, in fewer steps; those that nobody counted by step are done one by one."""
    counted = [i for i, one in enumerate(moments) if one.seen_a is not None and one.seen_b is not None]
    if len(counted) < len(moments):
        return [labels.events(one) for one in moments]
    line, rows = _concat(moments)
    use = np.concatenate([(one.share > 0.0) & (one.share < 1.0) for one in moments])
    seen = [np.concatenate([getattr(one, name) for one in moments])[use] for name in ("seen_a", "seen_b")]
    keys, which = np.unique(2.0 * rows["step"] + np.round(rows["share"], 12), return_inverse=True)
    cell = line * len(keys) + which
    size = len(moments) * len(keys)
    total = [
        np.bincount(cell, weights=counts, minlength=size).astype(np.float64)
        for counts in (rows["k_a"], rows["k_b"], *seen)
    ]
    there = np.flatnonzero(np.bincount(cell, minlength=size))
    k_a, k_b, seen_a, seen_b = (counts[there] for counts in total)
    key = keys[there % len(keys)] if len(keys) else np.zeros(0)
    share, both = key - 2.0 * np.floor(key / 2.0), seen_a + seen_b
    cuts = np.searchsorted(there, np.arange(len(moments) + 1) * len(keys)).tolist()
    return [
        labels.Events(
            share=share[begin:end],
            k_a=k_a[begin:end],
            k_b=k_b[begin:end],
            at_least=both[begin:end],
            at_most=both[begin:end],
            seen_a=seen_a[begin:end],
            seen_b=seen_b[begin:end],
        )
        for begin, end in itertools.pairwise(cuts)
    ]
