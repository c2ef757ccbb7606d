"""Labelled pairs looked at again and again: how often an equal model is called worse, and what intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.judge.infer import infer
from crossfade.judge.infer.labelled import influence
from crossfade.judge.moments import ScoredMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

ALPHA = 0.05
LOOKS = (120, 160, 220, 300, 420, 600, 850, 1200)


def scores(kind: Kind, rng: np.random.Generator, worse: float) -> ScoredMoments:
    """Pairs of models that are alike where `worse` is 0; they see the same rows, so that scores are correlated."""
    n = LOOKS[-1]
    truth = (rng.random(n) < 0.3).astype(np.float64)
    shared = rng.normal(size=n)
    a, b = (shared + 0.7 * rng.normal(size=n) for _ in range(2))
    if kind is Kind.AUC:
        return ScoredMoments(truth=truth, a=a + 1.2 * truth, b=b + (1.2 - worse) * truth)
    if kind in (Kind.RMSE, Kind.MAE):
        return ScoredMoments(truth=truth, a=a, b=b * (1.0 + worse))
    if kind is Kind.ACCURACY:
        return ScoredMoments(truth=truth, a=(a > -1.5).astype(float), b=(b > -1.5 + worse).astype(float))
    p, q = (np.clip(1 / (1 + np.exp(-2.0 * (truth - 0.5) - one)), 0.001, 0.999) for one in (a, b + worse))
    if kind is Kind.BRIER:
        return ScoredMoments(truth=truth, a=(p - truth) ** 2, b=(q - truth) ** 2)
    loss = [-np.where(truth > 0, np.log(one), np.log1p(-one)) for one in (p, q)]
    return ScoredMoments(truth=truth, a=loss[0], b=loss[1])


def found(kind: Kind, moments: ScoredMoments, n: int) -> tuple[bool, bool, float | None, float | None]:
    better = Better.HIGHER if kind in (Kind.ACCURACY, Kind.AUC) else Better.LOWER
    metric = Metric(name="quality", source=Source.PREDICTION, kind=kind, better=better, window=1.0)
    part = ScoredMoments(truth=moments.truth[:n], a=moments.a[:n], b=moments.b[:n], closed=n)
    line = infer(
        metric, part, role="guardrail", limit=Margin(value=0.0, relative=False), arm="v2", baseline="v1",
        stage="shadow", step=None, alpha_harm=ALPHA, alpha_safe=ALPHA,
    )  # fmt: skip
    return line.verdict == "harmful", line.verdict == "safe", line.lower, line.upper


KINDS = (Kind.ACCURACY, Kind.LOG_LOSS, Kind.BRIER, Kind.AUC, Kind.RMSE, Kind.MAE)


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_an_equal_model_is_seldom_called_worse_or_better(kind: Kind) -> None:
    runs, worse, better = 400, 0, 0
    for seed in range(runs):
        moments = scores(kind, np.random.default_rng(seed), 0.0)
        told = [found(kind, moments, n) for n in LOOKS]
        worse += any(one[0] for one in told)
        better += any(one[1] for one in told)
    print(f"{kind}: worse {worse / runs:.1%}, better {better / runs:.1%}")
    slack = 2.5 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    assert worse / runs <= ALPHA + slack
    assert better / runs <= ALPHA + slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_worse_model_is_found_and_the_interval_says_by_how_much(kind: Kind) -> None:
    worse = {Kind.ACCURACY: 1.0, Kind.AUC: 0.6, Kind.RMSE: 0.3, Kind.MAE: 0.3}.get(kind, 1.0)
    many = [scores(kind, np.random.default_rng(900 + seed), worse) for seed in range(20)]
    whole = ScoredMoments(
        **{name: np.concatenate([getattr(one, name) for one in many]) for name in ("truth", "a", "b")}
    )
    sides = [whole.a, whole.b]
    if kind in (Kind.AUC, Kind.RMSE, Kind.MAE):
        true = np.subtract(*(influence(kind, whole.truth, side).value for side in reversed(sides)))
    else:
        true = whole.b.mean() - whole.a.mean()
    told = [found(kind, one, LOOKS[-1]) for one in many[:6]]
    assert all(one[0] for one in told)
    assert all(low is not None and high is not None and low <= true <= high for _, _, low, high in told)


def test_an_auc_is_that_of_counting_every_pair_of_one_good_and_one_bad() -> None:
    rng = np.random.default_rng(3)
    truth, said = rng.random(60) < 0.4, np.round(rng.normal(size=60), 1)
    good, bad = said[truth], said[~truth]
    wins = (good[:, None] > bad[None, :]).mean() + 0.5 * (good[:, None] == bad[None, :]).mean()
    found_ = influence(Kind.AUC, truth.astype(float), said)
    assert found_.value == pytest.approx(wins)
    # DeLong's variance, as sums over the two classes.
    v10 = (good[:, None] > bad[None, :]).mean(1) + 0.5 * (good[:, None] == bad[None, :]).mean(1)
    v01 = (good[:, None] > bad[None, :]).mean(0) + 0.5 * (good[:, None] == bad[None, :]).mean(0)
    assert found_.parts.var() / 60 == pytest.approx(v10.var() / len(good) + v01.var() / len(bad))
