"""One average of outcomes of one arm: its reference is learned from sums, then what comes is set beside it.

As for cells (`bets`), a block of now is set beside the block of the reference at the same hour. With n values then and
m now, whose mean is the same in both, m of the one and n of the other weigh alike, so that

    x = n / (n + m) · (y − c)  of now,      x = −m / (n + m) · (y − c)  of then

add up to 0 on average for every c that was named before. A bet wins `λ Σx − λ² (Σx² + 2v)/6`, which gains nothing on
average where v is the variance of Σx (Delyon 2009). Here v is learned from the other half of the reference, or is what
came if that is more, so that the level is nearly, and not exactly, what is promised: values have a finite variance, and
a unit says something once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from crossfade.facts import bin_of
from crossfade.judge.drift.bets import Starts
from crossfade.judge.drift.cells import Floats
from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.watch import ENOUGH_OUTCOMES, STARTS, Change

EFFECTS: Floats = np.array([0.02, 0.06, 0.2, 0.6])
"""Differences bet on, in standard deviations of one value, up and down."""

LEAST = 100
"""Values that the layout, the rest of the reference and what is set beside it must have: variances are estimated."""

PRIOR = 50.0
"""Values that the average of all hours counts for beside those of one."""


@dataclass(slots=True)
class Sums:
    """Values by their number, sum and sum of squares."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, other: Sums) -> None:
        """Take in other values."""
        self.n += other.n
        self.total += other.total
        self.squares += other.squares

    def about(self, centre: float) -> tuple[float, float]:
        """Sum, and sum of squares, of the distances from a centre."""
        return (
            self.total - self.n * centre,
            max(self.squares - 2.0 * centre * self.total + self.n * centre * centre, 0.0),
        )

    def counts(self) -> Counts:
        """The same as counts of a field, whose mean and deviation are all that is known."""
        n = int(self.n)
        bins = Counter({bin_of(self.total / n): n}) if n else Counter()
        return Counts(asked=n, n=n, total=self.total, squares=self.squares, bins=bins)


class Average:
    """Fed with slices in the order of time."""

    def __init__(self, field: str, arm: str, *, every: float, reference: float) -> None:
        self.field, self.arm = field, arm
        self._every = every
        self._blocks = max(int(reference / every) // 2, 1)
        self._learned: dict[int, Sums] = {}
        """The half of the reference that names centres and variance, block by block."""
        self._kept: dict[int, Sums] = {}
        """The half that blocks of now are set beside."""
        self._laid: Sums | None = None
        self._starts = Starts(2 * len(EFFECTS), life=self._blocks, every=max(1, self._blocks // STARTS))
        self._block, self._present = -1, Sums()
        self._late: deque[Sums] = deque()

    def take(self, at: float, values: Sums) -> None:
        """A slice that begins at `at`, after all before it."""
        slot = round(at / self._every)
        block = slot // 2
        if block < self._blocks:
            (self._learned if slot % 2 == 0 else self._kept).setdefault(block, Sums()).add(values)
            return
        if block != self._block:
            self._close()
            self._block = block
        self._present.add(values)

    def _close(self) -> None:
        """The present block is whole: bet on it."""
        if self._laid is None:
            self._laid = _together(self._learned.values())
        present, self._present = self._present, Sums()
        if not present.n:
            return
        place = (self._block - self._blocks) % self._blocks
        then = self._kept.get(place)
        if then is not None and then.n and self._measurable(self._laid):
            self._starts.open(self._block - self._blocks)
            self._starts.won(self._bet(self._laid, place, then, present))
        self._late.append(present)
        while sum(one.n for one in self._late) - self._late[0].n >= ENOUGH_OUTCOMES:
            self._late.popleft()

    def _measurable(self, laid: Sums) -> bool:
        return min(laid.n, sum(one.n for one in self._kept.values())) >= LEAST and _sd(laid) > 0.0

    def _bet(self, laid: Sums, place: int, then: Sums, now: Sums) -> Floats:
        here = self._learned.get(place, Sums())
        centre = (PRIOR * laid.total / laid.n + here.total) / (PRIOR + here.n)
        sd = _sd(laid)
        of_now, of_then = then.n / (then.n + now.n), -now.n / (then.n + now.n)
        (sum_now, squares_now), (sum_then, squares_then) = now.about(centre), then.about(centre)
        leaning = (of_now * sum_now + of_then * sum_then) / sd
        came = (of_now**2 * squares_now + of_then**2 * squares_then) / sd**2
        expected = then.n * now.n / (then.n + now.n)
        spent = (came + 2.0 * max(came, expected)) / 6.0 * EFFECTS**2
        return np.concatenate([leaning * EFFECTS - spent, -leaning * EFFECTS - spent])

    def change(self) -> Change:
        """What is known now, but for the block under way."""
        then = _together([*self._learned.values(), *self._kept.values()])
        now = _together(self._late)
        refuse = ""
        if self._laid is None:
            refuse = "the reference is not complete yet"
        elif not self._measurable(self._laid):
            refuse = f"the reference has {int(then.n)} values, too few (or too alike) to compare with"
        elif now.n < LEAST:
            refuse = "too few values since the reference"
        if refuse:
            return Change(side="outcome", field=self.field, arm=self.arm, measured=False, reason=refuse)
        moved = (now.total / now.n - then.total / then.n) / _sd(then)
        chance = 1.0 / then.n + 1.0 / now.n
        return Change(
            side="outcome",
            field=self.field,
            arm=self.arm,
            measured=True,
            log_e=self._starts.log_e,
            since=2 * (self._blocks + (self._starts.begun or 0)) * self._every,
            then=then.counts(),
            now=now.counts(),
            # What the index of population stability is where normal values move by so many deviations.
            psi=moved * moved,
            psi_chance=chance,
            psi_noise=sqrt(2.0) * chance,
        )


def _together(parts: Iterable[Sums]) -> Sums:
    found = Sums()
    for one in parts:
        found.add(one)
    return found


def _sd(values: Sums) -> float:
    if values.n < 2.0:
        return 0.0
    spread: float = (values.squares - values.total * values.total / values.n) / (values.n - 1.0)
    return sqrt(max(spread, 0.0))
