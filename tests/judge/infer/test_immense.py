"""Numbers that cannot be squared: they are refused with the reason, and nothing warns, breaks or claims harm."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import infer
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.restarts import late, tape
from crossfade.judge.moments import MeanMoments, Moments, PairedMeans, RatioMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

ROWS = 300
DRAWN = np.random.default_rng(1).normal(0.0, 1.0, ROWS)

VALUES = {
    "ordinary": 5.0 + DRAWN,
    "1e300": np.full(ROWS, 1e300),
    "1e160": DRAWN * 1e160,
    "one of 1e300": np.r_[DRAWN[1:], 1e300],
    "not a number": np.full(ROWS, np.nan),
    "infinite": np.full(ROWS, np.inf),
}
SMALL = {
    "zero": np.zeros(ROWS),
    "1e-200": DRAWN * 1e-200,
    "below zero": -np.exp(DRAWN),
    "one of 1e15": np.r_[DRAWN[1:], 1e15],
    "all but the same": 1e9 + DRAWN,
}


def means(a: np.ndarray, b: np.ndarray) -> Moments:
    told = {f"{name}_{arm}": of for arm, y in (("a", a), ("b", b)) for name, of in _sums(y).items()}
    return MeanMoments(step=np.zeros(1, dtype=np.int64), **told)


def adjusted(a: np.ndarray, b: np.ndarray) -> Moments:
    """The values are the covariate."""
    told = {f"{name}_{arm}": of for arm in "ab" for name, of in _sums(DRAWN).items()}
    for arm, x in (("a", a), ("b", b)):
        told |= {f"cov_sum_{arm}": np.array([x.sum()]), f"cov_squares_{arm}": np.array([(x * x).sum()])}
        told[f"cov_products_{arm}"] = np.array([(x * DRAWN).sum()])
    return MeanMoments(step=np.zeros(1, dtype=np.int64), **told)


def ratios(a: np.ndarray, b: np.ndarray) -> Moments:
    """The values are numerators, and their sizes the denominators."""
    told: dict[str, np.ndarray] = {}
    for arm, y in (("a", a), ("b", b)):
        x = np.abs(y)
        told |= {f"n_{arm}": np.array([ROWS]), f"sum_y_{arm}": np.array([y.sum()]), f"sum_x_{arm}": np.array([x.sum()])}
        told |= {f"squares_{name}_{arm}": np.array([(y * y).sum()]) for name in "yx"}
        told[f"products_xy_{arm}"] = np.array([(x * y).sum()])
    return RatioMoments(step=np.zeros(1, dtype=np.int64), **told)


def differences(a: np.ndarray, b: np.ndarray) -> Moments:
    told = {f"{name}_{arm}": float(of[0]) for arm, y in (("a", a), ("b", b)) for name, of in _sums(y).items()}
    counts = {name: value for name, value in told.items() if not name.startswith("n_")}
    return PairedMeans(n=ROWS, products=float((a * b).sum()), **counts)


def _sums(y: np.ndarray) -> dict[str, np.ndarray]:
    return {"n": np.array([ROWS]), "sum": np.array([y.sum()]), "squares": np.array([(y * y).sum()])}


def asked(metric: Metric) -> Question:
    return Question(
        metric=metric, role="guardrail", limit=Margin(value=0.0, relative=False), arm="v2", baseline="v1",
        stage="promote", step=None, alpha_harm=0.05, alpha_safe=0.05,
    )  # fmt: skip


KINDS = {
    "mean": (Kind.MEAN, means),
    "ratio": (Kind.RATIO, ratios),
    "adjusted": (Kind.MEAN, adjusted),
    "paired": (Kind.MEAN, differences),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("better", list(Better))
@pytest.mark.parametrize("limit", [Margin(value=0.02, relative=True), None])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_any_size_are_measured_or_refused(kind: str, limit: Margin | None, better: Better) -> None:
    every = {**VALUES, **SMALL}
    of, build = KINDS[kind]
    for one, other in itertools.product(every, every):
        with np.errstate(over="ignore", invalid="ignore"):
            moments = build(every[one], every[other])
        found = infer(
            Metric(name="m", source=Source.OUTCOME, kind=of, better=better, window=1.0),
            moments,
            role="goal" if limit is None else "guardrail",
            limit=limit,
            arm="v2",
            baseline="v1",
            stage="ab",
            step=None,
            alpha_harm=0.05,
            alpha_safe=0.05,
        )
        told = (found.estimate, found.lower, found.upper, found.e_value, found.e_value_safe, found.limit)
        assert all(number is None or math.isfinite(number) for number in told), (one, other, told)
        if one == other:
            assert found.verdict is not Verdict.HARMFUL, (one, found)
        if {one, other} & (VALUES.keys() - {"ordinary"}):
            assert found.verdict is Verdict.UNMEASURED, (one, other, found)
            assert found.reason


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e160, -1e300])
def test_bets_that_begin_late_lose_on_values_of_any_size(value: float) -> None:
    """Twenty slices of 300 units an arm; one unit of one slice, late or in the middle, is of another world."""
    for place in (9, 19):
        n = np.full(20, ROWS)
        sums, squares = n * 5.0, n * 26.0
        told = {
            "n_a": n,
            "sum_a": sums,
            "squares_a": squares,
            "n_b": n,
            "sum_b": sums.copy(),
            "squares_b": squares.copy(),
        }
        told["sum_b"][place] += value
        with np.errstate(over="ignore"):
            told["squares_b"][place] += np.float64(value) ** 2
        moments = MeanMoments(step=np.zeros(20, dtype=np.int64), bucket=np.arange(20), share=np.full(20, 0.5), **told)
        metric = Metric(name="m", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=1.0)
        found = tape(asked(metric), moments)
        assert found is not None
        assert np.isfinite(found.won).all()
        assert late(found, np.full(20, 0.05), 0.0).log_e < 0.0
