"""Rows of the tables: something that must not happen too often, or must come soon enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    table: str
    scenario: str
    runs: int
    found: str
    bound: str
    holds: bool
    peers: str = ""
    """What the rule of another tool does in the same setting."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows that one simulation gives."""

    name: str
    measure: Callable[[int], Iterator[Row]]
    """Takes the number of runs."""
    portion: float = 1.0
    """How many of the runs asked for it takes."""
    least: int = 8
    """Runs that it takes at the least, because they cost next to nothing."""

    def runs(self, asked: int) -> int:
        """Runs that it takes where so many are asked for."""
        return max(int(asked * self.portion), self.least)


def interval(times: int, runs: int) -> tuple[float, float]:
    """Clopper and Pearson's, at 99 %."""
    lower = float(beta.ppf(0.005, times, runs - times + 1)) if times else 0.0
    return lower, float(beta.ppf(0.995, times + 1, runs - times)) if times < runs else 1.0


def told(times: int, runs: int) -> str:
    """A share with its interval."""
    lower, upper = interval(times, runs)
    return f"{100 * times / runs:.1f} % ({100 * lower:.1f}–{100 * upper:.1f})"


def seldom(table: str, scenario: str, times: int, runs: int, bound: float, peers: str = "") -> Row:
    """A share of runs, which holds when its 99 % interval reaches down to the bound."""
    return Row(
        table=table,
        scenario=scenario,
        runs=runs,
        found=told(times, runs),
        bound=f"≤ {100 * bound:g} %",
        holds=interval(times, runs)[0] <= bound,
        peers=peers,
    )


def compared(table: str, scenario: str, times: int, runs: int) -> Row:
    """A share that nothing is promised of."""
    found = told(times, runs)
    return Row(table=table, scenario=scenario, runs=runs, found=found, bound="none", holds=True)


def soon(table: str, scenario: str, values: Sequence[float] | np.ndarray, bound: float, unit: str) -> Row:
    """A median that may not be larger than the bound."""
    median = float(np.median(values))
    found = f"{median:,.0f} {unit}" if np.isfinite(median) else "never"
    return Row(
        table=table, scenario=scenario, runs=len(values), found=found, bound=f"≤ {bound:,.0f}", holds=median <= bound
    )


def ratio(table: str, scenario: str, value: float, runs: int, bound: float) -> Row:
    """A ratio that may not be larger than the bound."""
    return Row(
        table=table, scenario=scenario, runs=runs, found=f"{value:.2f} ×", bound=f"≤ {bound:g} ×", holds=value <= bound
    )


SAME = "Champion and challenger the same: wrong verdicts of harm, looked at continuously"
DIFFERENT = "Challenger really different: units, seconds and ratios are medians over runs"
BURNT = "After promotion: changes that begin late"
SEARCHED = "Groups that nobody declared: searched as units come in, tested on later units alone"
BUDGET = "A canary's budget over fixed steps: what it cost beyond the champion's failures"
RARE = "Rare events that are counted: what nothing, or next to nothing, proves"
RUIN = "A canary whose steps a prior sizes (budget 50, 1 % of the champion's units fail)"
DRIFT = "Drift: inputs, predictions and outcomes beside their reference, looked at after every block"

TABLES = (SAME, DIFFERENT, BURNT, SEARCHED, BUDGET, RARE, RUIN, DRIFT)
