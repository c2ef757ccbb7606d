"""Rates: the share of units with an event, compared by label betting."""

from __future__ import annotations

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import labels
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, crossing, ends_alpha, line
from crossfade.judge.moments import Floats, RateMoments
from crossfade.spec.model import Source

MINIMUM_UNITS = 10
"""Units the smaller arm needs before anything but proven harm is said."""

SETTLED = ("label betting on every unit whose window has closed; exact for any base rate path and any ramp",)
UNSETTLED = (
    "label betting on each unit's first event; exact for any base rate path and any ramp",
    "a unit counts as it stands now: one that arrived lately has had less time to fail",
)

_OUTWARD: Floats = np.r_[np.linspace(0.0, 6.0, 19), 7.0, 8.5, 10.5, 13.0, 17.0, 25.0, 50.0, 150.0, 500.0]
"""Standard errors away from the estimate at which nulls are tried."""


def infer_rate(question: Question, moments: RateMoments) -> Evidence:
    """Evidence on the difference of two rates."""
    units = {question.baseline: int(moments.n_a.sum()), question.arm: int(moments.n_b.sum())}
    events = {question.baseline: int(moments.k_a.sum()), question.arm: int(moments.k_b.sum())}
    value_a, value_b = standardised(moments)
    log_e = _Tests(moments)
    log_harm = log_e.at(*question.boundary(True), question.harm_sign)
    log_safe = log_e.at(*question.boundary(False), -question.harm_sign)
    refuse = _refusal(question, units, events, moments.immature)
    estimate = value_b - value_a if value_a is not None and value_b is not None else None
    lower, upper = (None, None) if refuse or estimate is None else _interval(question, log_e, value_a, value_b, units)
    limit = question.limit_as_difference(value_a)
    return line(
        question,
        Numbers(
            units=units,
            events=events,
            log_harm=log_harm,
            log_safe=log_safe,
            estimate=estimate,
            lower=lower,
            upper=upper,
            limit=limit,
            values={question.baseline: value_a, question.arm: value_b},
            immature=moments.immature,
            assumptions=SETTLED if moments.settled else UNSETTLED,
            refuse=refuse,
            reason=f"a margin of a share has no scale while {question.baseline} has no event" if limit is None else "",
        ),
    )


class _Tests:
    """The e-processes of one set of moments, asked at many nulls."""

    def __init__(self, moments: RateMoments) -> None:
        self._trials = labels.trials(moments) if moments.settled else None
        self._events = None if moments.settled else labels.events(moments)

    def __call__(self, slope: Floats, offset: Floats, sign: int) -> Floats:
        if self._trials is not None:
            return labels.trials_log_e(self._trials, slope, offset, sign)
        assert self._events is not None
        return labels.events_log_e(self._events, slope, offset, sign)

    def at(self, slope: float, offset: float, sign: int) -> float:
        return float(self(np.array([slope]), np.array([offset]), sign)[0])


def standardised(moments: RateMoments) -> tuple[float | None, float | None]:
    """Each arm's rate, steps weighted alike in both arms (n_a n_b / n), so that a ramp does not mix time into them.

    Where units may have their event in a later step than they came in, a step's rate is its first events over the
    units of that step, not over its newcomers.
    """
    if moments.settled:
        _, group = np.unique(moments.step, return_inverse=True)
        n_a, k_a, n_b, k_b = (
            np.bincount(group, weights=counts).astype(np.float64)
            for counts in (moments.n_a, moments.k_a, moments.n_b, moments.k_b)
        )
    else:
        found = labels.events(moments)
        n_a, k_a, n_b, k_b = found.seen_a, found.k_a, found.seen_b, found.k_b
    both = (n_a > 0) & (n_b > 0)
    if not both.any():
        return _share(k_a.sum(), n_a.sum()), _share(k_b.sum(), n_b.sum())
    n_a, k_a, n_b, k_b = n_a[both], k_a[both], n_b[both], k_b[both]
    weight = n_a * n_b / (n_a + n_b)
    weight /= weight.sum()
    return float((weight * k_a / n_a).sum()), float((weight * k_b / n_b).sum())


def _share(events: float, units: float) -> float | None:
    return float(events / units) if units > 0 else None


def _refusal(question: Question, units: dict[str, int], events: dict[str, int], immature: int) -> str:
    waiting = f"; {immature} more wait for their window to close" if immature else ""
    for arm, n in units.items():
        if n == 0:
            return f"{question.metric.name} has no unit from {arm} yet{waiting}"
    arm, fewest = min(units.items(), key=lambda item: item[1])
    if fewest < MINIMUM_UNITS:
        return f"{question.metric.name} has {fewest} units from {arm}, needs {MINIMUM_UNITS}{waiting}"
    if question.metric.source is Source.OUTCOME:
        silent = [arm for arm, k in events.items() if k == 0]
        if len(silent) == 2:
            return f"{question.metric.name} has no outcome from either arm yet"
        if silent and question.harm_sign < 0:
            return f"{question.metric.name} has no outcome from {silent[0]} yet"
    return ""


def _interval(
    question: Question, tests: _Tests, value_a: float | None, value_b: float | None, units: dict[str, int]
) -> tuple[float | None, float | None]:
    """The differences (or, for a margin of a share, the ratios) that the tests do not reject."""
    assert value_a is not None
    assert value_b is not None
    alpha_lower, alpha_upper = ends_alpha(question)
    n_a, n_b = units[question.baseline], units[question.arm]
    if question.relative and question.role != "goal":
        if value_a == 0.0:
            return None, None
        hits_a, hits_b = value_a * n_a + 0.5, value_b * n_b + 0.5
        centre = (hits_b / n_b) / (hits_a / n_a)
        spread = np.exp(np.minimum(_OUTWARD * np.sqrt(1.0 / hits_a + 1.0 / hits_b), 14.0))
        down, up = centre / spread, centre * spread
        nothing = np.zeros_like(down)
        low = crossing(down, tests(down, nothing, +1), alpha_lower)
        high = crossing(up, tests(up, nothing, -1), alpha_upper)
        return _scaled(low, value_a), _scaled(high, value_a)
    estimate = value_b - value_a
    pooled = (value_a * n_a + value_b * n_b + 1.0) / (n_a + n_b + 2.0)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b))
    down = np.maximum(estimate - _OUTWARD * error, -0.999)
    up = np.minimum(estimate + _OUTWARD * error, 0.999)
    same = np.ones_like(down)
    return (
        crossing(down, tests(same, down, +1), alpha_lower),
        crossing(up, tests(same, up, -1), alpha_upper),
    )


def _scaled(ratio: float | None, value_a: float) -> float | None:
    return None if ratio is None else (ratio - 1.0) * value_a
