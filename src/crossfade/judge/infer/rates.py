"""Rates: the share of units with an event, compared by label betting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.laid import EventLines, Laid, TrialLines
from crossfade.judge.infer.nothing import still
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.infer.walk import walk
from crossfade.judge.moments import Floats, Ints, RateMoments
from crossfade.spec.model import Source

MINIMUM_UNITS = 10
"""Units the smaller arm needs before anything but proven harm is said."""

SETTLED = ("label betting on every unit whose window has closed; exact for any base rate path and any ramp",)
UNSETTLED = (
    "label betting on each unit's first event; exact for any base rate path and any ramp",
    "a unit counts as it stands now: one that arrived lately has had less time to fail",
)

STRAYED = (
    "units did not come in the planned share: events are bet on at that share and at the one that came, and the weaker "
    "counts"
)

Asked = tuple[Question, RateMoments]


def infer_rate(question: Question, moments: RateMoments) -> Evidence:
    """Evidence on the difference of two rates."""
    return infer_rates([(question, moments)])[0]


def infer_rates(asked: Sequence[Asked]) -> list[Evidence]:
    """Evidence of many lines, in their order; together they take a small part of the time that each alone takes."""
    found: dict[int, Evidence] = {}
    for settled in (True, False):
        places = [place for place, (_, moments) in enumerate(asked) if moments.settled is settled]
        if places:
            found |= zip(places, _alike([asked[place] for place in places], settled), strict=True)
    return [found[place] for place in range(len(asked))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one line has counted."""

    units: dict[str, int]
    events: dict[str, int]
    value_a: float | None
    value_b: float | None
    counterfactual: dict[str, float]
    refuse: str


def _alike(asked: Sequence[Asked], settled: bool) -> list[Evidence]:
    """Lines that are all settled, or all not."""
    laid: Laid = TrialLines([moments for _, moments in asked]) if settled else EventLines([m for _, m in asked])
    seen = _counted(asked, laid)
    harm = np.array([question.boundary(True) for question, _ in asked])
    safe = np.array([question.boundary(False) for question, _ in asked])
    sign = np.array([float(question.harm_sign) for question, _ in asked])
    every = np.arange(len(asked))
    goal = np.array([question.role == "goal" for question, _ in asked])
    log_harm = laid.log_e(every, harm[:, 0], harm[:, 1], sign, np.zeros_like(goal)).tolist()
    log_safe = laid.log_e(every, safe[:, 0], safe[:, 1], -sign, goal).tolist()
    ends = _intervals(asked, seen, laid)
    strays = laid.strays if isinstance(laid, EventLines) else np.zeros(len(asked), dtype=bool)
    lines = []
    for place, (question, moments) in enumerate(asked):
        one = seen[place]
        limit = question.limit_as_difference(one.value_a)
        lower, upper = ends.get(place, (None, None))
        lines.append(
            line(
                question,
                Numbers(
                    units=one.units,
                    events=one.events,
                    counterfactual=one.counterfactual,
                    log_harm=log_harm[place],
                    log_safe=log_safe[place],
                    estimate=None if one.value_a is None or one.value_b is None else one.value_b - one.value_a,
                    lower=lower,
                    upper=upper,
                    limit=limit,
                    values={question.baseline: one.value_a, question.arm: one.value_b},
                    immature=moments.immature,
                    assumptions=SETTLED if settled else (*UNSETTLED, *([STRAYED] if strays[place] else [])),
                    refuse=one.refuse,
                    reason=f"a margin of a share has no scale while {question.baseline} has no event"
                    if limit is None
                    else "",
                ),
            )
        )
    return lines


