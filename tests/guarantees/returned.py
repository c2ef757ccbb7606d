"""Sixty days of units that return many times, each with a habit of its own: intra-class correlation 0.2.

Half of them are there from the start, the others come evenly. How often one comes differs as people do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import MeanMoments, Moments, RateMoments, RatioMoments
from crossfade.spec.model import Better, Kind, Metric, Source

DAYS, UNITS, VISITS = 60, 1500, 0.5
"""Visits are those of an average unit in a day."""

CORRELATION = 0.2
RATE = 0.1
ALPHA = 0.05

ERRORS = Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)
FAILURES = Metric(name="failures", source=Source.RESPONSE, kind=Kind.MEAN, better=Better.LOWER)
PER_VISIT = Metric(name="failed", source=Source.OUTCOME, kind=Kind.RATIO, better=Better.LOWER, per="visits")


class Crowd:
    """Visits and failures of each unit up to each day, shape (units, days), and which units are the challenger's."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        first = np.where(rng.random(UNITS) < 0.5, 0, rng.integers(0, DAYS, UNITS))
        often = rng.gamma(0.7, VISITS / 0.7, UNITS)
        visits = rng.poisson(np.repeat(often[:, None], DAYS, axis=1))
        days = np.arange(DAYS)
        visits[days < first[:, None]] = 0
        visits[np.arange(UNITS), first] += 1
        both = (1.0 - CORRELATION) / CORRELATION
        failed = rng.binomial(visits, rng.beta(RATE * both, (1.0 - RATE) * both, UNITS)[:, None])
        self.share, self.is_b = share, rng.random(UNITS) < share
        self.x, self.y = visits.cumsum(axis=1), failed.cumsum(axis=1)

    def arms(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums over the units of each arm, by day."""
        return values[~self.is_b].sum(axis=0), values[self.is_b].sum(axis=0)

    def rates(self) -> list[RateMoments]:
        """Units at their first visit, and at their first failure, as each day's look has them."""
        first_seen, first_failed = (np.diff((of > 0).astype(np.int64), axis=1, prepend=0) for of in (self.x, self.y))
        (n_a, n_b), (k_a, k_b) = self.arms(first_seen), self.arms(first_failed)
        rows = {
            "step": np.zeros(DAYS, dtype=np.int64), "bucket": np.arange(DAYS), "share": np.full(DAYS, self.share),
            "n_a": n_a, "k_a": k_a, "n_b": n_b, "k_b": k_b, "seen_a": n_a, "seen_b": n_b,
        }  # fmt: skip
        return [RateMoments(**{name: column[: day + 1] for name, column in rows.items()}) for day in range(DAYS)]

    def means(self) -> list[MeanMoments]:
        """Failures of each unit so far, over its first visit and all that came after."""
        sums = [self.arms(of) for of in ((self.x > 0), self.y, self.y.astype(np.float64) ** 2)]
        return [
            MeanMoments(step=np.zeros(1, dtype=np.int64), **_columns(("n", "sum", "squares"), sums, day))
            for day in range(DAYS)
        ]

    def ratios(self) -> list[RatioMoments]:
        """Failures over visits."""
        x, y = self.x.astype(np.float64), self.y.astype(np.float64)
        names = ("n", "sum_y", "sum_x", "squares_y", "squares_x", "products_xy")
        sums = [self.arms(of) for of in ((x > 0), y, x, y * y, x * x, x * y)]
        return [RatioMoments(step=np.zeros(1, dtype=np.int64), **_columns(names, sums, day)) for day in range(DAYS)]


def _columns(names: tuple[str, ...], sums: list[tuple[np.ndarray, np.ndarray]], day: int) -> dict[str, np.ndarray]:
    return {
        f"{name}_{arm}": of[place][day : day + 1]
        for name, of in zip(names, sums, strict=True)
        for place, arm in enumerate("ab")
    }


KINDS: dict[str, tuple[Metric, Callable[[Crowd], list]]] = {
    "share of units that ever failed": (ERRORS, Crowd.rates),
    "failures a unit": (FAILURES, Crowd.means),
    "failures a visit": (PER_VISIT, Crowd.ratios),
}


def alarmed(metric: Metric, looks: list[Moments]) -> bool:
    """Whether equal arms are called harmful at any look."""
    asked = Question(
        metric=metric, role="guardrail", limit=None, arm="v2", baseline="v1", stage="ab", step=None,
        alpha_harm=ALPHA, alpha_safe=ALPHA,
    )  # fmt: skip
    found: list[Evidence] = answers([(asked, moments) for moments in looks])
    return any(line.e_value is not None and line.e_value >= 1.0 / ALPHA for line in found)


def alarms(kind: str, share: float, runs: int) -> int:
    """Runs in which that happened; looked at once a day."""
    rng = np.random.default_rng(51)
    metric, told = KINDS[kind]
    return sum(alarmed(metric, told(Crowd(rng, share))) for _ in range(runs))


def naive(share: float, runs: int) -> int:
    """For comparison: runs in which a test that takes every visit for a unit says so, by the same boundary."""
    rng, times = np.random.default_rng(51), 0
    for _ in range(runs):
        crowd = Crowd(rng, share)
        n, k = crowd.arms(crowd.x), crowd.arms(crowd.y)
        # A visit has failed or not, so that its square is itself.
        sums, step = [n, k, k], np.zeros(1, dtype=np.int64)
        looks = [MeanMoments(step=step, **_columns(("n", "sum", "squares"), sums, day)) for day in range(DAYS)]
        times += alarmed(FAILURES, looks)
    return times
