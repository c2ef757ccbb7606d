"""Many lines at once say what each says alone, and their intervals end where the test begins to reject."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.infer import answer, answers, labels
from crossfade.judge.infer.exceeding import EPOCH_GROWTH
from crossfade.judge.infer.laid import EventLines, TrialLines
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import GROWTH, QuantileMoments, RateMoments
from guarantees.worlds import Plan, latencies, returning, settled
from judge.questions import ERRORS, LATENCY, PURCHASE, REVENUE, means, percent, pp

NULLS = [(1.0, 0.0), (1.0, 0.004), (1.0, -0.01), (1.3, 0.0), (0.7, 0.0)]


def some(seed: int, known: bool) -> RateMoments:
    rng = np.random.default_rng(seed)
    shares = [(0.01, 0.05, 0.3), (0.5,), (0.2, 0.2)][seed % 3]
    plan = Plan(shares=shares, buckets=int(rng.integers(1, 12)), arrivals=int(rng.integers(1, 60)))
    if known:
        return settled(rng, plan, 0.2, 0.25)
    return returning(rng, plan, 0.1, 0.15, visits=1.0, spread=0.1, counted=seed % 2 == 0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_each_line_has_the_e_value_it_has_alone(known, sign):
    lines = [some(seed, known) for seed in range(12)] + [RateMoments(settled=known)]
    laid = TrialLines(lines) if known else EventLines(lines)
    for slope, offset in NULLS:
        fine = np.arange(len(lines)) % 3 == 1
        at = np.full(len(lines), slope), np.full(len(lines), offset), np.full(len(lines), float(sign)), fine
        together = laid.log_e(np.arange(len(lines)), *at)
        for one, small, found in zip(lines, fine, together, strict=True):
            weights = labels.FINE if small else labels.WEIGHTS
            null = np.array([slope]), np.array([offset])
            alone = (
                labels.trials_log_e(labels.trials(one), *null, sign, weights)
                if known
                else labels.events_log_e(labels.events(one), *null, sign, weights)
            )
            assert found == pytest.approx(float(alone[0]), rel=1e-9, abs=1e-9)


def test_units_that_stray_from_the_plan_only_take_away():
    one = some(1, known=False)
    n_a, n_b = np.full(len(one.share), 400), np.full(len(one.share), 100)
    k = {"k_a": np.full(len(one.share), 20), "k_b": np.full(len(one.share), 9)}

    def asked(share: float, sign: float) -> float:
        seen = {"n_a": n_a, "n_b": n_b, "seen_a": n_a, "seen_b": n_b, **k}
        lines = EventLines([replace(one, share=np.full(len(one.share), share), **seen)])
        assert lines.strays.tolist() == [share != 0.2]
        null = np.ones(1), np.zeros(1), np.array([sign]), np.zeros(1, dtype=bool)
        return float(lines.log_e(np.zeros(1, dtype=np.int64), *null)[0])

    for sign in (1.0, -1.0):
        # Too many units for the plan look like harm by the plan alone, too few like safety: by both they do not.
        assert asked(0.1, sign) <= asked(0.2, sign) + 1e-9
        assert asked(0.4, sign) <= asked(0.2, sign) + 1e-9


def test_lines_may_come_in_any_order_and_several_times():
    lines = [some(seed, True) for seed in range(5)]
    laid = TrialLines(lines)
    one = np.ones(5), np.zeros(5), np.ones(5), np.zeros(5, dtype=bool)
    assert laid.log_e(np.array([3, 0, 3, 4, 1]), *one) == pytest.approx(
        laid.log_e(np.arange(5), *one)[[3, 0, 3, 4, 1]], rel=1e-12
    )


def question(metric, limit, alpha=0.01) -> Question:
    return Question(
        metric=metric,
        role="guardrail",
        limit=limit,
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=alpha,
        alpha_safe=0.05,
    )


def test_a_mixed_look_says_of_every_line_what_it_says_alone():
    rng = np.random.default_rng(3)
    asked = [(question(PURCHASE, percent(5)), some(seed, True)) for seed in range(8)]
    asked += [(question(ERRORS, pp(0.5)), some(seed, False)) for seed in range(8)]
    asked += [(question(REVENUE, percent(2)), means((rng.normal(10, 3, n), rng.normal(11, 3, n)))) for n in (50, 900)]
    order = rng.permutation(len(asked))
    asked = [asked[place] for place in order]
    for (put, moments), line in zip(asked, answers(asked), strict=True):
        alone = answer(put, moments)
        assert (line.verdict, line.reason, line.units, line.events) == (
            alone.verdict,
            alone.reason,
            alone.units,
            alone.events,
        )
        for name in ("estimate", "lower", "upper", "limit", "e_value", "e_value_safe"):
            one, other = getattr(line, name), getattr(alone, name)
            assert one == other or one == pytest.approx(other, rel=1e-9), name


def slow_exceeding(q: Question, found: QuantileMoments, shift: int, sign: int) -> float:
    """The log e-value against exceeding the champion's cut, `shift` bins on, as often: an epoch and a bet at a time."""
    quantile = q.metric.q or 0.5
    use = (found.share > 0.0) & (found.share < 1.0)
    a, b = (np.pad(counts[use], ((0, 0), (found.low, 0))) for counts in (found.counts_a, found.counts_b))
    share = found.share[use]
    starts, _ = labels.epoch_starts(a.sum(axis=1) + b.sum(axis=1), share, EPOCH_GROWTH)
    won = np.zeros(len(labels.DELTAS))
    for start, end in itertools.pairwise([*starts.tolist(), len(share)]):
        past = a[:start].sum(axis=0)
        if past.sum() < 2.0 / min(quantile, 1.0 - quantile):
            continue
        cut = int(np.searchsorted(np.cumsum(past), quantile * past.sum()))
        over = [float(one[start:end].sum(axis=0)[at + 1 :].sum()) for one, at in ((a, cut), (b, max(cut + shift, -1)))]
        n = [float(one[start:end].sum()) for one in (a, b)]
        at = share[start : start + 1]
        if q.stage == "shadow":
            hit_a, hit_b = labels.event_bets(at, sign)
            won += over[0] * hit_a[0] + over[1] * hit_b[0]
        else:
            odds = labels.bets(at, np.array([1.0 - quantile]), np.ones(1), np.zeros(1), sign)
            won += odds.gathered(*(np.array([one]) for one in (n[0], over[0], n[1], over[1])))[0, 0]
    return float(labels.mixture(won))