def _counted(asked: Sequence[Asked], laid: Laid) -> list[_Seen]:
    of = np.repeat(np.arange(len(asked)), [len(moments.n_a) for _, moments in asked])
    counts = [
        np.bincount(of, weights=np.concatenate([getattr(m, name) for _, m in asked]), minlength=len(asked)).tolist()
        for name in ("n_a", "n_b", "k_a", "k_b")
    ]
    by_step = _by_step([moments for _, moments in asked], of, laid)
    values, others = _standardised(by_step, len(asked)), _counterfactual(by_step, len(asked))
    seen = []
    for (question, moments), n_a, n_b, k_a, k_b, value, other in zip(asked, *counts, values, others, strict=True):
        units = {question.baseline: int(n_a), question.arm: int(n_b)}
        events = {question.baseline: int(k_a), question.arm: int(k_b)}
        refuse = _refusal(question, units, events, moments)
        seen.append(
            _Seen(
                units=units,
                events=events,
                value_a=value[0],
                value_b=value[1],
                counterfactual={"events": other[0], "deviation": other[1]},
                refuse=refuse,
            )
        )
    return seen


ByStep = tuple[Ints, Floats, Floats, Floats, Floats]
"""Lines, and (n_a, k_a, n_b, k_b) of each of their steps."""


def _by_step(moments: Sequence[RateMoments], of: Ints, laid: Laid) -> ByStep:
    """Units and events of each step.

    Where units may have their event in a later step than they came in, a step's rate is its first events over the
    units of that step, not over its newcomers.
    """
    many = len(moments)
    if isinstance(laid, EventLines):
        line_ = np.repeat(np.arange(many), [len(found.share) for found in laid.found])
        n_a, k_a, n_b, k_b = (
            np.concatenate([getattr(found, name) for found in laid.found])
            for name in ("seen_a", "k_a", "seen_b", "k_b")
        )
    else:
        step = np.concatenate([one.step for one in moments]) if len(of) else np.zeros(0, dtype=np.int64)
        steps = int(step.max()) + 1 if len(step) else 1
        n_a, k_a, n_b, k_b = (
            np.bincount(
                of * steps + step,
                weights=np.concatenate([getattr(one, name) for one in moments]),
                minlength=many * steps,
            )
            for name in ("n_a", "k_a", "n_b", "k_b")
        )
        line_ = np.repeat(np.arange(many), steps)
    return line_, n_a, k_a, n_b, k_b


def _counterfactual(by_step: ByStep, many: int) -> list[tuple[float, float]]:
    """How many of the challenger's units had had the event at the champion's rate of their step, and the deviation.

    Step by step, because a base rate that falls while exposure grows would make a pooled rate look dear.
    """
    line_, n_a, k_a, n_b, _ = by_step
    rate, likely = k_a / np.maximum(n_a, 1.0), (k_a + 2.0) / (n_a + 4.0)
    expected = np.bincount(line_, weights=n_b * rate, minlength=many)
    variance = np.bincount(line_, weights=n_b * n_b * likely * (1.0 - likely) / np.maximum(n_a, 1.0), minlength=many)
    return list(zip(expected.tolist(), np.sqrt(variance).tolist(), strict=True))


def _standardised(by_step: ByStep, many: int) -> list[tuple[float | None, float | None]]:
    """Each arm's rate, steps weighted alike in both arms (n_a n_b / n), so that a ramp does not mix time into them."""
    line_, n_a, k_a, n_b, k_b = by_step
    both = (n_a > 0) & (n_b > 0)
    weight = np.where(both, n_a * n_b, 0.0) / np.maximum(n_a + n_b, 1.0)
    whole = np.bincount(line_, weights=weight, minlength=many)
    rates = []
    for n, k in ((n_a, k_a), (n_b, k_b)):
        weighted = np.bincount(line_, weights=weight * k / np.where(both, n, 1.0), minlength=many)
        plain = np.bincount(line_, weights=k, minlength=many), np.bincount(line_, weights=n, minlength=many)
        rates.append(
            [
                weighed / total if total > 0.0 else events / units if units > 0.0 else None
                for weighed, total, events, units in zip(
                    weighted.tolist(), whole.tolist(), plain[0].tolist(), plain[1].tolist(), strict=True
                )
            ]
        )
    return list(zip(*rates, strict=True))


