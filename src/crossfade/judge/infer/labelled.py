"""How much better one model predicts what came true than another, for the same requests: paired, at every look.

Scores that have bounds (accuracy, NDCG, Brier score, clipped log-loss) are bet on pair by pair, which is exact. AUC and
the errors of numbers have none, or are no mean of pairs: the asymptotic confidence sequence over what each pair adds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.boundary import one_sided_log_e, radius
from crossfade.judge.infer.labels import mixture
from crossfade.judge.infer.paired import PORTIONS, WEIGHTS
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisect, ends_alpha, line
from crossfade.judge.moments import Floats, ScoredMoments
from crossfade.spec.model import Kind

MINIMUM = 30
"""Labelled pairs needed before anything but proven harm is said of a score with bounds."""

MINIMUM_ASYMPTOTIC = 100
"""The same where the variance has to be estimated; of each class, for an AUC, a fifth."""

LARGEST = {Kind.ACCURACY: 1.0, Kind.NDCG: 1.0, Kind.BRIER: 1.0, Kind.LOG_LOSS: -math.log(0.001)}
"""The largest score a pair may have; the smallest is 0."""

GRID = 2048
"""Steps of a difference between 0 and its largest; those between are counted to the side that claims less."""

ASSUMPTIONS = (
    "pairs are mirrored requests that a label came for inside its window; those that either model failed are left out",
    "nobody saw the challenger's answers, so that labels cannot depend on them",
)
BETTING = "betting on the difference of each pair; exact when, given the past, its mean respects the limit"
CLIPPED = "probabilities are kept between 0.1 % and 99.9 %, which gives the log-loss a bound"
ASYMPTOTIC = "asymptotic confidence sequence over pairs: pairs independent, fourth moments finite"


def infer_scored(question: Question, moments: ScoredMoments) -> Evidence:
    """Evidence on the difference of two models' scores."""
    kind, n = question.metric.kind, len(moments.a)
    numbers = Numbers(
        units={question.baseline: n, question.arm: n},
        immature=moments.immature,
        reason=_told(moments),
        assumptions=(*ASSUMPTIONS, BETTING if kind in LARGEST else ASYMPTOTIC, *_clipped(kind), *moments.assumptions),
    )
    if kind in LARGEST:
        return _bounded(question, moments, numbers, LARGEST[kind])
    return _asymptotic(question, moments, numbers)


def _clipped(kind: Kind) -> tuple[str, ...]:
    return (CLIPPED,) if kind is Kind.LOG_LOSS else ()


def _told(moments: ScoredMoments) -> str:
    unlike = f"; {moments.unlike:,} labels do not fit their predictions" if moments.unlike else ""
    return f"{len(moments.a):,} labels for {moments.closed:,} pairs whose window has closed{unlike}"


def _refused(question: Question, n: int, least: int, moments: ScoredMoments) -> str:
    if n >= least:
        return ""
    waiting = f"; {moments.immature:,} more wait for their window to close" if moments.immature else ""
    return f"{question.metric.name} has {n or 'no'} labelled pairs, needs {least}{waiting}"


