"""Rare events, counted: a challenger at its margin is seldom proven safe, and one with none at all is, in time.

By the variance that was observed alone, rare events proved a challenger at its margin safe in 22 to 57 % of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats, MeanMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

from .worlds import holds

ALPHA = 0.05
FAST, FULL = 60, 1000
LOOKS = 40

Sizes = Callable[[], tuple[Floats, Floats]]
"""What a unit that has any may have, and the chances."""


def ones() -> tuple[Floats, Floats]:
    return np.ones(1), np.ones(1)


def bursts() -> tuple[Floats, Floats]:
    """Five on average, geometric."""
    sizes = np.arange(1.0, 200.0)
    chances = 0.2 * 0.8 ** (sizes - 1.0)
    return sizes, chances / chances.sum()


def tens() -> tuple[Floats, Floats]:
    """Nothing or ten: of values up to ten, those that are the rarest for their mean."""
    return np.array([10.0]), np.ones(1)


def first_safe(
    sizes: Sizes,
    mean: float,
    added: float,
    *,
    margin: float,
    share: float,
    runs: int,
    cap: float | None = None,
    most: int = 20_000,
) -> np.ndarray:
    """The challenger's units (as planned) at the first look at which it is proven safe, per run; infinite if never."""
    rng = np.random.default_rng(31)
    metric = Metric(name="crashes", source=Source.OUTCOME, kind=Kind.COUNT, better=Better.LOWER, window=1.0, cap=cap)
    question = Question(
        metric=metric,
        role="guardrail",
        limit=Margin(value=margin, relative=False),
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=ALPHA,
        alpha_safe=ALPHA,
    )
    values, chances = _of_units(sizes, mean)
    _, worse = _of_units(sizes, mean + added)
    counted = values if cap is None else np.minimum(values, cap)
    sums = np.zeros((runs, 2, 4))
    found, before = np.full(runs, np.inf), 0
    for units in np.unique(np.geomspace(100, most, LOOKS).astype(int)):
        came = int(units / share) - before
        before += came
        of_b = rng.binomial(came, share, runs)
        for run in np.flatnonzero(np.isinf(found)):
            for side, (n, p) in enumerate(((came - of_b[run], chances), (of_b[run], worse))):
                drawn = rng.multinomial(n, p)
                sums[run, side] += (n, drawn @ counted, drawn @ (counted * counted), drawn[values > 0.0].sum())
        asked = np.flatnonzero(np.isinf(found))
        told = answers([(question, _moments(sums[run])) for run in asked])
        found[asked[[line.verdict is Verdict.SAFE for line in told]]] = units
    return found


@cache
def _of_units(sizes: Sizes, mean: float) -> tuple[Floats, Floats]:
    values, chances = sizes()
    any_ = mean / float(values @ chances)
    return np.r_[0.0, values], np.r_[1.0 - any_, any_ * chances]


def _moments(sums: np.ndarray) -> MeanMoments:
    fields = {
        f"{name}_{side}": np.array([sums[arm, at]]).astype(np.int64 if name in ("n", "some") else np.float64)
        for arm, side in enumerate("ab")
        for at, name in enumerate(("n", "sum", "squares", "some"))
    }
    return MeanMoments(step=np.zeros(1, dtype=np.int64), **fields, reports_a=1, reports_b=1)


AT_MARGIN: dict[str, tuple[Sizes, float, float, float | None]] = {
    "one a unit, champion 0.01 % a unit": (ones, 0.0001, 0.01, None),
    "one a unit, champion 0.1 % a unit": (ones, 0.001, 0.01, None),
    "one a unit, champion 1 % a unit": (ones, 0.01, 0.01, None),
    "in bursts of five, champion 0.1 % a unit": (bursts, 0.001, 0.01, None),
    "in bursts of five, champion 1 % a unit": (bursts, 0.01, 0.01, None),
    "none or ten of a unit, cap 10, champion none": (tens, 0.0, 0.02, 10.0),
    "none or ten of a unit, cap 10, champion 0.1 % a unit": (tens, 0.001, 0.02, 10.0),
}
"""Sizes, the champion's mean, the margin at which the challenger stands, and the cap."""


def wrongly_safe(name: str, share: float, runs: int) -> int:
    """Runs in which a challenger at its margin was ever proven safe."""
    sizes, mean, margin, cap = AT_MARGIN[name]
    found = first_safe(sizes, mean, margin, margin=margin, share=share, runs=runs, cap=cap)
    return int(np.isfinite(found).sum())


@pytest.mark.parametrize("name", ["one a unit, champion 0.1 % a unit", "none or ten of a unit, cap 10, champion none"])
def test_a_challenger_at_its_margin_is_seldom_proven_safe(name):
    assert holds(wrongly_safe(name, 0.05, FAST), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("name", list(AT_MARGIN))
def test_every_challenger_at_its_margin_is_seldom_proven_safe(name, share):
    assert holds(wrongly_safe(name, share, 400), 400, ALPHA)


def test_nothing_at_all_is_proven_safe_under_a_cap_and_never_without():
    capped = first_safe(ones, 0.0, 0.0, margin=0.02, share=0.05, runs=2, cap=10.0)
    assert np.median(capped) <= 3000
    assert np.isinf(first_safe(ones, 0.0, 0.0, margin=0.02, share=0.05, runs=2)).all()
