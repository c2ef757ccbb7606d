"""Means: levels at unequal arms, over a ramp, with heavy tails; the textbook variance as a warning beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import infer
from crossfade.judge.moments import MeanMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

from .worlds import RAMP, holds

ALPHA = 0.05
FAST, FULL = 80, 1000
REVENUE = Metric(name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER)

Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def normal(rng: np.random.Generator, n: int, step: int) -> np.ndarray:
    return rng.normal(10.0 * (1 + step), 3.0, n)


def revenue(rng: np.random.Generator, n: int, step: int) -> np.ndarray:
    """Nothing from most, log-normal from a few."""
    return (rng.random(n) < 0.05) * np.exp(rng.normal(3.0, 1.0, n))


def looks(
    rng: np.random.Generator, draw: Draw, shares: tuple[float, ...], *, added: float = 0.0, per_step: int = 24
) -> list[MeanMoments]:
    """Moments at each look, 500 units apart."""
    found = []
    sums = np.zeros((len(shares), 6))
    for step, share in enumerate(shares):
        for _ in range(per_step // len(shares)):
            values = draw(rng, 500, step)
            is_b = rng.random(500) < share
            a, b = values[~is_b], values[is_b] + added
            sums[step] += [len(a), a.sum(), (a**2).sum(), len(b), b.sum(), (b**2).sum()]
            n_a, sum_a, squares_a, n_b, sum_b, squares_b = sums[: step + 1].T.copy()
            found.append(
                MeanMoments(
                    step=np.arange(step + 1),
                    n_a=n_a.astype(np.int64),
                    sum_a=sum_a,
                    squares_a=squares_a,
                    n_b=n_b.astype(np.int64),
                    sum_b=sum_b,
                    squares_b=squares_b,
                )
            )
    return found


def ask(moments: MeanMoments, limit: Margin | None) -> Evidence:
    return infer(
        REVENUE,
        moments,
        role="goal" if limit is None else "guardrail",
        limit=limit,
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=ALPHA,
        alpha_safe=ALPHA,
    )


def wrong(
    draw: Draw, shares: tuple[float, ...], runs: int, *, limit: Margin | None = None, added: float = 0.0
) -> tuple[int, int]:
    """Runs called harmful, and runs called safe, at any look."""
    rng = np.random.default_rng(12)
    harm = safe = 0
    for _ in range(runs):
        found = [ask(moments, limit) for moments in looks(rng, draw, shares, added=added)]
        harm += any(line.e_value is not None and line.e_value >= 1 / ALPHA for line in found)
        safe += any(line.e_value_safe is not None and line.e_value_safe >= 1 / ALPHA for line in found)
    return harm, safe


@pytest.mark.parametrize(("draw", "shares"), [(normal, (0.05,)), (normal, RAMP), (revenue, (0.5,)), (revenue, (0.05,))])
def test_levels(draw, shares):
    for times in wrong(draw, shares, FAST):
        assert holds(times, FAST, ALPHA)


def test_levels_at_the_margin():
    for times in wrong(normal, (0.5,), FAST, limit=Margin(value=0.02, relative=True), added=-0.2):
        assert holds(times, FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("draw", [normal, revenue])
@pytest.mark.parametrize("shares", [(0.01,), (0.05,), (0.5,), RAMP])
def test_levels_everywhere(draw, shares):
    for times in wrong(draw, shares, FULL):
        assert holds(times, FULL, ALPHA)


def test_pooling_over_the_ramp_would_have_failed():
    rng = np.random.default_rng(13)
    last = looks(rng, normal, RAMP)[-1]
    names = ("n_a", "sum_a", "squares_a", "n_b", "sum_b", "squares_b")
    pooled = MeanMoments(
        step=np.array([0]),
        **{name: getattr(last, name).sum(keepdims=True) for name in names},
    )
    assert ask(pooled, None).e_value_safe > 1e3
    assert ask(last, None).e_value_safe < 20.0