def timed(seed: int) -> tuple[Question, QuantileMoments]:
    rng = np.random.default_rng(seed)
    shares = [(0.01, 0.05, 0.3), (0.5,), (0.2, 0.2), (0.0, 0.5, 1.0)][seed % 4]
    plan = Plan(shares=shares, buckets=int(rng.integers(1, 30)), arrivals=int(rng.integers(1, 60)))
    found = latencies(rng, plan, factor=(0.6, 1.0, 1.7)[seed % 3], spread=(0.02, 0.5, 1.5)[seed % 3])
    there = np.flatnonzero((found.counts_a + found.counts_b).any(axis=0))
    low = int(there[0]) if seed % 2 else 0
    found = replace(found, low=low, counts_a=found.counts_a[:, low:], counts_b=found.counts_b[:, low:])
    metric = replace(LATENCY, q=(0.5, 0.95, 0.99)[seed % 3])
    asked = replace(question(metric, None), stage=("ab", "shadow")[seed // 2 % 2])
    return asked, replace(found, counts_b=0 * found.counts_b) if seed % 13 == 0 else found


def test_quantiles_of_many_lines_are_those_of_each_bet_by_bet():
    asked = [timed(seed) for seed in range(30)] + [(question(LATENCY, None), QuantileMoments())]
    together = answers(asked)
    for (put, moments), line in zip(asked, together, strict=True):
        alone = answer(put, moments)
        assert (line.verdict, line.reason, line.units) == (alone.verdict, alone.reason, alone.units)
        for name in ("estimate", "lower", "upper", "limit", "e_value", "e_value_safe"):
            one, other = getattr(line, name), getattr(alone, name)
            assert one == other or one == pytest.approx(other, rel=1e-12), name
        if line.e_value is None or line.e_value_safe is None:
            continue
        assert math.log(line.e_value) == pytest.approx(slow_exceeding(put, moments, 0, 1), rel=1e-9, abs=1e-9)
        for end, sign, alpha in ((line.lower, 1, 0.01), (line.upper, -1, 0.05)):
            if end is None or not line.values or not line.values["v1"]:
                continue
            # The end lies between a null that is rejected and the next that is not; near the estimate a bin is between.
            bins = math.log1p(end / line.values["v1"]) / math.log(GROWTH)
            if abs(end - (line.estimate or 0.0)) > 0.3 * line.values["v1"]:
                continue
            near, far = (math.ceil(bins), math.floor(bins)) if sign > 0 else (math.floor(bins), math.ceil(bins))
            assert slow_exceeding(put, moments, far - sign, sign) >= -math.log(alpha)
            assert slow_exceeding(put, moments, near + sign, sign) < -math.log(alpha)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(200, 40_000),
    share=st.sampled_from((0.02, 0.5)),
    rate=st.floats(0.002, 0.9),
    factor=st.floats(0.5, 1.1),
    known=st.booleans(),
    relative=st.booleans(),
)
def test_an_interval_ends_where_the_test_begins_to_reject(n, share, rate, factor, known, relative):
    n_b = max(round(n * share), 20)
    n_a = n - n_b
    one = [np.array([count]) for count in (n_a, round(n_a * rate), n_b, round(n_b * rate * factor))]
    moments = RateMoments(
        step=np.array([0]),
        bucket=np.array([0]),
        share=np.array([n_b / n]),
        n_a=one[0],
        k_a=one[1],
        n_b=one[2],
        k_b=one[3],
        settled=known,
    )
    found = answer(question(PURCHASE, percent(1e-9) if relative else pp(1e-9)), moments)
    laid = TrialLines([moments]) if known else EventLines([moments])
    if found.estimate is None or not found.values or not found.values["v1"]:
        return
    for end, sign, alpha in ((found.lower, 1.0, 0.05), (found.upper, -1.0, 0.01)):
        # At the limit itself the test has the last word, and beyond these no null is tried.
        if end is None or abs(end) > 0.8 or abs(end) < 1e-6:
            continue
        near = 0.1 * math.sqrt(max(rate * (1.0 - rate), 0.01) / n_b)
        for away, rejected in ((sign * near, False), (-sign * near, True)):
            at = end + away
            slope, offset = (1.0 + at / found.values["v1"], 0.0) if relative else (1.0, at)
            if slope <= 0.0:
                continue
            log_e = laid.log_e(
                np.array([0]), np.array([slope]), np.array([offset]), np.array([sign]), np.array([False])
            )[0]
            # Ends are read off between two nulls that were tried, which is good to a hundredth of the evidence.
            assert (log_e >= -math.log(alpha) + (-0.05 if rejected else 0.05)) == rejected
