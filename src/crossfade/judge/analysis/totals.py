"""Totals by arm and look, for those who have nothing finer: the rows of a summary to lines of evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.analysis import blocks, report
from crossfade.judge.analysis.asked import AnalysisError, Asked
from crossfade.judge.analysis.experiment import FROM_COUNTS, check_planned
from crossfade.judge.analysis.report import Analysis, Family, Line
from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answer
from crossfade.judge.infer.mismatch import Stretch, log_e, sample_ratio
from crossfade.judge.moments import Floats, Ints, MeanMoments, Moments, RateMoments
from crossfade.spec.model import Kind

CUMULATIVE = "totals as they stood at each look; what came between two looks is taken as the units that are new in it"
POOLED = "totals as they stood at each look, all looks in one: the arms' shares must not have changed between looks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Cumulative totals, shape (looks, arms)."""

    looks: tuple[int, ...]
    arms: tuple[str, ...]
    n: Ints
    sum: Floats
    squares: Floats | None
    """Needed for means only."""


def analyse_totals(
    totals: Totals,
    asked: Sequence[Asked],
    *,
    baseline: str,
    alpha: float,
    expected: Mapping[str, float] | None = None,
) -> Analysis:
    """All lines at all looks; the totals of one metric, asked about in each way that `asked` has."""
    others = [arm for arm in totals.arms if arm != baseline]
    if not others:
        raise AnalysisError(f"{baseline} is the only arm, so there is nothing to compare it with", found_in_data=True)
    if expected is not None:
        check_planned(totals.arms, expected)
    family = Family(alpha=alpha, metrics=len(asked), arms=len(others))
    lines: list[Line] = []
    ratio, most = report.unplanned(alpha), None
    for i, look in enumerate(totals.looks):
        found = [
            Line(look=look, evidence=_line(totals, one, i, baseline, arm, family.whole, expected))
            for arm in others
            for one in asked
        ]
        if expected is not None:
            units = dict.fromkeys(expected, 0) | dict(zip(totals.arms, totals.n[i].tolist(), strict=True))
            ratio = sample_ratio([Stretch(planned=expected, units=units)], alpha=alpha, before=most)
            value = log_e(list(units.values()), [expected[arm] for arm in units])
            most = value if most is None else max(most, value)
            found = report.distrust(found, look, ratio)
        lines.extend(found)
    return Analysis(lines=tuple(lines), sample_ratio=ratio, alpha=alpha, baseline=baseline, arms=totals.arms)


def _line(
    totals: Totals,
    one: Asked,
    look: int,
    baseline: str,
    arm: str,
    alpha: float,
    expected: Mapping[str, float] | None,
) -> Evidence:
    a, b = totals.arms.index(baseline), totals.arms.index(arm)
    question = report.question(one, arm, baseline, alpha)
    n_a, n_b = _new(totals.n, a, look), _new(totals.n, b, look)
    step = blocks.steps(n_a, n_b)
    if one.metric.kind is Kind.RATE:
        planned = None if expected is None else expected[arm] / (expected[arm] + expected[baseline])
        found, said = _rate(totals, a, b, look, step, blocks.shares(n_a, n_b, planned))
        added = [said] if planned is not None else [said, FROM_COUNTS]
    else:
        found, said = _mean(totals, a, b, look, step)
        added = [said]
    line = answer(question, found)
    return replace(line, assumptions=(*line.assumptions, *added))


def _rate(totals: Totals, a: int, b: int, look: int, step: Ints, share: Floats) -> tuple[Moments, str]:
    n_a, n_b = _new(totals.n, a, look), _new(totals.n, b, look)
    k_a, k_b = (np.round(_new(totals.sum, arm, look)).astype(np.int64) for arm in (a, b))
    said = CUMULATIVE
    if (k_a > n_a).any() or (k_b > n_b).any() or (k_a < 0).any() or (k_b < 0).any():
        # Events of units that came earlier: what came between two looks is not the new units' alone.
        n_a, n_b, k_a, k_b = (np.array([column.sum()]) for column in (n_a, n_b, k_a, k_b))
        step, said = np.zeros(1, dtype=np.int64), POOLED
        share = blocks.shares(n_a, n_b, None)
    return (
        RateMoments(
            step=step,
            bucket=np.arange(len(step)),
            share=share,
            n_a=n_a,
            k_a=k_a,
            n_b=n_b,
            k_b=k_b,
            settled=True,
        ),
        said,
    )


def _mean(totals: Totals, a: int, b: int, look: int, step: Ints) -> tuple[Moments, str]:
    assert totals.squares is not None
    rows = int(step[-1]) + 1

    def summed(part: np.ndarray, row: Ints, count: int) -> list[Floats]:
        return [np.bincount(row, weights=_new(part, arm, look), minlength=count).astype(np.float64) for arm in (a, b)]

    by_step = [summed(part, step, rows) for part in (totals.n, totals.sum, totals.squares)]
    said = CUMULATIVE if rows > 1 else POOLED
    if rows > 1 and not all(_possible(*(part[side] for part in by_step)) for side in (0, 1)):
        by_step = [summed(part, np.zeros_like(step), 1) for part in (totals.n, totals.sum, totals.squares)]
        rows, said = 1, POOLED
    (n_a, n_b), (sum_a, sum_b), (squares_a, squares_b) = by_step
    return (
        MeanMoments(
            step=np.arange(rows),
            n_a=n_a.astype(np.int64),
            sum_a=sum_a,
            squares_a=squares_a,
            n_b=n_b.astype(np.int64),
            sum_b=sum_b,
            squares_b=squares_b,
        ),
        said,
    )


def _possible(n: Floats, sums: Floats, squares: Floats) -> bool:
    """Whether each row can be the totals of units of its own."""
    return bool(((squares >= 0.0) & (sums * sums <= n * squares * (1.0 + 1e-9) + 1e-9)).all())


def _new(cumulative: np.ndarray, arm: int, look: int) -> np.ndarray:
    """What each look up to `look` added."""
    return np.diff(cumulative[: look + 1, arm], prepend=0)
