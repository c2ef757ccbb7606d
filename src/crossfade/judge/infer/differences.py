"""How much dearer or slower one model is than another for the same requests: paired, at every look."""

from __future__ import annotations

import math

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_e, radius
from crossfade.judge.infer.contrast import IMMENSE, MINIMUM_UNITS, immense, no_scale
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import PairedMeans

ASSUMPTIONS = (
    "asymptotic confidence sequence over the difference within each unit: units independent, variance finite",
    "pairs are mirrored requests; those of which one reply does not have the number are left out",
)


def infer_differences(question: Question, moments: PairedMeans) -> Evidence:
    """Evidence on the mean difference of a number of both arms over the same requests."""
    n = moments.n
    missing = f"{moments.missing:,} pairs without it in one of the replies are left out" if moments.missing else ""
    numbers = Numbers(units={question.baseline: n, question.arm: n}, assumptions=ASSUMPTIONS, reason=missing)
    if n < MINIMUM_UNITS:
        why = f"{question.metric.name} has {n or 'no'} units with paired replies, needs {MINIMUM_UNITS}"
        refuse = f"{why}; {missing}" if missing else why
        return line(question, Numbers(units=numbers.units, assumptions=ASSUMPTIONS, refuse=refuse))
    value_a, value_b = moments.sum_a / n, moments.sum_b / n
    slope_safe, _ = question.boundary(False)
    spread = _spread(moments, slope_safe)
    if immense(spread, value_a, value_b) or (question.relative and value_a < 0.0):
        refuse = no_scale(question) if value_a < 0.0 else f"{question.metric.name} {IMMENSE}"
        return line(question, Numbers(units=numbers.units, assumptions=ASSUMPTIONS, refuse=refuse))
    alpha_lower, alpha_upper = ends_alpha(question)
    estimate = value_b - value_a
    return line(
        question,
        Numbers(
            units=numbers.units,
            log_harm=_log_e(question, moments, harm=True),
            log_safe=_log_e(question, moments, harm=False),
            estimate=estimate,
            lower=estimate - spread * radius(n, alpha_lower, two_sided=False),
            upper=estimate + spread * radius(n, alpha_upper, two_sided=False),
            limit=question.limit_as_difference(value_a),
            values={question.baseline: value_a, question.arm: value_b},
            assumptions=ASSUMPTIONS,
            reason=missing,
        ),
    )


def _spread(moments: PairedMeans, slope: float) -> float:
    """The standard deviation of `b − slope·a`, and never less than if one unit had been off by its whole size.

    A price that is the same for every request has no spread, which says that none was seen and not that there is none.
    """
    n = moments.n
    mean_a, mean_b = moments.sum_a / n, moments.sum_b / n
    of_a = moments.squares_a / n - mean_a * mean_a
    of_b = moments.squares_b / n - mean_b * mean_b
    both = moments.products / n - mean_a * mean_b
    size = 0.5 * (abs(mean_a) + abs(mean_b))
    return math.sqrt(max(of_b - 2.0 * slope * both + slope * slope * of_a, size * size / n, 0.0))


def _log_e(question: Question, moments: PairedMeans, *, harm: bool) -> float:
    slope, offset = question.boundary(harm)
    n, spread = moments.n, _spread(moments, slope)
    sign, alpha = (question.harm_sign, question.alpha_harm) if harm else (-question.harm_sign, question.alpha_safe)
    away = sign * (moments.sum_b / n - slope * moments.sum_a / n - offset)
    return one_sided_log_e(away * math.sqrt(n) / spread, n, alpha) if spread else -math.inf
