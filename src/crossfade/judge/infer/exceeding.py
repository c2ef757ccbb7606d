"""How often values of many lines exceed cuts, and what bets on that have won: their histograms laid one upon another.

A line is one set of `QuantileMoments`; its rows are gathered into epochs, each with the champion's quantile as known
when it began.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfade.judge.infer import labels
from crossfade.judge.moments import Floats, Ints, QuantileMoments

EXCEEDANCES_FIRST = 2
"""Champion observations above the cut that its first estimate must rest on; nothing is bet before."""

EPOCH_GROWTH = 1.25
"""The cut is learnt anew whenever the observations have grown by this factor."""

AT_ONCE = 1_500_000
"""Cells of an arm's histograms that are taken at once."""


def needed(q: Floats) -> Floats:
    """Champion observations that the first estimate of a q-quantile must rest on."""
    return np.asarray(EXCEEDANCES_FIRST / np.minimum(q, 1.0 - q))


def in_parts(moments: Sequence[QuantileMoments]) -> Iterator[list[int]]:
    """Places of the lines, a part of them at a time: such as have about as many rows and bins."""
    shapes = [one.counts_a.shape for one in moments]
    part: list[int] = []
    width = 0
    for place in sorted(range(len(moments)), key=shapes.__getitem__):
        rows, wide = shapes[place]
        part.append(place)
        width = max(width, wide)
        if len(part) * (rows + 1) * width >= AT_ONCE:
            yield part
            part, width = [], 0
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class Below:
    """Histograms by how many values lie in each bin or below it; each is the difference of two rows of sums."""

    sums: Ints
    """Over this and all earlier rows, and over this and all lower bins."""
    first: Ints
    """The row of `sums` with all that came before each histogram."""
    last: Ints
    """The row that ends with it."""
    low: Ints
    """The bin of the first column, for each."""

    @property
    def whole(self) -> Ints:
        """How many values each has."""
        every = self.sums[:, -1]
        return np.asarray(every[self.last] - every[self.first])

    def of(self, which: Ints) -> Below:
        """Some of them."""
        return Below(self.sums, self.first[which], self.last[which], self.low[which])

    def _at(self, columns: Ints) -> Ints:
        width, flat = self.sums.shape[1], self.sums.ravel()
        return np.asarray(flat[self.last * width + columns] - flat[self.first * width + columns])

    def up_to(self, bins: Ints) -> Ints:
        """Of each how many lie up to a bin of its own."""
        at = np.minimum(bins - self.low, self.sums.shape[1] - 1)
        return np.where(at < 0, 0, self._at(np.maximum(at, 0)))

    def quantile(self, q: Floats) -> Ints:
        """The bin of each one's q-quantile, by halving; without meaning where it is empty."""
        many, width = len(self.first), self.sums.shape[1]
        wanted = q * self.whole
        low, high = np.zeros(many, dtype=np.int64), np.full(many, width - 1)
        for _ in range(width.bit_length()):
            middle = (low + high) >> 1
            short = self._at(middle) < wanted
            low, high = np.where(short, np.minimum(middle + 1, high), low), np.where(short, high, middle)
        return np.asarray(low + self.low)


