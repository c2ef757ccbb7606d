"""Averages that are hard: heavy tails at a small alpha, ratios of units that return, means adjusted for a covariate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import MeanMoments, Moments, RatioMoments
from crossfade.spec.model import Better, Kind, Metric, Source

from .worlds import holds

SPLIT = 0.05 / 12
"""What one line gets of 5 % in a rollout of a few metrics."""

REVENUE = Metric(name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER)
CLICKS = Metric(name="clicks", source=Source.OUTCOME, kind=Kind.RATIO, better=Better.HIGHER, per="views")

Draw = Callable[[np.random.Generator, int], np.ndarray]


def lognormal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.exp(rng.normal(0.0, 2.0, n))


def pareto(rng: np.random.Generator, n: int) -> np.ndarray:
    """A finite variance, but hardly."""
    return rng.pareto(2.2, n)


def purchases(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random(n) < 0.05) * np.exp(rng.normal(3.0, 1.0, n))


def asks(metric: Metric, looks: Sequence[Moments], alpha: float) -> list[Evidence]:
    """What is known at each look."""
    asked = Question(
        metric=metric,
        role="goal",
        limit=None,
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=alpha,
        alpha_safe=alpha,
    )
    return answers([(asked, moments) for moments in looks])


def by_look(rows: np.ndarray, is_b: np.ndarray, per_look: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the units of each arm up to each look, shape (looks, columns)."""
    each = rows.reshape(-1, per_look, rows.shape[1])
    mine = is_b.reshape(-1, per_look, 1)
    return (each * ~mine).sum(axis=1).cumsum(axis=0), (each * mine).sum(axis=1).cumsum(axis=0)


def one_step(kind: type[MeanMoments] | type[RatioMoments], names: tuple[str, ...], a: np.ndarray, b: np.ndarray):
    columns = {f"{name}_{arm}": sums[i : i + 1] for arm, sums in (("a", a), ("b", b)) for i, name in enumerate(names)}
    return kind(step=np.zeros(1, dtype=np.int64), **columns)


def crossings(
    sums: Callable[[np.random.Generator, int], np.ndarray],
    build: Callable[[np.ndarray, np.ndarray], Moments],
    metric: Metric,
    *,
    share: float,
    runs: int,
    alpha: float,
    looks: int = 24,
    per_look: int = 500,
) -> tuple[int, int]:
    """Runs in which equal arms were called harmful, and safe, at any look; `sums` are columns of one row a unit."""
    rng = np.random.default_rng(21)
    harm = safe = 0
    for _ in range(runs):
        rows = sums(rng, looks * per_look)
        a, b = by_look(rows, rng.random(len(rows)) < share, per_look)
        found = asks(metric, [build(*one) for one in zip(a, b, strict=True)], alpha)
        harm += any(line.e_value is not None and line.e_value >= 1 / alpha for line in found)
        safe += any(line.e_value_safe is not None and line.e_value_safe >= 1 / alpha for line in found)
    return harm, safe


def mean_sums(draw: Draw) -> Callable[[np.random.Generator, int], np.ndarray]:
    def sums(rng: np.random.Generator, n: int) -> np.ndarray:
        y = draw(rng, n)
        return np.c_[np.ones(n), y, y * y]

    return sums


def mean_of(a: np.ndarray, b: np.ndarray) -> MeanMoments:
    return one_step(MeanMoments, ("n", "sum", "squares"), a, b)


@pytest.mark.parametrize("draw", [lognormal, purchases])
@pytest.mark.parametrize("share", [0.5, 0.02])
def test_heavy_tails_at_a_split_alpha(draw, share):
    for times in crossings(mean_sums(draw), mean_of, REVENUE, share=share, runs=60, alpha=SPLIT):
        assert holds(times, 60, SPLIT)


@pytest.mark.full
@pytest.mark.parametrize("alpha", [0.05, SPLIT])
@pytest.mark.parametrize("draw", [lognormal, purchases, pareto])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01, 0.95])
def test_heavy_tails_everywhere(draw, share, alpha):
    for times in crossings(mean_sums(draw), mean_of, REVENUE, share=share, runs=1000, alpha=alpha):
        assert holds(times, 1000, alpha)


def views(rng: np.random.Generator, n: int) -> np.ndarray:
    """Units that return many times, each with a click rate of its own."""
    x = rng.negative_binomial(1, 0.1, n).astype(np.float64)
    y = rng.binomial(x.astype(np.int64), rng.beta(0.4, 1.6, n)).astype(np.float64)
    return np.c_[np.ones(n), y, x, y * y, x * x, x * y]


def ratio_of(a: np.ndarray, b: np.ndarray) -> RatioMoments:
    return one_step(RatioMoments, ("n", "sum_y", "sum_x", "squares_y", "squares_x", "products_xy"), a, b)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_ratios(share):
    for times in crossings(views, ratio_of, CLICKS, share=share, runs=60, alpha=0.05):
        assert holds(times, 60, 0.05)


@pytest.mark.full
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
def test_ratios_everywhere(share):
    for times in crossings(views, ratio_of, CLICKS, share=share, runs=1000, alpha=0.05):
        assert holds(times, 1000, 0.05)


def known_before(rng: np.random.Generator, n: int, correlation: float = 0.7) -> np.ndarray:
    x = rng.normal(5.0, 2.0, n)
    y = 10.0 + correlation * (x - 5.0) / 2.0 + np.sqrt(1.0 - correlation**2) * rng.normal(0.0, 1.0, n)
    return np.c_[np.ones(n), y, y * y, x, x * x, x * y]


def adjusted_of(a: np.ndarray, b: np.ndarray) -> MeanMoments:
    return one_step(MeanMoments, ("n", "sum", "squares", "cov_sum", "cov_squares", "cov_products"), a, b)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_adjusted_means(share):
    for times in crossings(known_before, adjusted_of, REVENUE, share=share, runs=60, alpha=0.05):
        assert holds(times, 60, 0.05)


def halved(runs: int, most: int = 40_000, per_look: int = 500) -> tuple[float, float]:
    """Units in all until a better challenger is proven, at the median: unadjusted, and with correlation 0.7."""
    rng = np.random.default_rng(22)
    is_b = np.arange(most) % 2 == 1
    needed: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(runs):
        rows = known_before(rng, most)
        rows[is_b, 1] += 0.1
        rows[:, 2], rows[:, 5] = rows[:, 1] ** 2, rows[:, 1] * rows[:, 3]
        adjusted = [adjusted_of(*one) for one in zip(*by_look(rows, is_b, per_look), strict=True)]
        for adjust, looks in ((True, adjusted), (False, [replace(one, cov_sum_a=None) for one in adjusted])):
            proven = [(line.e_value_safe or 0.0) >= 20.0 for line in asks(REVENUE, looks, 0.05)]
            needed[adjust].append(per_look * (proven.index(True) + 1.0) if any(proven) else np.inf)
    return float(np.median(needed[False])), float(np.median(needed[True]))


def test_a_covariate_halves_the_units_to_a_decision():
    """Correlation 0.7 explains half of the variance."""
    plain, adjusted = halved(40, 20_000)
    print(f"units to a decision, adjusted over plain: {adjusted / plain:.2f}")
    assert adjusted <= 0.6 * plain