def _bounded(question: Question, moments: ScoredMoments, numbers: Numbers, largest: float) -> Evidence:
    n = len(moments.a)
    if not n:
        return line(question, replace(numbers, refuse=_refused(question, n, MINIMUM, moments)))
    value_a, value_b = float(moments.a.mean()), float(moments.b.mean())
    sign = question.harm_sign
    slope_harm, offset_harm = question.boundary(True)
    slope_safe, offset_safe = question.boundary(False)
    harm, safe = _Bets.of(moments, slope_harm, largest), _Bets.of(moments, slope_safe, largest)
    alpha_lower, alpha_upper = ends_alpha(question)
    # The interval is that of B − slope·A, moved by (slope − 1)·A: then it meets the limit exactly when the test does.
    move = (slope_safe - 1.0) * value_a
    lower, upper = safe.interval(alpha_lower, alpha_upper)
    return line(
        question,
        replace(
            numbers,
            log_harm=harm.log_e(offset_harm, sign),
            log_safe=safe.log_e(offset_safe, -sign),
            estimate=value_b - value_a,
            lower=None if lower is None else lower + move,
            upper=None if upper is None else upper + move,
            limit=question.limit_as_difference(value_a),
            values={question.baseline: value_a, question.arm: value_b},
            refuse=_refused(question, n, MINIMUM, moments),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bets:
    """Differences `b − slope·a` in units of the largest there can be: each value and how often, rounded down and up."""

    down: tuple[Floats, Floats]
    up: tuple[Floats, Floats]
    scale: float
    mean: float

    @classmethod
    def of(cls, moments: ScoredMoments, slope: float, largest: float) -> _Bets:
        scale = largest * max(1.0, slope)
        differences = (moments.b - slope * moments.a) / scale
        # What is a whole step but for its last digits is that step: an accuracy loses nothing.
        steps = np.round(differences * GRID, 9)
        return cls(
            down=_counted(np.floor(steps) / GRID),
            up=_counted(np.ceil(steps) / GRID),
            scale=scale,
            mean=float(differences.mean()),
        )

    def log_e(self, limit: float, sign: int) -> float:
        """Log e-value against "the mean is at most `limit`" (sign +1) or at least (−1)."""
        return self._log_e(limit / self.scale, sign)

    def _log_e(self, mean: float, sign: int) -> float:
        if abs(mean) >= 1.0:
            return 0.0
        values, counts = self.down if sign > 0 else self.up
        bet = sign * PORTIONS / (1.0 + sign * mean)
        log_e = counts @ np.log1p(np.maximum(bet * (values[:, None] - mean), -1.0 + 1e-12))
        return float(mixture(log_e, WEIGHTS))

    def interval(self, alpha_lower: float, alpha_upper: float) -> tuple[float | None, float | None]:
        """Where both tests stop rejecting."""
        low_at, high_at, edge = -math.log(alpha_lower), -math.log(alpha_upper), 1.0 - 1e-9
        near = min(max(self.mean, -edge), edge)
        lower = bisect(lambda mean: self._log_e(mean, +1) >= low_at, near, -edge)
        upper = bisect(lambda mean: self._log_e(mean, -1) >= high_at, near, edge)
        return (None if lower is None else lower * self.scale, None if upper is None else upper * self.scale)


def _counted(values: Floats) -> tuple[Floats, Floats]:
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, counts.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """A model's score and what each pair adds to it: the score moves like the mean of `parts`."""

    value: float
    parts: Floats


def influence(kind: Kind, truth: Floats, said: Floats) -> Influence:
    """The score of one model. `said` are its scores (AUC) or errors (the others)."""
    if kind is Kind.AUC:
        return _auc(truth >= 0.5, said)
    if kind is Kind.RMSE:
        squares = said * said
        value = math.sqrt(float(squares.mean()))
        return Influence(
            value=value, parts=(squares - squares.mean()) / (2.0 * value) if value else np.zeros_like(said)
        )
    sizes = said if kind is Kind.SCORE else np.abs(said)
    return Influence(value=float(sizes.mean()), parts=sizes - sizes.mean())


def _auc(positive: np.ndarray, said: Floats) -> Influence:
    """After DeLong, DeLong and Clarke-Pearson (1988): by how much each pair places above those of the other class."""
    good, bad = int(positive.sum()), int((~positive).sum())
    everywhere, own_good, own_bad = _ranks(said), _ranks(said[positive]), _ranks(said[~positive])
    place = np.empty(len(said))
    place[positive] = (everywhere[positive] - own_good) / bad
    place[~positive] = 1.0 - (everywhere[~positive] - own_bad) / good
    value = float(place[positive].mean())
    n = len(said)
    return Influence(value=value, parts=(place - value) * np.where(positive, n / good, n / bad))


def _ranks(values: Floats) -> Floats:
    """Places from 1 on; equal values share the middle of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[which])


def _asymptotic(question: Question, moments: ScoredMoments, numbers: Numbers) -> Evidence:
    kind, n = question.metric.kind, len(moments.a)
    refuse = _refused(question, n, MINIMUM_ASYMPTOTIC, moments)
    if not refuse and kind is Kind.AUC:
        refuse = _one_sided(question, moments)
    if refuse:
        return line(question, replace(numbers, refuse=refuse))
    a, b = (influence(kind, moments.truth, said) for said in (moments.a, moments.b))
    sign = question.harm_sign
    slope_safe, offset_safe = question.boundary(False)
    spread = _spread(a, b, slope_safe)
    if spread == 0.0:
        return line(question, replace(numbers, refuse=f"{question.metric.name} is the same for every pair"))
    alpha_lower, alpha_upper = ends_alpha(question)
    estimate = b.value - a.value
    return line(
        question,
        replace(
            numbers,
            log_harm=_log_e(question.boundary(True), a, b, sign, question.alpha_harm),
            log_safe=_log_e((slope_safe, offset_safe), a, b, -sign, question.alpha_safe),
            estimate=estimate,
            lower=estimate - spread * radius(n, alpha_lower, two_sided=False),
            upper=estimate + spread * radius(n, alpha_upper, two_sided=False),
            limit=question.limit_as_difference(a.value),
            values={question.baseline: a.value, question.arm: b.value},
        ),
    )


def _one_sided(question: Question, moments: ScoredMoments) -> str:
    least = MINIMUM_ASYMPTOTIC // 5
    good = int((moments.truth >= 0.5).sum())
    fewest = min(good, len(moments.truth) - good)
    return "" if fewest >= least else f"{question.metric.name} has {fewest} pairs of one class, needs {least} of each"


def _spread(a: Influence, b: Influence, slope: float) -> float:
    return float(np.std(b.parts - slope * a.parts))


def _log_e(boundary: tuple[float, float], a: Influence, b: Influence, sign: int, alpha: float) -> float:
    slope, offset = boundary
    spread, n = _spread(a, b, slope), len(a.parts)
    away = sign * (b.value - slope * a.value - offset)
    return one_sided_log_e(away * math.sqrt(n) / spread, n, alpha) if spread else -math.inf
