"""Laws of moments: what merges tells the same merged or apart, and steps are never pooled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import infer
from crossfade.judge.moments import Moments, PairedMoments, RateMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

ERRORS = Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)
SHARES = (0.05, 0.2, 0.5)

bucket = st.tuples(st.integers(0, 2), st.integers(0, 400), st.floats(0, 0.3), st.floats(0, 0.3))


def rates(rows: list[tuple[int, int, float, float]]) -> RateMoments:
    """Buckets of (step, units, rate of A, rate of B)."""
    ordered = sorted(rows, key=lambda row: row[0])
    step = np.array([row[0] for row in ordered], dtype=np.int64)
    share = np.array([SHARES[row[0]] for row in ordered])
    n = np.array([row[1] for row in ordered], dtype=np.int64)
    n_b = np.round(n * share).astype(np.int64)
    return RateMoments(
        step=step,
        bucket=np.arange(len(rows)),
        share=share,
        n_a=n - n_b,
        n_b=n_b,
        k_a=np.round((n - n_b) * np.array([row[2] for row in ordered])).astype(np.int64),
        k_b=np.round(n_b * np.array([row[3] for row in ordered])).astype(np.int64),
    )


def ask(moments: Moments, stage: str = "canary") -> Evidence:
    return infer(
        ERRORS,
        moments,
        role="guardrail",
        limit=Margin(value=0.01, relative=False),
        arm="v2",
        baseline="v1",
        stage=stage,
        step=0,
        alpha_harm=0.01,
        alpha_safe=0.05,
    )


def merged(moments: RateMoments) -> RateMoments:
    """All buckets of a step in one."""
    step, group = np.unique(moments.step, return_inverse=True)

    def total(values):
        return np.bincount(group, weights=values, minlength=len(step)).astype(np.int64)

    return RateMoments(
        step=step,
        bucket=np.arange(len(step)),
        share=np.array([SHARES[s] for s in step]),
        n_a=total(moments.n_a),
        k_a=total(moments.k_a),
        n_b=total(moments.n_b),
        k_b=total(moments.k_b),
    )


def same(one: Evidence, other: Evidence) -> None:
    for name in ("estimate", "lower", "upper", "e_value", "e_value_safe"):
        first, second = getattr(one, name), getattr(other, name)
        assert first == (None if second is None else pytest.approx(second, rel=1e-6, abs=1e-12))
    assert (one.verdict, one.units, one.events, one.reason) == (other.verdict, other.units, other.events, other.reason)


@settings(deadline=None)
@given(st.lists(bucket, min_size=1, max_size=12))
def test_first_events_tell_the_same_in_fine_buckets_and_in_coarse_ones(rows):
    moments = rates(rows)
    same(ask(moments), ask(merged(moments)))


@settings(deadline=None)
@given(st.lists(bucket, min_size=1, max_size=12), st.integers(0, 12))
def test_an_empty_bucket_tells_nothing(rows, where):
    moments = rates(rows)
    at = min(where, len(rows) - 1)
    empty = {name: np.insert(getattr(moments, name), at, 0) for name in ("n_a", "k_a", "n_b", "k_b")}
    wider = replace(
        moments,
        step=np.insert(moments.step, at, moments.step[at]),
        share=np.insert(moments.share, at, moments.share[at]),
        bucket=np.arange(len(rows) + 1),
        **empty,
    )
    same(ask(moments), ask(wider))
    same(ask(replace(moments, settled=True)), ask(replace(wider, settled=True)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 200)), min_size=1, max_size=10))
def test_pairs_tell_the_same_in_any_buckets_and_any_order(rows):
    def pairs(found):
        plus, minus, zero = (np.array(column, dtype=np.int64) for column in zip(*found, strict=True))
        return PairedMoments(bucket=np.arange(len(found)), plus=plus, minus=minus, zero=zero)

    whole = [tuple(int(sum(column)) for column in zip(*rows, strict=True))]
    for stage in ("shadow", "interleave"):
        same(ask(pairs(rows), stage), ask(pairs(whole), stage))
        same(ask(pairs(rows), stage), ask(pairs(rows[::-1]), stage))


@settings(deadline=None)
@given(st.integers(2000, 100_000), st.floats(0.01, 0.1))
def test_a_step_with_another_base_rate_moves_no_estimate(units, rate):
    calm = rates([(0, units, rate, rate), (2, units, rate, rate)])
    wild = rates([(0, units, rate, rate), (2, units, 3 * rate, 3 * rate)])
    tolerance = 2.0 / (units * min(SHARES))
    assert abs(ask(calm).estimate) < tolerance
    assert abs(ask(wild).estimate) < tolerance
