"""The same numbers as independent implementations, and a table in the documentation of which method has which.

`python -m judge.infer.oracles` (from `tests/`) writes the table.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st
from online_fdr.e_values import e_bh as theirs_e_bh
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve
from ville.evalues import ebh

from crossfade.judge import infer
from crossfade.judge.infer import boundary, mismatch, preference
from crossfade.judge.infer.calibration import calibration
from crossfade.judge.infer.graded import graded_log_e
from crossfade.judge.infer.labelled import influence
from crossfade.judge.infer.means import infer_mean
from crossfade.judge.measure.labelled import CLIP, DEPTH, _gain, _of_one
from crossfade.judge.search import e_bh
from crossfade.spec.model import Kind
from guarantees.worlds import Plan, settled
from judge.infer import oracles
from judge.infer.test_laid import question
from judge.questions import PURCHASE, REVENUE, ask, means

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (130, 90), (7, 0), (4000, 4100)])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_mixture_over_preferences_is_villes(wins, losses, share):
    prior = preference.CONCENTRATION * share, preference.CONCENTRATION * (1.0 - share)
    theirs = ville.BernoulliTest(share, prior=prior).update(np.r_[np.ones(wins), np.zeros(losses)])
    last = float(theirs.log_e_values_[-1]) if wins + losses else 0.0
    assert preference.two_sided_log_e(wins, losses, share) == pytest.approx(last, abs=1e-9)


@pytest.mark.parametrize(("n_a", "n_b", "share"), [(5300, 5000, 0.5), (980, 31, 0.05), (0, 12, 0.3)])
def test_the_sample_ratio_of_two_arms_is_villes(n_a, n_b, share):
    prior = mismatch.CONCENTRATION * share, mismatch.CONCENTRATION * (1.0 - share)
    theirs = ville.BernoulliTest(share, prior=prior).update(np.r_[np.ones(n_b), np.zeros(n_a)])
    assert mismatch.log_e([n_a, n_b], [1.0 - share, share]) == pytest.approx(float(theirs.log_e_values_[-1]), abs=1e-8)


e_values = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=30)


@given(e_values, st.sampled_from((0.01, 0.05, 0.2)))
def test_e_bh_rejects_what_two_others_reject(e, alpha):
    ours = set(e_bh(e, alpha))
    assert ours == {place for place, rejected in enumerate(theirs_e_bh(e, alpha)) if rejected}
    assert ours == set(np.flatnonzero(ebh(e, alpha)).tolist())


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.05 / 12])
@pytest.mark.parametrize("n", [100, 1000, 5000, 1_000_000])
def test_the_one_sided_boundary_is_never_inside_villes_and_hardly_outside(alpha, n):
    """Theirs solves for the half-normal mixture itself, ours is a closed bound of it."""
    tuning = 1.0 / boundary.rho_squared(alpha)
    theirs = float(ville.normal_mixture(np.array([n]), alpha, tuning, one_sided=True)[0]) / n
    assert theirs <= boundary.radius(n, alpha, two_sided=False) <= 1.06 * theirs


def test_means_at_even_arms_have_the_interval_of_villes_test():
    """Theirs weighs by the planned share and is two-sided; both see the same difference through the same boundary."""
    rng = np.random.default_rng(4)
    treated = rng.random(20_000) < 0.5
    values = rng.gamma(2.0, 3.0, 20_000) + 0.3 * treated
    theirs = ville.AsymptoticABTest(alpha=0.05, t_opt=5000).update(values, treated.astype(float))
    lower, upper = theirs.interval()
    ours = ask(REVENUE, means((values[~treated], values[treated])), alpha_harm=0.025, alpha_safe=0.025)
    assert ours.estimate == pytest.approx(float(np.ravel(theirs.estimate_)[-1]), abs=0.1 * (upper - lower))
    assert ours.upper - ours.lower == pytest.approx(upper - lower, rel=0.03)


def test_the_spread_of_a_difference_of_means_is_the_larger_of_students_and_welchs():
    rng = np.random.default_rng(5)
    a, b = rng.normal(10.0, 1.0, 4000), rng.normal(10.1, 4.0, 300)
    ours = infer_mean(question(REVENUE, None, 0.05), means((a, b)))
    errors = []
    for pooled in (True, False):
        found = stats.ttest_ind(b, a, equal_var=pooled)
        errors.append(float((b.mean() - a.mean()) / found.statistic))
    n = 4.0 / (1.0 / len(a) + 1.0 / len(b))
    reach = max(errors) * boundary.radius(n, 0.05, two_sided=False) * math.sqrt(n)
    # The variance under each null adds the difference itself: some thousandths of the width at these sizes.
    assert ours.upper - ours.estimate == pytest.approx(reach, rel=0.01)


def test_the_interval_of_a_rate_is_about_that_of_another_way_of_betting():
    """Theirs bets on values weighed by the planned share, with a plug-in bet; the widths of the same stream agree."""
    rng = np.random.default_rng(6)
    found = settled(rng, Plan(shares=(0.5,), buckets=60, arrivals=200), 0.2, 0.23)
    ours = ask(PURCHASE, found, alpha_harm=0.025, alpha_safe=0.025)
    values, treated = [], []
    for n_a, k_a, n_b, k_b in zip(found.n_a, found.k_a, found.n_b, found.k_b, strict=True):
        outcome = np.r_[np.arange(n_a) < k_a, np.arange(n_b) < k_b].astype(float)
        arm = np.r_[np.zeros(n_a), np.ones(n_b)]
        order = rng.permutation(len(outcome))
        values.append(outcome[order])
        treated.append(arm[order])
    theirs = ville.BettingABTest(alpha=0.05).update(np.concatenate(values), np.concatenate(treated))
    lower, upper = theirs.interval()
    assert ours.upper - ours.lower == pytest.approx(upper - lower, rel=0.25)
    assert lower < ours.estimate < upper
    assert ours.lower < float(np.ravel(theirs.estimate_)[-1]) < ours.upper


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=6), st.floats(-0.9, 0.9), st.sampled_from((1, -1)))
def test_a_graded_vote_gains_nothing_on_average(votes, limit, sign):
    """Of all distributions on two votes with a mean at the limit, which the others are mixtures of."""
    for low in votes:
        for high in votes:
            if low < limit < high:
                share = (limit - low) / (high - low)
                gains = [math.exp(graded_log_e(1, vote, vote * vote, limit, sign)) for vote in (low, high)]
                assert (1.0 - share) * gains[0] + share * gains[1] <= 1.0 + 1e-12


def labelled(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    said = np.round(rng.beta(2.0, 2.0, n), 2)
    return (rng.random(n) < said).astype(float), said


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_predictions_are_those_of_scikit_learn(seed):
    truth, said = labelled(seed)
    clipped = np.clip(said, CLIP, 1.0 - CLIP)
    pairs = {
        Kind.ACCURACY: metrics.accuracy_score(truth, said >= 0.5),
        Kind.BRIER: metrics.brier_score_loss(truth, said),
        Kind.LOG_LOSS: metrics.log_loss(truth, clipped),
    }
    for kind, theirs in pairs.items():
        assert _of_one(kind, said, truth).mean() == pytest.approx(theirs, abs=1e-12), kind
    assert influence(Kind.AUC, truth, said).value == pytest.approx(metrics.roc_auc_score(truth, said), abs=1e-12)
    assert influence(Kind.RMSE, truth, said - truth).value == pytest.approx(
        metrics.root_mean_squared_error(truth, said), abs=1e-12
    )
    assert influence(Kind.MAE, truth, said - truth).value == pytest.approx(
        metrics.mean_absolute_error(truth, said), abs=1e-12
    )


def test_what_each_pair_adds_to_an_auc_is_delongs_placement():
    truth, said = labelled(7, 120)
    good, bad = said[truth >= 0.5], said[truth < 0.5]
    wins = (good[:, None] > bad[None, :]) + 0.5 * (good[:, None] == bad[None, :])
    value = wins.mean()
    variance = wins.mean(axis=1).var() / len(good) + wins.mean(axis=0).var() / len(bad)
    found = influence(Kind.AUC, truth, said)
    assert np.mean(found.parts**2) / len(truth) == pytest.approx(variance, rel=1e-9)
    assert found.value == pytest.approx(value, abs=1e-12)


def test_ndcg_is_that_of_scikit_learn():
    rng = np.random.default_rng(8)
    for _ in range(20):
        gains = rng.integers(0, 4, 15).astype(float)
        gains[0] = 1.0
        ours = _gain(gains.tolist()) / _gain(sorted(gains.tolist(), reverse=True))
        theirs = metrics.ndcg_score([2.0**gains - 1.0], [-np.arange(15.0)], k=DEPTH)
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_curve_of_calibration_is_that_of_scikit_learn():
    truth, said = labelled(9)
    # Theirs count a value between two bins to the lower, ours to the upper.
    said = said + 0.001
    found = calibration(truth, said, said, 0.05)["champion"]
    came, told = calibration_curve(truth, said, n_bins=10)
    bins = [one for one in found["bins"] if one["n"]]
    assert [one["came"] for one in bins] == pytest.approx(came.tolist(), abs=1e-12)
    assert [one["said"] for one in bins] == pytest.approx(told.tolist(), abs=1e-12)
    weights = np.array([one["n"] for one in bins]) / len(truth)
    assert found["error"] == pytest.approx(float((weights * np.abs(came - told)).sum()), abs=1e-12)


def test_every_method_is_in_the_table():
    found = set()
    for module in pkgutil.iter_modules(infer.__path__):
        own = importlib.import_module(f"{infer.__name__}.{module.name}")
        found |= {name for name in vars(own) if re.fullmatch(r"infer_\w+|(?!_)\w*log_es?|calibration|tape", name)
                  and getattr(own, name).__module__ == own.__name__}  # fmt: skip
    named = {name for row in oracles.ROWS for name in row.functions}
    assert found - named == set()


def test_every_test_of_the_table_exists_and_the_documentation_shows_it():
    for row in oracles.ROWS:
        for place in row.tests:
            file, _, name = place.partition("::")
            assert f"def {name}(" in (TESTS / file).read_text(), place
    assert oracles.PAGE.read_text() == oracles.page(), "run `python -m judge.infer.oracles` in tests/"
