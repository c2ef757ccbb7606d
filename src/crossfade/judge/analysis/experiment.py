"""A table of units to the lines of evidence at each look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossfade.judge.analysis import report
from crossfade.judge.analysis.asked import AnalysisError, Asked
from crossfade.judge.analysis.report import Analysis, Family, Line
from crossfade.judge.analysis.units import Pair, Units, Values, has_value, moments, pair
from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answer
from crossfade.judge.infer.mismatch import SampleRatio, Stretch, log_e, sample_ratio
from crossfade.judge.infer.quantiles import exact_values
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, unmeasured_line
from crossfade.judge.moments import FIRST_EDGE
from crossfade.spec.model import Kind
from crossfade.spec.problems import listed, nearest

MOST_SEGMENTS = 50
"""Values of one column that are still segments, and not an identity."""

NO_WINDOW = "one look at the end of the data: without a window a unit's value may still change, so later looks are new"
FROM_COUNTS = "blocks of time with the share of units that came; fair for independent units whatever the shares were"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an experiment is looked at."""

    baseline: str
    alpha: float
    window: float | None = None
    looks: int = 1
    expected: Mapping[str, float] | None = None
    metrics: int | None = None
    """Among how many metrics alpha is shared, where others are analysed apart."""
    span: tuple[float, float] | None = None
    """When the data begins and ends, where these units are only some."""


def analyse(
    units: Units, asked: Sequence[Asked], settings: Settings, names: Sequence[str], notes: list[str]
) -> Analysis:
    """All lines at all looks; `names` are the outcomes that the data has."""
    others = [arm for arm in units.arms if arm != settings.baseline]
    if not others:
        raise AnalysisError(
            f"{settings.baseline} is the only arm of the data, so there is nothing to compare it with",
            found_in_data=True,
        )
    expected = settings.expected
    if expected is not None:
        check_planned(units.arms, expected)
    segments = list(_segments(units, notes))
    metrics = settings.metrics or len(asked)
    family = Family(alpha=settings.alpha, metrics=metrics, arms=len(others), segments=len(segments))
    times = _looks(units, settings)
    lines: list[Line] = []
    ratio, most = report.unplanned(settings.alpha), None
    for look, now in enumerate(times.tolist(), start=1):
        found = [
            Line(look=look, evidence=line)
            for where, mask in [(None, None), *segments]
            for line in _lines(units, asked, settings, names, family, others, times, now, where, mask)
        ]
        if expected is not None:
            ratio, most = _ratio(units, settings, now, most)
            found = report.distrust(found, look, ratio)
        lines.extend(found)
    return Analysis(
        lines=tuple(lines),
        sample_ratio=ratio,
        alpha=settings.alpha,
        baseline=settings.baseline,
        arms=units.arms,
        notes=tuple(notes),
    )


def _lines(
    units: Units,
    asked: Sequence[Asked],
    settings: Settings,
    names: Sequence[str],
    family: Family,
    others: Sequence[str],
    times: npt.NDArray[np.float64],
    now: float,
    where: str | None,
    mask: Mask | None,
) -> Iterator[Evidence]:
    alpha = family.whole if where is None else family.part
    for arm in others:

        def seen(within: Mask | None, planned: Mapping[str, float] | None, arm: str = arm) -> Pair:
            return pair(
                units,
                settings.baseline,
                arm,
                now=now,
                window=settings.window,
                looks=times,
                planned=planned,
                within=within,
            )

        everyone = seen(mask, settings.expected)
        for one in asked:
            values = units.values[one.metric.name]
            chosen = everyone
            if one.metric.kind is Kind.QUANTILE:
                # Units without a value are left out, so the plan no longer says how many to expect of each arm.
                has = has_value(values)
                chosen = seen(has if mask is None else has & mask, None)
            line = _line(one, values, chosen, arm, settings, names, alpha)
            yield replace(line, segment=where)


