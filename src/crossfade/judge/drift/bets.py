"""An anytime-valid test of one field: does what comes now fall into the cells as the reference does?

Time goes by blocks. Each block of now is set beside a block of the reference: the same hour, where the reference is
whole days, so that a daily cycle is no drift. Under the null both are drawn alike, by shares p that may be another in
every block. A bet names, before the block is looked at, shares a for the reference and b for now; with r requests of
the reference and m of now in the block and z = (r·a + m·b)/(r + m),

    E = Π_reference a/z · Π_now b/z  has  E[E] ≤ (Σ p·a/z)^r (Σ p·b/z)^m ≤ ((r·Σ p·a/z + m·Σ p·b/z)/(r + m))^(r + m) = 1

by the inequality of the means (Turner, Ly and Grünwald's test of two samples, for cells). The product over blocks is an
e-process, and so is the average over bets and, since nobody knows when a change begins, over the blocks at which to
begin: start j weighs 1/(j(j + 1)), which adds up to one over a whole life. A start ends where the reference is used up.
Requests are taken to be independent; a unit that comes back says less than it counts.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy.special import ndtri

from crossfade.judge.drift.cells import Floats, Ints

SHIFTS = (-1.5, -0.7, -0.3, 0.3, 0.7, 1.5)
"""How far numbers may move, in about standard deviations."""

SPREADS = (-0.5, 0.3)
"""How they may draw together or apart."""

RISES = (0.03, 0.3)
"""Share of all requests by which one cell may gain."""

FALL = 0.2
"""What may be left of a cell."""

PRIOR = 50.0
"""Requests that the layout's own shares count for beside those of late."""

FADING = 0.9
"""What a block weighs one block later in the shares of late, so that they follow the day."""

LEARNING = (20.0, 200.0)
"""Requests that no change counts for in bets on what now has been like so far."""


class Starts:
    """What bets have won, averaged over them and over the blocks at which they may begin."""

    def __init__(self, bets: int, *, life: int, every: int) -> None:
        """A start lives for `life` blocks, and one begins at each `every` blocks."""
        self._life, self._every = life, every
        self._sum: Floats = np.zeros(bets)
        self._starts: deque[tuple[int, Floats]] = deque()

    def open(self, block: int) -> None:
        """Begin anew where it is time to, and end what has used up the reference. Numbers of blocks only grow."""
        if not self._starts or block // self._every > self._starts[-1][0] // self._every:
            self._starts.append((block, self._sum.copy()))
        while self._starts[0][0] <= block - self._life:
            self._starts.popleft()

    def won(self, more: Floats) -> None:
        """What each bet has won in this block, in logs."""
        self._sum += more

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value now; 0 before the first block."""
        if not self._starts:
            return 0.0
        weighed = self._by_start()
        most = weighed.max()
        return float(most + np.log(np.exp(weighed - most).sum()))

    @property
    def begun(self) -> int | None:
        """The block from which on the evidence is strongest; None before the first."""
        return self._starts[int(np.argmax(self._by_start()))][0] if self._starts else None

    def _by_start(self) -> Floats:
        grown = self._sum - np.array([sums for _, sums in self._starts])
        number = np.array([block // self._every + 1 for block, _ in self._starts], dtype=float)
        most = grown.max(axis=1)
        mean = most + np.log(np.exp(grown - most[:, None]).mean(axis=1))
        weighed: Floats = mean - np.log(number * (number + 1.0))
        return weighed


class Bets(Starts):
    """The e-process of one field."""

    def __init__(self, laid: Ints, groups: int, *, life: int, every: int) -> None:
        """`laid` counts the requests that the layout was made of."""
        k = len(laid)
        self._base: Floats = (laid + 0.5) / (laid.sum() + k / 2.0)
        self._then: Floats = np.zeros(k)
        self._now: Floats = np.zeros(k)
        self._tilts = _tilts(self._base, groups)
        self._risen = np.concatenate([rise * np.eye(k) for rise in RISES])
        self._kept = np.repeat([1.0 - rise for rise in RISES], k)[:, None]
        super().__init__(len(self._tilts) + len(RISES) * k + len(LEARNING), life=life, every=every)

    def take(self, block: int, then: Ints, now: Ints) -> None:
        """Block number `block` of now, and the one of the reference beside it. Numbers only grow."""
        self.open(block)
        r, m = float(then.sum()), float(now.sum())
        if r > 0.0 and m > 0.0:
            a = self._shares()
            b = self._bets(a)
            z = (r * a + m * b) / (r + m)
            self.won(np.log(a) @ then + np.log(b) @ now - np.log(z) @ (then + now))
        self._then = FADING * self._then + then
        self._now = FADING * self._now + now

    def _shares(self) -> Floats:
        shares: Floats = (PRIOR * self._base + self._then) / (PRIOR + self._then.sum())
        return shares

    def _bets(self, a: Floats) -> Floats:
        """What now may be like, a row a bet, all positive and summing to one."""
        tilted = a * self._tilts
        tilted /= tilted.sum(axis=1, keepdims=True)
        seen = self._now.sum()
        learned = [((each * a + self._now) / (each + seen))[None, :] for each in LEARNING]
        return np.concatenate([tilted, self._kept * a + self._risen, *learned])


def _tilts(base: Floats, groups: int) -> Floats:
    """By what each cell's share may change, a row a bet: numbers moved or spread, or one cell nearly empty."""
    rows = []
    if groups > 1:
        held = base[:groups] / base[:groups].sum()
        scores = np.zeros(len(base))
        scores[:groups] = ndtri(np.clip(np.cumsum(held) - held / 2.0, 1e-6, 1.0 - 1e-6))
        rows += [np.exp(shift * scores) for shift in SHIFTS]
        squares = np.where(np.arange(len(base)) < groups, scores**2 - 1.0, 0.0)
        rows += [np.exp(spread * squares) for spread in SPREADS]
    fallen = np.ones((len(base), len(base)))
    np.fill_diagonal(fallen, FALL)
    return np.concatenate([np.array(rows).reshape(-1, len(base)), fallen])
