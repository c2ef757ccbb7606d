"""From numbers to a line of evidence: thresholds, the end-consistent interval, and the word."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats

LARGEST_LOG = 690.0
"""Log e-values are capped here, before a float overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a method found; `log_harm` and `log_safe` are log e-values."""

    units: Mapping[str, int]
    log_harm: float | None = None
    log_safe: float | None = None
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    values: Mapping[str, float | None] | None = None
    events: Mapping[str, int] | None = None
    counterfactual: Mapping[str, float] | None = None
    immature: int = 0
    assumptions: tuple[str, ...] = ()
    refuse: str = ""
    """Why this cannot be called a measurement. Proven harm is called harm all the same, if both arms were seen."""
    reason: str = ""
    """A remark on a line that was measured."""


def line(question: Question, numbers: Numbers) -> Evidence:
    """The line of evidence; a refusal hides estimate, interval and safety, but never proven harm."""
    harm = _reached(numbers.log_harm, question.alpha_harm) and all(numbers.units.values())
    if numbers.refuse and not harm:
        return unmeasured_line(question, numbers.refuse, numbers)
    safe = not harm and _reached(numbers.log_safe, question.alpha_safe)
    verdict = Verdict.HARMFUL if harm else Verdict.SAFE if safe else Verdict.UNDECIDED
    lower, upper = _agree(question, numbers, harm, safe)
    return Evidence(
        metric=question.metric.name,
        kind=str(question.metric.kind),
        arm=question.arm,
        baseline=question.baseline,
        stage=question.stage,
        step=question.step,
        segment=question.segment,
        units=numbers.units,
        estimate=numbers.estimate,
        lower=lower,
        upper=upper,
        confidence=1.0 - question.alpha_harm,
        confidence_safe=1.0 - question.alpha_safe,
        e_value=e_value(numbers.log_harm),
        e_value_safe=e_value(numbers.log_safe),
        limit=numbers.limit,
        better=str(question.metric.better),
        role=question.role,
        verdict=verdict,
        reason=numbers.reason,
        window=question.window,
        values=numbers.values,
        events=numbers.events,
        counterfactual=numbers.counterfactual,
        immature=numbers.immature,
        assumptions=numbers.assumptions,
    )


def unmeasured_line(question: Question, reason: str, numbers: Numbers | None = None) -> Evidence:
    """A line that says why nothing could be measured; counts are kept, estimates are not."""
    return Evidence(
        metric=question.metric.name,
        kind=str(question.metric.kind),
        arm=question.arm,
        baseline=question.baseline,
        stage=question.stage,
        step=question.step,
        segment=question.segment,
        units=numbers.units if numbers else {question.baseline: 0, question.arm: 0},
        confidence=1.0 - question.alpha_harm,
        confidence_safe=1.0 - question.alpha_safe,
        limit=numbers.limit if numbers else question.limit_as_difference(None),
        better=str(question.metric.better),
        role=question.role,
        verdict=Verdict.UNMEASURED,
        reason=reason,
        window=question.window,
        events=numbers.events if numbers else None,
        immature=numbers.immature if numbers else 0,
        assumptions=numbers.assumptions if numbers else (),
    )


def e_value(log_e: float | None) -> float | None:
    """The e-value itself, capped where a float would overflow."""
    return None if log_e is None else math.exp(min(log_e, LARGEST_LOG))


def ends_alpha(question: Question) -> tuple[float, float]:
    """The error allowed at the lower and at the upper end of the interval.

    Each end inverts the test that looks in its direction, at that test's own alpha, so that interval and verdict agree.
    """
    if question.harm_sign > 0:
        return question.alpha_harm, question.alpha_safe
    return question.alpha_safe, question.alpha_harm


def bisect(rejects: Callable[[float], bool], near: float, far: float, *, rounds: int = 40) -> float | None:
    """The value between `near` (not rejected) and `far` where rejection begins; None when `far` is not rejected."""
    if not rejects(far):
        return None
    if rejects(near):
        return near
    for _ in range(rounds):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if rejects(middle) else (middle, far)
    return far


def bisected(rejects: Callable[[Floats], npt.NDArray[np.bool_]], near: Floats, far: Floats) -> list[float | None]:
    """`bisect` of many at once: `rejects` says of one value for each whether it is rejected."""
    never, at_once = ~rejects(far), rejects(near)
    inner, outer = near, far
    for _ in range(40):
        middle = 0.5 * (inner + outer)
        rejected = rejects(middle)
        inner, outer = np.where(rejected, inner, middle), np.where(rejected, middle, outer)
    found = np.where(at_once, near, outer).tolist()
    return [None if none else end for none, end in zip(never.tolist(), found, strict=True)]


def _reached(log_e: float | None, alpha: float) -> bool:
    return log_e is not None and log_e >= -math.log(alpha)


def _agree(question: Question, numbers: Numbers, harm: bool, safe: bool) -> tuple[float | None, float | None]:
    """The interval, never beyond the limit on a side where the test itself did not reject the limit.

    Interpolation and mixtures can differ from the test at the limit in the last digits; the test is what counts. A goal
    with a margin has two limits and only the one shown, no difference, is compared.
    """
    lower, upper, limit = numbers.lower, numbers.upper, numbers.limit
    if limit is None or (question.role == "goal" and question.limit is not None):
        return lower, upper
    above, below = (harm, safe) if question.harm_sign > 0 else (safe, harm)
    if lower is not None:
        lower = max(lower, limit) if above else min(lower, limit)
    if upper is not None:
        upper = min(upper, limit) if below else max(upper, limit)
    return lower, upper
