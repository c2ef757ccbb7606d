"""Drift: alarms where nothing has changed, however often one looks; a daily cycle; and how soon a shift is found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import log
from statistics import median

import numpy as np
import pytest
from scipy.stats import norm

from crossfade.judge.drift.bets import Bets
from crossfade.judge.drift.causes import causes
from crossfade.judge.drift.cells import Floats, Ints
from crossfade.judge.drift.family import Family
from crossfade.judge.drift.watch import Watch
from crossfade.rim.sketching import _Lately
from judge.drift.slices import counts, sketched

from .worlds import holds

ALPHA = 0.05
EIGHTHS = np.full(8, 1.0 / 8.0)
LIFE = 60


def cells(shares: Floats) -> Floats:
    """Eight groups of numbers, and the four cells that none of them falls into."""
    return np.concatenate([shares, np.zeros(4)])


def normal(shift: float) -> Floats:
    """Shares of the groups that are equally full at no shift, once numbers have moved by so many deviations."""
    ends = norm.ppf(np.linspace(0.0, 1.0, 9))
    return np.diff(norm.cdf(ends - shift))


def alarms(rng: np.random.Generator, runs: int, blocks: int, each: int, daily: float) -> int:
    """In how many runs 1/alpha is ever reached; looked at after every block."""
    count = 0
    for _ in range(runs):
        shares = [cells(normal(daily * np.sin(2.0 * np.pi * block / LIFE))) for block in range(LIFE)]
        laid = rng.multinomial(each * LIFE, np.mean(shares, axis=0))
        then: list[Ints] = [rng.multinomial(rng.poisson(each), one) for one in shares]
        bets = Bets(laid, 8, life=LIFE, every=2)
        for block in range(blocks):
            bets.take(block, then[block % LIFE], rng.multinomial(rng.poisson(each), shares[block % LIFE]))
            if bets.log_e >= log(1.0 / ALPHA):
                count += 1
                break
    return count


@pytest.mark.parametrize(("each", "daily"), [(3, 0.0), (20, 1.5)])
def test_nothing_new_is_seldom_called_drift(each: int, daily: float) -> None:
    """Over two lengths of the reference: small samples, large ones, and a cycle as large as it is a drift."""
    count = alarms(np.random.default_rng(11), 40, 2 * LIFE, each, daily)
    assert holds(count, 40, ALPHA), count


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("each", "daily"), [(2, 0.0), (20, 0.0), (200, 0.0), (20, 1.5)])
def test_nothing_new_is_seldom_called_drift_at_full_size(each: int, daily: float) -> None:
    count = alarms(np.random.default_rng(12), 1000, 5 * LIFE, each, daily)
    print(f"{each} a block, cycle of {daily} deviations: {count} of 1000 alarmed")
    assert holds(count, 1000, ALPHA), count


def found_after(rng: np.random.Generator, shift: float, each: int) -> float:
    """Requests after the change until a family of twenty fields would call it drift."""
    shares = cells(EIGHTHS)
    bets = Bets(rng.multinomial(each * LIFE, shares), 8, life=LIFE, every=1)
    for block in range(4 * LIFE):
        then = rng.multinomial(each, shares)
        bets.take(block, then, rng.multinomial(each, cells(normal(shift if block >= LIFE else 0.0))))
        if block >= LIFE and bets.log_e >= log(20.0 / ALPHA):
            return (block - LIFE + 1) * each
    return np.inf


def blamed(rng: np.random.Generator, *, both: float = 0.0, worse: float = 0.0, spread: float = 1.4) -> set[str]:
    """The arms that are ever named, looked at every five seconds, when both move at once, or v2 alone does.

    What v2 predicts varies `spread` times as much, so that the same move is harder to see in it.
    """
    family, named = Family(every=1.0, reference=60.0), set()
    for second in range(150):
        late = second >= 80
        for arm in ("v1", "v2"):
            moved = both + (worse if arm == "v2" else 0.0) if late else 0.0
            p = rng.normal(moved, 1.0 if arm == "v1" else spread, size=6)
            facts = sketched({"x": rng.normal(size=6)}, at=float(second), arm=arm, side="input")
            family.take(float(second), [*facts, *sketched({"p": p}, at=float(second), arm=arm, side="output")])
        if second % 5 == 4:
            named |= {finding.arm for finding in causes(family.changes(), ALPHA)}
    return named - {""}


def test_what_meets_both_arms_names_none_and_what_meets_one_names_it() -> None:
    """Both move in the same second, but one is found first: until the other is known, nobody is named."""
    assert [blamed(np.random.default_rng([7, run]), both=1.5) for run in range(6)] == [set()] * 6
    assert [blamed(np.random.default_rng([9, run]), both=1.5, spread=3.0) for run in range(6)] == [set()] * 6
    assert [blamed(np.random.default_rng([8, run]), worse=1.5) for run in range(3)] == [{"v2"}] * 3


@pytest.mark.parametrize(("shift", "at_most"), [(0.5, 450), (1.0, 150)])
def test_a_shift_is_found_soon(shift: float, at_most: int) -> None:
    """By the median run, a whole reference after the watch began; conformal martingales need 105 for one field."""
    rng = np.random.default_rng(5)
    assert median(found_after(rng, shift, 10) for _ in range(15)) <= at_most


def test_a_daily_cycle_is_the_worlds_where_the_reference_knows_half_of_it_and_nobodys_where_it_knows_all() -> None:
    """Both arms follow it. A reference of half a day meets what it has never seen, which is information, never harm."""
    rng = np.random.default_rng(6)
    said: dict[float, set[str]] = {60.0: set(), 120.0: set()}
    for reference, causes_said in said.items():
        family = Family(every=1.0, reference=reference)
        for second in range(360):
            at, wave = float(second), 1.5 * np.sin(2.0 * np.pi * second / 120.0)
            for arm, gain in (("v1", 1.0), ("v2", 1.3)):
                x = rng.normal(wave, 1.0, size=6)
                p = gain * x + rng.normal(size=6) * 0.2
                facts = sketched({"x": x}, at=at, arm=arm, side="input")
                family.take(at, [*facts, *sketched({"p": p}, at=at, arm=arm, side="output")])
            if second % 10 == 9:
                causes_said.update(finding.cause for finding in causes(family.changes(), ALPHA))
    assert "world" in said[60.0]
    assert said[60.0] <= {"world", "none", "unclear", "unmeasured"}
    assert said[120.0] == {"none", "unmeasured"}


def visits(rng: np.random.Generator, minutes: int, lasts: int) -> Iterator[list[float]]:
    """What a gateway counts, by the minute, of visits that last so long: each of one unit, with a value of its own."""
    lately, here, unit = _Lately(), deque[tuple[int, str, float]](), 0
    for minute in range(minutes):
        for _ in range(rng.poisson(20.0 / lasts)):
            unit += 1
            here.append((minute + lasts, f"u{unit}", float(rng.normal())))
        while here and here[0][0] <= minute:
            here.popleft()
        drawn = [(name, value) for _, name, value in here if lately.takes(name, 60.0 * minute, 60.0)]
        for name, _ in drawn:
            lately.took(name)
        yield [value for _, value in drawn]


@pytest.mark.parametrize("lasts", [3, 20])
def test_long_visits_are_no_drift(lasts: int) -> None:
    """Counted anew in every minute, visits of three minutes were called drift in all of 40 runs: a bet on what it has
    been like of late knows them."""
    told = 0
    for run in range(3):
        watch = Watch("input", "x", "", first=0.0, every=1.0, reference=300.0)
        for minute, values in enumerate(visits(np.random.default_rng([run, lasts]), 800, lasts)):
            watch.take(float(minute), counts(values))
            if minute > 300 and minute % 50 == 0:
                change = watch.change()
                told += change.measured and change.changed(log(1.0 / ALPHA))
    assert told == 0