class Exceeding:
    """The bets of some lines, each with its quantile; `paired` ones have both arms' values of the same requests."""

    def __init__(self, moments: Sequence[QuantileMoments], q: Floats, paired: npt.NDArray[np.bool_]) -> None:
        self.q, self._paired = q, paired
        lines = np.arange(len(moments))
        rows = np.array([len(one.share) for one in moments])
        line = np.repeat(lines, rows)
        share = np.concatenate([one.share for one in moments])
        use = (share > 0.0) & (share < 1.0)
        most = int(rows.max()) + 1
        # Where what came before each row ends; what comes with it ends one further on.
        row = (line * most + np.arange(len(line)) - (np.cumsum(rows) - rows)[line])[use]
        line, share = line[use], share[use]
        skipped = use if not use.all() else None
        a, b = (summed_up([getattr(one, name) for one in moments], skipped) for name in ("counts_a", "counts_b"))
        seen = a[:, -1] + b[:, -1]
        begun = _epochs(line, share, seen[row + 1] - seen[row])
        line, share, starts = line[begun], share[begun], row[begun]
        last = np.r_[line[1:] != line[:-1], True] if len(line) else np.zeros(0, dtype=bool)
        stops = np.where(last, line * most + most - 1, np.r_[starts[1:], 0][: len(starts)])
        low = np.array([one.low for one in moments], dtype=np.int64)
        self.total_a, self.total_b = (Below(sums, lines * most, lines * most + most - 1, low) for sums in (a, b))
        # Epochs with a cut to bet at, learnt from what their line had before.
        past = Below(a, line * most, starts, low[line])
        bet = np.flatnonzero(past.whole >= needed(q)[line])
        self.line = line[bet]
        self.betting = np.bincount(self.line, minlength=len(moments)) > 0
        self.cut = past.of(bet).quantile(q[self.line])
        self._b = Below(b, starts, stops, low[line]).of(bet)
        self._bet(Below(a, starts, stops, low[line]).of(bet), share[bet])

    def _bet(self, a: Below, share: Floats) -> None:
        """Keep what the champion's values have won, and what more one of the challenger's wins beyond its cut."""
        n_a = a.whole.astype(np.float64)
        over_a = n_a - a.up_to(self.cut)
        self._n_b = self._b.whole.astype(np.float64)
        new = np.r_[True, self.line[1:] != self.line[:-1]] if len(self.line) else np.zeros(0, dtype=bool)
        self._begins = np.flatnonzero(new)
        self._told = self.line[self._begins]
        self._fixed: dict[int, Floats] = {}
        self._more: dict[int, Floats] = {}
        for sign in (1, -1):
            hit_a, miss_a, hit_b, miss_b = self._factors(share, sign)
            self._fixed[sign] = self._summed(over_a * hit_a + (n_a - over_a) * miss_a + self._n_b * miss_b)
            self._more[sign] = hit_b - miss_b

    def _factors(self, share: Floats, sign: int) -> list[Floats]:
        """Log factors of one value by arm and whether it exceeds its cut, shape (deltas, rows)."""
        kinds, kind = np.unique(self.q + 2.0 * self._paired, return_inverse=True)
        # Shares lie strictly between 0 and 1, so that this names a share, a quantile and a pairing by one number.
        keys, at = np.unique(2.0 * kind[self.line] + share, return_inverse=True)
        which = np.floor(keys / 2.0).astype(np.int64)
        shares, paired = keys - 2.0 * which, kinds[which] >= 2.0
        odds = labels.bets(shares, 1.0 - kinds[which] % 2.0, np.ones(1), np.zeros(1), sign)
        hit_a, hit_b = labels.event_bets(shares, sign)
        together = paired[:, None]
        # Of pairs only exceedances are bet on.
        told = (
            np.where(together, hit_a, odds.hit_a[:, 0]),
            np.where(together, 0.0, odds.miss_a[:, 0]),
            np.where(together, hit_b, odds.hit_b[:, 0]),
            np.where(together, 0.0, odds.miss_b[:, 0]),
        )
        return [np.take(one.T, at, axis=1) for one in told]

    def _summed(self, terms: Floats) -> Floats:
        total = np.zeros((len(terms), len(self.q)))
        if len(self._begins):
            total[:, self._told] = np.add.reduceat(terms, self._begins, axis=1)
        return total

    def log_e(self, cuts_b: Ints, sign: int) -> Floats:
        """Log e-value of each line against "the challenger exceeds `cuts_b`, one an epoch, as often"."""
        over_b = self._n_b - self._b.up_to(cuts_b)
        return labels.mixture((self._fixed[sign] + self._summed(self._more[sign] * over_b)).T)

    def first_rejected(self, shifts: Ints, sign: int, threshold: Floats) -> tuple[Ints, Floats, Floats]:
        """Along each line's `shifts` of its cuts, shape (lines, nulls): the first that is rejected, or as many as there
        are where none is, and the evidence there and just before it.

        The evidence never falls on the way, because ever more (or fewer) values of the challenger exceed the cut.
        """
        lines, nulls = shifts.shape
        every = np.arange(lines)

        def found(at: Ints) -> Floats:
            return self.log_e(self.cut + shifts[every, at][self.line], sign)

        low, high = np.full(lines, -1), np.full(lines, nulls - 1)
        at_low, at_high = np.full(lines, np.nan), found(high)
        none = at_high < threshold
        while (high - low > 1).any():
            middle = np.where(high - low > 1, (low + high) // 2, high)
            evidence = found(middle)
            rejected = evidence >= threshold
            move = high - low > 1
            at_high, high = np.where(move & rejected, evidence, at_high), np.where(move & rejected, middle, high)
            at_low, low = np.where(move & ~rejected, evidence, at_low), np.where(move & ~rejected, middle, low)
        return np.where(none, nulls, high), at_high, at_low


def summed_up(counts: Sequence[Ints], use: npt.NDArray[np.bool_] | None = None) -> Ints:
    """For `Below`: sums over the rows of each line and over bins; for each line as many rows as any has, and one of
    zeros before them. Of rows that are not to be used nothing is counted."""
    most, width = max(len(one) for one in counts) + 1, max(one.shape[1] for one in counts)
    sums = np.zeros((len(counts), most, width), dtype=np.int64)
    begin = 0
    for rows, one in zip(sums, counts, strict=True):
        rows[1 : len(one) + 1, : one.shape[1]] = one
        if use is not None:
            rows[1 : len(one) + 1][~use[begin : begin + len(one)]] = 0
            begin += len(one)
    # Many short sums side by side are taken far quicker than one long sum after the other.
    for row in range(1, most):
        sums[:, row] += sums[:, row - 1]
    return np.cumsum(sums, axis=2, out=sums).reshape(-1, width)


def _epochs(line: Ints, share: Floats, seen: Ints) -> Ints:
    """Rows that begin an epoch of a line, as `labels.epoch_starts` has them for one."""
    if not len(line):
        return np.zeros(0, dtype=np.int64)
    begins = np.r_[True, line[1:] != line[:-1]]
    before = np.cumsum(seen) - seen
    before = before - before[begins][np.cumsum(begins) - 1]
    level = np.floor(np.log1p(before) / math.log(EPOCH_GROWTH)).astype(np.int64)
    level[before == 0] = -1
    begins[1:] |= (level[1:] != level[:-1]) | (share[1:] != share[:-1])
    return np.flatnonzero(begins)
