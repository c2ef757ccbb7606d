"""Quantiles: the champion's running cut, margins that move it, refusals while it is learnt."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.quantiles import EDGES, running_quantile
from crossfade.judge.moments import GROWTH, QuantileMoments
from crossfade.spec.model import Margin
from guarantees.worlds import Plan, latencies, quantiles_until
from judge.questions import LATENCY, ask, percent

PLAN = Plan(shares=[0.5], buckets=200, arrivals=40)


def moments(factor: float = 1.0, seed: int = 1, plan: Plan = PLAN) -> QuantileMoments:
    return latencies(np.random.default_rng(seed), plan, factor=factor)


def test_the_running_quantile_is_the_edge_of_its_bin():
    counts = np.zeros(1024, dtype=np.int64)
    counts[[10, 20, 30]] = [90, 5, 5]
    assert running_quantile(counts, 0.5) == EDGES[10]
    assert running_quantile(counts, 0.95) == EDGES[20]
    assert running_quantile(counts, 0.96) == EDGES[30]
    assert running_quantile(counts * 0, 0.5) is None


def test_verdicts_around_a_margin():
    assert ask(LATENCY, moments(), limit=percent(20)).verdict is Verdict.SAFE
    assert ask(LATENCY, moments(1.5), limit=percent(20)).verdict is Verdict.HARMFUL
    assert ask(LATENCY, moments(0.7), role="goal").verdict is Verdict.SAFE
    assert ask(LATENCY, moments(1.5), limit=Margin(value=100.0, relative=False)).verdict is Verdict.SAFE
    assert ask(LATENCY, moments(1.5), limit=Margin(value=5.0, relative=False)).verdict is Verdict.HARMFUL


def test_the_interval_holds_the_true_difference_in_ms():
    found = ask(LATENCY, moments(1.2), limit=percent(20))
    true = 0.2 * 20.0 * float(np.exp(1.6449 * 0.5))
    assert found.lower < true < found.upper
    assert found.values["v1"] == pytest.approx(45.5, rel=0.1)
    assert found.limit == pytest.approx(0.2 * found.values["v1"])


def test_shadow_pairs_are_judged_by_their_exceedances_alone():
    found = ask(LATENCY, moments(1.5), limit=percent(20), stage="shadow")
    assert found.verdict is Verdict.HARMFUL


def test_while_the_cut_is_learnt_it_is_unmeasured():
    found = ask(LATENCY, quantiles_until(moments(), 1), limit=percent(20))
    assert found.verdict is Verdict.UNMEASURED
    assert "learning v1's quantile" in found.reason
    assert ask(LATENCY, QuantileMoments(), limit=percent(20)).verdict is Verdict.UNMEASURED


def shifted(found: QuantileMoments, bins: int) -> QuantileMoments:
    def move(counts):
        return np.roll(counts, bins, axis=1)

    return QuantileMoments(
        step=found.step,
        bucket=found.bucket,
        share=found.share,
        counts_a=move(found.counts_a),
        counts_b=move(found.counts_b),
    )


def test_a_slower_clock_changes_the_milliseconds_and_nothing_else():
    one = ask(LATENCY, moments(1.1), limit=percent(20))
    other = ask(LATENCY, shifted(moments(1.1), 50), limit=percent(20))
    scale = GROWTH**50
    assert other.e_value == pytest.approx(one.e_value, rel=1e-6)
    assert other.e_value_safe == pytest.approx(one.e_value_safe, rel=1e-6)
    for name in ("estimate", "lower", "upper", "limit"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name), rel=1e-6)


def test_interval_and_verdict_agree():
    for factor in (0.8, 1.0, 1.15, 1.2, 1.3):
        for rows in (30, 60, 120, 200):
            for limit in (percent(20), Margin(value=6.0, relative=False)):
                found = ask(LATENCY, quantiles_until(moments(factor, seed=rows), rows), limit=limit)
                low = -np.inf if found.lower is None else found.lower
                high = np.inf if found.upper is None else found.upper
                assert low <= high
                assert (found.verdict is Verdict.HARMFUL) == (low >= found.limit)
                if found.verdict is Verdict.SAFE:
                    assert high <= found.limit
