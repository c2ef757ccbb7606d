"""One field of one side: its reference is learned, then what comes is set beside it, block by block."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from crossfade.judge.drift import effects
from crossfade.judge.drift.bets import Bets
from crossfade.judge.drift.cells import Cells, Ints, laid_out
from crossfade.judge.drift.counts import Counts, Packed, packed

Side = Literal["input", "output", "outcome"]

LEAST = 20
"""Requests that the layout, and the rest of the reference, must have."""

ENOUGH = 100
"""Requests of late that are summed up as what it is like now."""

ENOUGH_OUTCOMES = 1000
"""The same of outcomes, which say only yes or no."""

STARTS = 48
"""Moments in a reference's length at which a change may have begun."""

MATERIAL = 0.1
"""Population stability index beyond chance from which on a change is worth a word."""

BROKEN = 0.1
"""Share of requests by which nulls, unseen categories or nested values must grow to be called broken."""

CONSTANT, VARIED = 0.99, 0.9
"""A field is constant where one value has so large a share, and was not where its share was at most this."""

Broken = Literal["", "missing", "constant", "unseen", "nested", "new"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is known of one field now. Absence of a number is None."""

    side: Side
    field: str
    arm: str
    """Empty for all arms together, as inputs are looked at."""
    measured: bool
    reason: str = ""
    """Why not measured."""
    log_e: float = 0.0
    since: float | None = None
    """From when on the evidence is strongest."""
    then: Counts | None = None
    now: Counts | None = None
    broken: Broken = ""
    """What is wrong with the feed, judged by plain counts."""
    broken_share: float | None = None
    psi: float | None = None
    psi_chance: float | None = None
    """What the index is on average where nothing has changed."""
    psi_noise: float | None = None
    """The standard deviation of that."""
    ks: float | None = None
    wasserstein: float | None = None
    """In standard deviations of the reference."""
    jensen_shannon: float | None = None

    @property
    def beyond(self) -> float:
        """The index beyond chance; 0 where it is not known."""
        return max(0.0, (self.psi or 0.0) - (self.psi_chance or 0.0))

    def changed(self, needed: float) -> bool:
        """Whether it has changed: proven at the e-value `needed` (a logarithm), and by enough to matter."""
        if not self.measured or self.log_e < needed:
            return False
        return self.side == "outcome" or bool(self.broken) or self.beyond >= MATERIAL


class Watch:
    """Fed with slices in the order of time."""

    def __init__(self, side: Side, field: str, arm: str, *, first: float, every: float, reference: float) -> None:
        self.side, self.field, self.arm = side, field, arm
        self._first, self._every = first, every
        self._blocks = max(int(reference / every) // 2, 1)
        self._learning = True
        self._learned, self._rest, self._reference = Counts(), Counts(), Counts()
        self._kept: dict[int, Packed] = {}
        """What the rest of the reference is, block by block, until a block of now is set beside it."""
        self._then: dict[int, Ints] = {}
        """The same in cells, once it was."""
        self._cells: Cells | None = None
        self._bets: Bets | None = None
        self._block = -1
        self._present = Counts()
        self._late: deque[Counts] = deque()

    @property
    def until(self) -> float:
        """When the reference ends."""
        return self._first + 2 * self._blocks * self._every

    def take(self, at: float, counts: Counts) -> None:
        """A slice that begins at `at`, after all before it."""
        slot = round((at - self._first) / self._every)
        if slot < 0:
            return
        block = slot // 2
        if block < self._blocks:
            if self._learning:
                # Every other slice lays out the cells, and the rest is kept to be compared with.
                if slot % 2 == 0:
                    self._learned.add(counts)
                else:
                    here = self._kept[block].unpacked() if block in self._kept else Counts()
                    here.add(counts)
                    self._kept[block] = packed(here)
                    self._rest.add(counts)
            return
        if self._learning:
            self._lay_out()
        if block != self._block:
            self.close()
            self._block = block
        self._present.add(counts)

    def close(self) -> None:
        """The present block is whole: bet on it."""
        if self._block < 0 or not self._present.asked:
            return
        if self._bets is not None and self._cells is not None:
            then = self._beside((self._block - self._blocks) % self._blocks, self._cells)
            if then is not None:
                self._bets.take(self._block - self._blocks, then, self._cells.of(self._present))
        self._late.append(self._present)
        self._present = Counts()
        enough = ENOUGH_OUTCOMES if self.side == "outcome" else ENOUGH
        while sum(counts.asked for counts in self._late) - self._late[0].asked >= enough:
            self._late.popleft()

    def _beside(self, block: int, cells: Cells) -> Ints | None:
        """The block of the reference in cells; None where there was nothing."""
        if block in self._kept:
            self._then[block] = cells.of(self._kept.pop(block).unpacked())
        return self._then.get(block)

    def _lay_out(self) -> None:
        self._learning = False
        self._reference.add(self._learned)
        self._reference.add(self._rest)
        if min(self._learned.asked, self._rest.asked) < LEAST:
            self._kept.clear()
            return
        cells = self._cells = laid_out(self._learned)
        every = max(1, self._blocks // STARTS)
        self._bets = Bets(cells.of(self._learned), cells.groups, life=self._blocks, every=every)

    def change(self) -> Change:
        """What is known now."""
        known = {"side": self.side, "field": self.field, "arm": self.arm}
        if self._learning:
            return Change(**known, measured=False, reason="the reference is not complete yet")  # type: ignore[arg-type]
        if self._bets is None or self._cells is None:
            few = f"the reference has {self._reference.asked} requests, too few to compare with"
            return Change(**known, measured=False, reason=few)  # type: ignore[arg-type]
        now = Counts()
        for counts in self._late:
            now.add(counts)
        if now.asked < LEAST:
            return Change(**known, measured=False, reason="too few requests since the reference")  # type: ignore[arg-type]
        return self._compared(self._bets, self._cells, now)

    def _compared(self, bets: Bets, cells: Cells, now: Counts) -> Change:
        then = self._reference
        # Only what the cells were not laid out by: names that the layout has never seen are as many there as ever.
        a, b = cells.of(self._rest), cells.of(now)
        mean, noise = effects.psi_by_chance(a, b)
        broken, share = _broken(then, now, a[cells.unseen] / a.sum(), b[cells.unseen] / b.sum())
        numbers = then.numbers > 0 and now.numbers > 0
        sd = then.sd
        distance = effects.wasserstein(then.points(), now.points()) if numbers else None
        begun = bets.begun or 0
        return Change(
            side=self.side,
            field=self.field,
            arm=self.arm,
            measured=True,
            log_e=bets.log_e,
            since=self.until + begun * 2 * self._every,
            then=then,
            now=now,
            broken=broken,
            broken_share=share,
            psi=effects.psi(a, b),
            psi_chance=mean,
            psi_noise=noise,
            ks=effects.kolmogorov_smirnov(then.points(), now.points()) if numbers else None,
            wasserstein=distance / sd if distance is not None and sd else None,
            jensen_shannon=effects.jensen_shannon(a, b),
        )


def _broken(then: Counts, now: Counts, unseen_then: float, unseen: float) -> tuple[Broken, float | None]:
    """What is wrong by plain counts, and with how large a share of requests now."""
    if now.missing_share - then.missing_share >= BROKEN:
        return "missing", now.missing_share
    if unseen - unseen_then >= BROKEN:
        return "unseen", unseen
    if then.nested / max(then.asked, 1) + BROKEN <= now.nested / now.asked:
        return "nested", now.nested / now.asked
    if now.top_share >= CONSTANT and then.top_share <= VARIED:
        return "constant", now.top_share
    return "", None
