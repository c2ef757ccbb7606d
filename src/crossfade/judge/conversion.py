"""What a preference may be worth: from rollouts that were both interleaved and A/B tested to what an A/B test may show.

Interleaving is quick and says which ranking people prefer; an A/B test is slow and says what becomes of them. Over many
pairs of rankers the two go together, nearly in proportion (Chapelle, Joachims, Radlinski and Yue 2012, section 5). The
factor differs by product, metric and method of interleaving, so it is learnt from the rollouts at hand or not at all.
What comes out is a forecast for people who plan; no rule reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from scipy.special import stdtrit

LEVEL = 0.9
"""How often a forecast from several rollouts covers what the A/B test then estimates, if effects are in proportion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An estimate with its interval, in the metric's own units; an open end is None."""

    estimate: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BothWays:
    """One challenger that was compared with its champion both ways."""

    preference: Told
    """From −1 to 1, positive for the challenger."""
    effect: Told
    """Challenger − champion in the A/B test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What an A/B test of this challenger may show."""

    estimate: float
    lower: float
    upper: float
    factor: float
    """Effect for a preference of 1: everybody prefers the challenger."""
    past: int
    """Rollouts it was learnt from."""


def forecast(past: Sequence[BothWays], preference: Told) -> Forecast | str:
    """The effect to expect of a challenger with this preference, or why nobody can say.

    Of several rollouts: least squares through the origin (no preference, no effect) and a prediction interval of LEVEL
    by Student's t with one degree of freedom less than there are rollouts, over the whole interval of the preference.
    The scatter holds whatever the earlier estimates were uncertain of. Of one: its effect over its preference, each
    within its own interval; that covers where the two intervals did.
    """
    if not past:
        return "no rollout here has been both interleaved and A/B tested"
    if preference.lower is None or preference.upper is None:
        return "the preference has no interval yet"
    ends = (preference.lower, preference.upper)
    return _of_one(past[0], preference.estimate, ends) if len(past) == 1 else _of_many(past, preference.estimate, ends)


def _of_one(one: BothWays, preference: float, ends: tuple[float, float]) -> Forecast | str:
    told, effect = one.preference, one.effect
    if told.lower is None or told.upper is None or told.lower <= 0.0 <= told.upper:
        return "the one rollout that was tested both ways had no clear preference to measure an effect by"
    if effect.lower is None or effect.upper is None:
        return "the one rollout that was tested both ways had an A/B interval with an open end"
    factors = [e / p for e in (effect.lower, effect.upper) for p in (told.lower, told.upper)]
    reached = [factor * end for factor in factors for end in ends]
    factor = effect.estimate / told.estimate
    return Forecast(estimate=factor * preference, lower=min(reached), upper=max(reached), factor=factor, past=1)


def _of_many(past: Sequence[BothWays], preference: float, ends: tuple[float, float]) -> Forecast | str:
    pairs = [(one.preference.estimate, one.effect.estimate) for one in past]
    weight = sum(p * p for p, _ in pairs)
    if weight == 0.0:
        return "no rollout that was tested both ways had a preference"
    factor = sum(p * e for p, e in pairs) / weight
    freedom = len(pairs) - 1
    scatter = sqrt(sum((e - factor * p) ** 2 for p, e in pairs) / freedom)
    reach = float(stdtrit(freedom, 0.5 + LEVEL / 2.0)) * scatter
    low, high = (factor * end for end in sorted(ends, key=lambda end: factor * end))
    most = reach * sqrt(1.0 + max(end * end for end in ends) / weight)
    return Forecast(estimate=factor * preference, lower=low - most, upper=high + most, factor=factor, past=len(pairs))
