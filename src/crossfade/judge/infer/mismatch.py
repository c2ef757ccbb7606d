"""Sample-ratio mismatch: whether units arrive in the shares that were planned, readable at every look.

The bet is a Dirichlet around the planned shares (Lindon and Malek, *Anytime-valid inference for multinomial count
data*, 2022). Where the plan changes over time, each stretch of one plan is bet on anew with the wealth of those
before it: the product of tests that are fair given the past is fair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.verdict import LARGEST_LOG, e_value
from crossfade.judge.moments import Floats, Ints, RateMoments

CONCENTRATION = 3000.0
"""Strength of the Dirichlet around the plan: tuned to shares that are off by about a point in a hundred."""

MINIMUM_UNITS = 100
"""Units needed before no mismatch is said to be no mismatch."""

SAMPLE_RATIO = "sample ratio"
"""The name of the line that says whether units were assigned as planned. No metric of a spec can have it."""

ASSUMPTIONS = (
    "each unit counts once and is assigned independently of the others",
    "Dirichlet bet around the planned shares; valid at every look, and over a changing plan as a product of its parts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Units by arm while one plan was in force. `planned` sums to one."""

    planned: Mapping[str, float]
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """What the counts of units say about the plan. `harmful`: they do not fit it, so no comparison is to be trusted."""

    e_value: float | None
    p_value: float | None
    verdict: Verdict
    reason: str
    alpha: float
    units: Mapping[str, int]
    expected: Mapping[str, float]
    """Units that the plan would have given each arm."""
    assumptions: tuple[str, ...] = ASSUMPTIONS


def log_e(units: Sequence[int] | Floats, planned: Sequence[float] | Floats, strength: float = CONCENTRATION) -> float:
    """Log e-value of counts against planned shares; one unit where none is planned is evidence without limit."""
    n, theta = np.asarray(units, dtype=np.float64), np.asarray(planned, dtype=np.float64)
    unplanned = theta <= 0.0
    if (n[unplanned] > 0).any():
        return math.inf
    n, theta = n[~unplanned], theta[~unplanned]
    prior = strength * theta
    grown = gammaln(prior + n) - gammaln(prior)
    return float(grown.sum() - gammaln(strength + n.sum()) + gammaln(strength) - (n * np.log(theta)).sum())


def stretches(moments: RateMoments, baseline: str, arm: str) -> tuple[Stretch, ...]:
    """Units of one pair of arms, gathered by the assignment probability they came under."""
    shares, group = np.unique(np.round(moments.share, 12), return_inverse=True)
    n_a = np.bincount(group, weights=moments.n_a, minlength=len(shares))
    n_b = np.bincount(group, weights=moments.n_b, minlength=len(shares))
    return tuple(
        Stretch(planned={baseline: 1.0 - share, arm: share}, units={baseline: round(a), arm: round(b)})
        for share, a, b in zip(shares.tolist(), n_a.tolist(), n_b.tolist(), strict=True)
    )


def sample_ratio(
    parts: Sequence[Stretch], *, alpha: float, strength: float = CONCENTRATION, before: float | None = None
) -> SampleRatio:
    """Whether units by arm fit the plan; `before` is the largest log e-value of earlier looks.

    A mismatch once proven stays proven: the p-value is that of the largest evidence so far.
    """
    arms = list(dict.fromkeys(arm for stretch in parts for arm in (*stretch.planned, *stretch.units)))
    units = {arm: sum(stretch.units.get(arm, 0) for stretch in parts) for arm in arms}
    expected = {
        arm: sum(stretch.planned.get(arm, 0.0) * sum(stretch.units.values()) for stretch in parts) for arm in arms
    }
    total = sum(units.values())
    if total == 0:
        return SampleRatio(
            e_value=None,
            p_value=None,
            verdict=Verdict.UNMEASURED,
            reason="no unit has been exposed",
            alpha=alpha,
            units=units,
            expected=expected,
        )
    found = sum(
        log_e([s.units.get(arm, 0) for arm in arms], [s.planned.get(arm, 0.0) for arm in arms], strength) for s in parts
    )
    most = max(found, before if before is not None else -math.inf)
    proven = most >= -math.log(alpha)
    if proven:
        verdict, reason = Verdict.HARMFUL, _told(units, expected)
    elif total < MINIMUM_UNITS:
        verdict, reason = Verdict.UNMEASURED, f"{total} units cannot show a mismatch, needs {MINIMUM_UNITS}"
    else:
        verdict, reason = Verdict.UNDECIDED, f"no mismatch found among {total:,} units"
    return SampleRatio(
        e_value=e_value(found),
        p_value=math.exp(-min(max(most, 0.0), LARGEST_LOG)),
        verdict=verdict,
        reason=reason,
        alpha=alpha,
        units=units,
        expected=expected,
    )