def _line(
    one: Asked, values: Values, seen: Pair, arm: str, settings: Settings, names: Sequence[str], alpha: float
) -> Evidence:
    question = report.question(one, arm, settings.baseline, alpha)
    n_b = int(seen.is_b.sum())
    numbers = Numbers(units={settings.baseline: len(seen.chosen) - n_b, arm: n_b}, immature=seen.immature)
    if not sum(values.reports.values()):
        return unmeasured_line(question, _silent(one.outcome, names), numbers)
    if one.per is not None and one.per in names and not np.any(values.per):
        return unmeasured_line(question, f"the denominator {one.per} is zero for every unit", numbers)
    if one.metric.kind is Kind.QUANTILE:
        return _quantile(one, values, seen, question, numbers)
    line = answer(question, moments(one, values, seen))
    added = [NO_WINDOW] if settings.window is None else []
    if one.metric.kind is Kind.RATE and settings.expected is None:
        added.append(FROM_COUNTS)
    if one.cap is not None and one.metric.cap is None:
        added.append(f"values beyond ±{one.cap:g} count as {one.cap:g}; the estimate is of the capped value")
    return replace(line, assumptions=(*line.assumptions, *added))


def _quantile(one: Asked, values: Values, seen: Pair, question: Question, numbers: Numbers) -> Evidence:
    value = values.total[seen.chosen]
    if (value < 0.0).any():
        reason = f"{one.metric.name} has values below zero, and quantiles are compared on values from zero up"
        return unmeasured_line(question, reason, numbers)
    largest = float(np.nanmax(values.total))
    # The bins reach over eight powers of ten from FIRST_EDGE; the largest value is put near their upper end.
    scale = 10.0 ** (math.floor(math.log10(1e8 * FIRST_EDGE / largest)) if largest > 0.0 else 0)
    line = answer(report.scaled(question, scale), moments(one, replace(values, total=values.total * scale), seen))
    return exact_values(line, question, value[~seen.is_b], value[seen.is_b], scale)


def _ratio(units: Units, settings: Settings, now: float, most: float | None) -> tuple[SampleRatio, float | None]:
    assert settings.expected is not None
    here = units.entered <= now
    counts = np.bincount(units.arm[here], minlength=len(units.arms))
    seen = dict.fromkeys(settings.expected, 0) | dict(zip(units.arms, counts.tolist(), strict=True))
    found = sample_ratio([Stretch(planned=settings.expected, units=seen)], alpha=settings.alpha, before=most)
    value = log_e(list(seen.values()), [settings.expected[arm] for arm in seen])
    return found, value if most is None else max(most, value)


def _looks(units: Units, settings: Settings) -> npt.NDArray[np.float64]:
    begun, ended = settings.span or (float(units.entered.min()) if len(units.entered) else 0.0, units.ended)
    if settings.looks == 1:
        return np.array([ended])
    if settings.window is None:
        raise AnalysisError(
            "several looks need a window: without one a unit's value may change between looks",
            "say with --window how long after its first exposure a unit's outcomes count, such as --window 24h",
        )
    return np.linspace(begun, ended, settings.looks + 1)[1:]


def _segments(units: Units, notes: list[str]) -> Iterator[tuple[str, Mask]]:
    for column, (names, index) in units.segments.items():
        if len(names) > MOST_SEGMENTS:
            notes.append(
                f"the column {column} has {len(names):,} values, more than {MOST_SEGMENTS}: not taken as a segment"
            )
            continue
        if len(names) < 2:
            continue
        for i, name in enumerate(names):
            yield f"{column}={name}", index == i


def check_planned(arms: Sequence[str], expected: Mapping[str, float]) -> None:
    """Refuses a plan that forgets an arm."""
    for arm in arms:
        if arm not in expected:
            raise AnalysisError(
                f"--expected says nothing of {arm}, which has units", f"give a share to each of {listed(arms)}"
            )


def _silent(outcome: str, names: Sequence[str]) -> str:
    told = f"no outcome named {outcome} has arrived for any unit"
    near = nearest(outcome, list(names))
    if near and near != outcome:
        return f"{told}; did you mean {near}?"
    others = [name for name in names if name != outcome]
    return f"{told}; there are {listed(others[:5])}" if others else told
