"""Totals: one line per metric, arm and look, from what was known then; ramps; the sample ratio; alpha shared out."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.analysis.asked import AnalysisError, read_metric
from crossfade.judge.analysis.totals import CUMULATIVE, Totals, analyse_totals
from crossfade.judge.evidence import Verdict

RAMP = np.repeat([0.01, 0.05, 0.25, 0.5], 6)


def counted(n: np.ndarray, sums: np.ndarray, squares: np.ndarray | None = None) -> Totals:
    """Totals from what each look added."""
    return Totals(
        looks=tuple(range(1, len(n) + 1)),
        arms=tuple("abc"[: n.shape[1]]),
        n=n.cumsum(axis=0),
        sum=sums.cumsum(axis=0).astype(np.float64),
        squares=None if squares is None else squares.cumsum(axis=0),
    )


def rates(rng: np.random.Generator, share: np.ndarray, a: np.ndarray | float, b: np.ndarray | float, per: int = 1000):
    n_b = rng.binomial(per, share)
    n = np.c_[per - n_b, n_b]
    return counted(n, np.c_[rng.binomial(n[:, 0], a), rng.binomial(n[:, 1], b)])


def test_a_difference_is_found_and_each_look_has_its_line():
    totals = rates(np.random.default_rng(1), np.full(20, 0.5), 0.05, 0.09)
    found = analyse_totals(totals, [read_metric("buy:rate")], baseline="a", alpha=0.05)
    assert [line.look for line in found.lines] == list(range(1, 21))
    assert found.last[0].verdict is Verdict.SAFE
    assert found.last[0].estimate == pytest.approx(
        totals.sum[-1, 1] / totals.n[-1, 1] - totals.sum[-1, 0] / totals.n[-1, 0]
    )
    assert CUMULATIVE in found.last[0].assumptions


def test_a_look_knows_nothing_of_later_ones():
    totals = rates(np.random.default_rng(2), np.full(10, 0.5), 0.05, 0.06)
    early = Totals(looks=totals.looks[:4], arms=totals.arms, n=totals.n[:4], sum=totals.sum[:4], squares=None)
    asked = [read_metric("buy:rate")]
    whole = analyse_totals(totals, asked, baseline="a", alpha=0.05).lines[:4]
    assert whole == analyse_totals(early, asked, baseline="a", alpha=0.05).lines


def test_a_ramp_while_the_base_rate_triples_is_no_difference():
    base = np.linspace(0.02, 0.06, len(RAMP))
    found = analyse_totals(
        rates(np.random.default_rng(3), RAMP, base, base), [read_metric("buy:rate")], baseline="a", alpha=0.05
    )
    assert all(line.verdict is Verdict.UNDECIDED for line in found.evidence[6:])
    assert abs(found.last[0].estimate) < 0.01


def test_means_over_a_ramp_are_compared_step_by_step():
    rng = np.random.default_rng(4)
    n_b = rng.binomial(2000, RAMP)
    n = np.c_[2000 - n_b, n_b]
    values = [[rng.normal(10 + i, 3, count) for count in row] for i, row in enumerate(n)]
    sums = np.array([[v.sum() for v in row] for row in values])
    squares = np.array([[(v * v).sum() for v in row] for row in values])
    found = analyse_totals(counted(n, sums, squares), [read_metric("x:mean")], baseline="a", alpha=0.05)
    assert {line.verdict for line in found.evidence} <= {Verdict.UNDECIDED, Verdict.UNMEASURED}
    assert abs(found.last[0].estimate) < 1.0
    naive = sums[:, 1].sum() / n[:, 1].sum() - sums[:, 0].sum() / n[:, 0].sum()
    assert naive > 2.0


def test_the_estimate_at_one_share_is_the_plain_difference():
    n, sums, squares = (
        np.array([[1000, 1100], [900, 950]]),
        np.array([[50.0, 66], [40, 50]]),
        np.array([[90.0, 99], [80, 85]]),
    )
    found = analyse_totals(counted(n, sums, squares), [read_metric("x:mean")], baseline="a", alpha=0.05)
    assert found.last[0].estimate == pytest.approx(116 / 2050 - 90 / 1900, abs=1e-12)


def test_a_mismatch_makes_every_line_unmeasured():
    n, k = np.array([[5300, 4000]]), np.array([[530, 520]])
    asked, plan = [read_metric("buy:rate")], {"a": 0.5, "b": 0.5}
    found = analyse_totals(counted(n, k), asked, baseline="a", alpha=0.05, expected=plan)
    assert found.sample_ratio.verdict is Verdict.HARMFUL
    assert found.last[0].verdict is Verdict.UNMEASURED
    assert "sample-ratio mismatch" in found.last[0].reason
    assert found.last[0].estimate is None
    told = analyse_totals(counted(n, k), asked, baseline="a", alpha=0.05)
    assert told.sample_ratio.verdict is Verdict.UNMEASURED
    assert told.sample_ratio.e_value is None
    assert told.last[0].estimate is not None


def test_alpha_is_shared_by_metrics_and_arms():
    n, k = np.array([[5000, 5000, 5000]]), np.array([[250, 260, 250]])
    asked = [read_metric("buy:rate"), read_metric("bounce:rate:lower")]
    found = analyse_totals(counted(n, k), asked, baseline="a", alpha=0.05)
    assert len(found.lines) == 4
    assert {round(1 - line.confidence, 9) for line in found.evidence} == {0.0125}


def test_a_plan_must_name_every_arm():
    totals = counted(np.array([[50, 50]]), np.array([[5, 5]]))
    with pytest.raises(AnalysisError, match="says nothing of b"):
        analyse_totals(totals, [read_metric("buy:rate")], baseline="a", alpha=0.05, expected={"a": 1.0})
