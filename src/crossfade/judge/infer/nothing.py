"""Of metrics that are bad: what it proves that nothing, or next to nothing, happens to an arm's units.

A unit that counts for no more than a cap makes each unit without anything a witness: if the arm's mean were at the
margin, at least margin/cap of its units would have something. So the arm is bet on alone, one factor a unit, as if a
unit with the value y were y/cap events: by the arithmetic-geometric mean that never wins more than the bet on the value
itself, which gains nothing on average while the arm's mean is not below the margin. As the champion's mean is no less
than nothing, an arm below the margin is worse by less than the margin. Without a cap no number of units says anything
of a rare large value, and no bet is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from crossfade.judge.infer.labels import mixture
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, bisected
from crossfade.judge.moments import Floats
from crossfade.spec.model import Source

DELTAS: Floats = np.array([0.7, 1.2, 2.2, 4.5])
"""Log odds ratios bet on: from half as much as the margin to nothing at all."""

WEIGHTS: Floats = np.full(4, 0.25)


def below_log_e(n: Floats, total: Floats, cap: Floats, mean: Floats) -> Floats:
    """Log e-value against "the mean is `mean` or more", of `n` units of 0 to `cap` that sum to `total`."""
    null = np.clip(mean / cap, 1e-12, 1.0 - 1e-12)
    k = total / cap
    bet = expit(logit(null)[:, None] - DELTAS)
    won = k[:, None] * np.log(bet / null[:, None]) + (n - k)[:, None] * np.log((1.0 - bet) / (1.0 - null)[:, None])
    return mixture(won, WEIGHTS)


def most(n: Floats, total: Floats, cap: Floats, alpha: Floats) -> list[float | None]:
    """The smallest mean that is rejected as too large; None where none is."""
    needed = -np.log(alpha)
    return bisected(lambda mean: below_log_e(n, total, cap, mean) >= needed, total / n, cap * (1.0 - 1e-9))


BOTH = (
    "safety is proven by the difference of the arms, or by the challenger's units alone, whose mean no champion's is "
    "below; each at half of its error"
)

NOTHING = "nothing happened in either arm"


def capped(cap: float) -> str:
    """What a cap does, for people to read."""
    return f"a unit counts for 0 to {cap:g}: of what is beyond nothing is said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """The challenger's units by themselves, of a metric that is bad, has a cap and a margin in its own units."""

    n: float
    total: float
    silent: str = ""
    """Why nothing in either arm would be no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """What the challenger's units prove by themselves."""

    log_safe: float
    upper: float | None
    """No difference can be larger, at half of the error of safety."""

    def joined(self, numbers: Numbers, *, nothing: bool) -> Numbers:
        """What the comparison says, at half of its error of safety, with what these units say at the other half."""
        if nothing:
            log_safe = self.log_safe - math.log(2.0)
            return replace(numbers, log_harm=None, log_safe=log_safe, lower=None, upper=self.upper, reason=NOTHING)
        log_safe = max(self.log_safe, numbers.log_safe if numbers.log_safe is not None else -math.inf)
        upper = min((end for end in (self.upper, numbers.upper) if end is not None), default=None)
        return replace(numbers, log_safe=log_safe - math.log(2.0), upper=upper)


def bounded(asked: Sequence[tuple[Question, Alone]]) -> list[Bounded]:
    """The proofs of many lines at once."""
    if not asked:
        return []
    n, total = (np.array([getattr(one, name) for _, one in asked]) for name in ("n", "total"))
    cap = np.array([question.metric.cap for question, _ in asked], dtype=np.float64)
    margin = np.array([question.limit.value if question.limit else 0.0 for question, _ in asked])
    alpha = np.array([0.5 * question.alpha_safe for question, _ in asked])
    logs = below_log_e(n, total, cap, margin).tolist()
    return [Bounded(log_safe=one, upper=end) for one, end in zip(logs, most(n, total, cap, alpha), strict=True)]


def alone_of(question: Question, n: float, total: float, reports_a: int | None, reports_b: int | None) -> Alone | None:
    """What a line may say of the challenger's units by themselves; None where that would prove nothing."""
    absolute = question.limit is not None and not question.limit.relative
    if question.metric.cap is None or not absolute or question.harm_sign < 0 or question.role != "guardrail":
        return None
    fed = question.metric.source is not Source.OUTCOME
    return Alone(n=n, total=total, silent="" if fed else still(question, reports_a, reports_b))


def still(question: Question, reports_a: int | None, reports_b: int | None) -> str:
    """Why no event in either arm is no measurement; empty where something was reported of each, if only zeros."""
    name = question.metric.outcome or question.metric.name
    if reports_a is None or reports_b is None or not (reports_a or reports_b):
        return f"{question.metric.name} has no outcome from either arm yet"
    if question.harm_sign < 0:
        return f"{NOTHING}: every {name} that was reported is 0"
    silent = [arm for arm, reports in ((question.baseline, reports_a), (question.arm, reports_b)) if not reports]
    return f"{question.metric.name} has no outcome from {silent[0]} yet, not even a 0" if silent else ""


def unproven(question: Question) -> str:
    """Why a metric that is 0 for every unit of both arms cannot be judged; empty where it can."""
    name, cap, limit = question.metric.name, question.metric.cap, question.limit
    nothing = f"{NOTHING}: {name} is 0 for every unit"
    if question.harm_sign < 0:
        return f"{nothing}, and more of it would be better"
    if question.role == "goal" or limit is None:
        return f"{nothing}, and less than nothing is impossible"
    if limit.relative:
        return (
            f"{nothing}, and a margin of a share of nothing is nothing; a margin in its own units would do, with a cap"
        )
    if cap is None:
        return f"{nothing}, which does not rule out a rare large value; a cap, the most that counts of one unit, would"
    return ""