def _refusal(question: Question, units: dict[str, int], events: dict[str, int], moments: RateMoments) -> str:
    waiting = f"; {moments.immature} more wait for their window to close" if moments.immature else ""
    for arm, n in units.items():
        if n == 0:
            return f"{question.metric.name} has no unit from {arm} yet{waiting}"
    arm, fewest = min(units.items(), key=lambda item: item[1])
    if fewest < MINIMUM_UNITS:
        return f"{question.metric.name} has {fewest} units from {arm}, needs {MINIMUM_UNITS}{waiting}"
    if question.metric.source is Source.OUTCOME:
        silent = [arm for arm, k in events.items() if k == 0]
        if len(silent) == 2:
            return still(question, moments.reports_a, moments.reports_b)
        if silent and question.harm_sign < 0:
            return f"{question.metric.name} has no outcome from {silent[0]} yet"
    return ""


def _intervals(
    asked: Sequence[Asked], seen: Sequence[_Seen], laid: Laid
) -> dict[int, tuple[float | None, float | None]]:
    """Per place the differences (or, for a margin of a share, the ratios) that the tests do not reject."""
    ratio, plain = [], []
    for place, ((question, _), one) in enumerate(zip(asked, seen, strict=True)):
        if one.refuse or one.value_a is None or one.value_b is None:
            continue
        if not (question.relative and question.role != "goal"):
            plain.append(place)
        elif one.value_a > 0.0:
            ratio.append(place)
    ends: dict[int, tuple[float | None, float | None]] = {}
    for places, of_ratio in ((plain, False), (ratio, True)):
        if places:
            ends |= zip(places, _ends(asked, seen, laid, places, of_ratio), strict=True)
    return ends


def _ends(
    asked: Sequence[Asked], seen: Sequence[_Seen], laid: Laid, places: Sequence[int], ratio: bool
) -> list[tuple[float | None, float | None]]:
    value_a, value_b = (np.array([getattr(seen[p], name) for p in places]) for name in ("value_a", "value_b"))
    n_a, n_b = np.array(
        [[seen[p].units[asked[p][0].baseline], seen[p].units[asked[p][0].arm]] for p in places], float
    ).T
    alphas = np.array([ends_alpha(asked[p][0]) for p in places])
    line_, many = np.array(places, dtype=np.int64), len(places)
    if ratio:
        hits_a, hits_b = value_a * n_a + 0.5, value_b * n_b + 0.5
        missed_a, missed_b = 1.0 - hits_a / (n_a + 1.0), 1.0 - hits_b / (n_b + 1.0)
        centre = (hits_b / n_b) / (hits_a / n_a)
        scale = np.sqrt(missed_a / hits_a + missed_b / hits_b)
    else:
        pooled = (value_a * n_a + value_b * n_b + 1.0) / (n_a + n_b + 2.0)
        centre, scale = value_b - value_a, np.sqrt(pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b))
    # The lower ends first, then the upper ones: 2·many walks away from the estimate.
    way = np.repeat([-1.0, 1.0], many)
    fine = np.array([asked[p][0].role == "goal" for p in places] * 2)
    fine &= way == np.array([asked[p][0].harm_sign for p in places] * 2)
    centre, scale, line_ = np.tile(centre, 2), np.tile(scale, 2), np.tile(line_, 2)

    def null(walks: Ints, z: Floats) -> Floats:
        if ratio:
            return np.asarray(centre[walks] * np.exp(way[walks] * np.minimum(z * scale[walks], 14.0)))
        return np.asarray(np.clip(centre[walks] + way[walks] * z * scale[walks], -0.999, 0.999))

    def log_e(walks: Ints, at: Floats) -> Floats:
        other = np.zeros_like(at) if ratio else np.ones_like(at)
        slope, offset = (at, other) if ratio else (other, at)
        return laid.log_e(line_[walks], slope, offset, -way[walks], fine[walks])

    found = walk(null, log_e, -np.log(alphas.T.ravel()))
    if ratio:
        found = (found - 1.0) * np.tile(value_a, 2)
    told = [None if np.isnan(end) else end for end in found.tolist()]
    return list(zip(told[:many], told[many:], strict=True))