def _told(units: Mapping[str, int], expected: Mapping[str, float]) -> str:
    extra = [arm for arm in units if units[arm] and not expected[arm]]
    if extra:
        return f"the units do not fit the plan: {extra[0]} has {units[extra[0]]:,} and was given no share"
    lost = min(units, key=lambda arm: (units[arm] - expected[arm]) / math.sqrt(max(expected[arm], 1.0)))
    return (
        f"the units do not fit the plan: {lost} has {units[lost]:,} where {expected[lost]:,.0f} were due; "
        "find out who is lost before trusting any comparison"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The strongest evidence of a mismatch at any time so far. A mismatch once proven stays proven."""

    log_e: float
    bucket: int | None
    """The slice of time at whose end it was proven; None where it was not."""


def strongest(moments: RateMoments, alpha: float, strength: float = CONCENTRATION) -> Found:
    """The largest log e-value at the end of any slice of time, and when it first reached 1/alpha."""
    if not len(moments.share):
        return Found(log_e=0.0, bucket=None)
    total = _total(moments, strength)
    # Within a slice nobody knows what came first.
    ends = np.r_[moments.bucket[1:] != moments.bucket[:-1], True]
    at_ends, buckets = total[ends], moments.bucket[ends]
    proven = np.flatnonzero(at_ends >= -math.log(alpha))
    return Found(log_e=float(at_ends.max()), bucket=int(buckets[proven[0]]) if len(proven) else None)


def _total(moments: RateMoments, strength: float) -> Floats:
    """The sum of `log_e` over shares after each row: a row changes that of its own share alone."""
    share = np.round(moments.share, 12)
    order = np.argsort(share, kind="stable")
    first = np.r_[True, share[order][1:] != share[order][:-1]]
    begins = np.flatnonzero(first)[np.cumsum(first) - 1]

    def grown(n: Ints) -> Floats:
        total = np.cumsum(n[order]).astype(np.float64)
        return np.asarray(total - (total - n[order])[begins])

    path = _path(grown(moments.n_a), grown(moments.n_b), share[order], strength)
    change = np.empty(len(path))
    change[order] = path - np.where(first, 0.0, np.r_[0.0, path[:-1]])
    return np.cumsum(change)


def _path(a: Floats, b: Floats, share: Floats, strength: float) -> Floats:
    """`log_e` of two arms as their units grow, each pair of counts at a share of its own."""
    planned = (share > 0.0) & (share < 1.0)
    if not planned.all():
        path = np.where(np.where(share <= 0.0, b, a) > 0.0, LARGEST_LOG, 0.0)
        path[planned] = _path(a[planned], b[planned], share[planned], strength)
        return path
    prior_a, prior_b = strength * (1.0 - share), strength * share
    return np.asarray(
        gammaln(prior_a + a)
        - gammaln(prior_a)
        + gammaln(prior_b + b)
        - gammaln(prior_b)
        - gammaln(strength + a + b)
        + gammaln(strength)
        - a * np.log1p(-share)
        - b * np.log(share)
    )


def infer_sample_ratio(
    moments: RateMoments,
    *,
    arm: str,
    baseline: str,
    stage: str,
    step: int | None,
    alpha: float,
    since: str = "",
    found: Found | None = None,
) -> Evidence:
    """The line on assignment: `unmeasured` once units do not fit the plan, as no comparison is then worth anything.

    That they fit can never be proven, so that the line is `undecided` otherwise. `since` says in words when the
    mismatch was proven, `found` what `strongest` says where that is known already.
    """
    found = found if found is not None else strongest(moments, alpha)
    told = sample_ratio(stretches(moments, baseline, arm), alpha=alpha, before=found.log_e)
    mismatch = told.verdict is Verdict.HARMFUL
    units, total = dict(told.units) or {baseline: 0, arm: 0}, sum(told.units.values())
    measured = total > 0 and not mismatch
    planned = told.expected.get(arm, 0.0) / total if total else None
    actual = units.get(arm, 0) / total if total else None
    return Evidence(
        metric=SAMPLE_RATIO,
        kind="rate",
        arm=arm,
        baseline=baseline,
        stage=stage,
        step=step,
        units=units,
        estimate=actual - planned if measured and actual is not None and planned is not None else None,
        confidence=1.0 - alpha,
        e_value=e_value(found.log_e) if total else None,
        role="gate",
        verdict=Verdict.UNMEASURED if mismatch or not total else Verdict.UNDECIDED,
        reason=f"{told.reason}; proven {since}" if mismatch and since else told.reason,
        assumptions=ASSUMPTIONS,
    )
