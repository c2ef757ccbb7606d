"""The risk-of-ruin ramp: how many units may be exposed so that a budget is overspent with a chosen probability at most.

After Li, Mao and Bojinov, *Balancing Risk and Reward: A Batched-Bandit Strategy for Automated Phased Release* (NeurIPS
2023), reconstructed from its idea and not from its listing. Harm per unit has a normal prior; with each look it becomes
a posterior. The promise is Bayesian: it is kept over rollouts whose harm is as the prior says, and broken by harm that
the prior thought incredible, because the prior sizes the first batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is believed of the harm that one unit comes to: a normal distribution, in the metric's own counts."""

    mean: float
    sd: float

    def updated(self, seen: float, variance: float) -> Belief:
        """The belief after harm per unit was estimated, with the variance of that estimate."""
        if variance <= 0.0 or self.sd == 0.0:
            return self
        ours, theirs = 1.0 / self.sd**2, 1.0 / variance
        return Belief(mean=(ours * self.mean + theirs * seen) / (ours + theirs), sd=(ours + theirs) ** -0.5)

    def worst(self, risk: float) -> float:
        """The worst harm of one unit that is credible: it is exceeded with probability `risk`."""
        return self.mean + -float(ndtri(risk)) * self.sd


def room(belief: Belief, noise: float, budget: float, risk: float) -> float:
    """Units that may still be exposed: the largest M up to which `M μ + z sqrt(M² τ² + M σ²) ≤ budget` always holds.

    `noise` is σ², the variance of one unit's own count. Infinite where no number of units is too many.
    """
    if budget <= 0.0:
        return 0.0
    z = -float(ndtri(risk))
    mean, spread = belief.mean, (z * belief.sd) ** 2
    # (budget − M μ)² = z² (M² τ² + M σ²), of which only roots with budget ≥ M μ are of the inequality itself.
    square, linear = mean * mean - spread, 2.0 * budget * mean + z * z * noise
    if abs(square) < 1e-12 * max(mean * mean, spread, 1e-300):
        roots = [budget * budget / linear] if linear > 0.0 else []
    else:
        # linear² − 4 square budget², without the terms that cancel.
        inside = z * z * (noise * (4.0 * budget * mean + z * z * noise) + (2.0 * budget * belief.sd) ** 2)
        if inside < 0.0:
            return math.inf
        half = math.sqrt(inside)
        # Both roots without the difference of two large numbers.
        large = linear + math.copysign(half, linear)
        roots = [large / (2.0 * square), 2.0 * budget * budget / large if large else math.inf]
    found = [root for root in roots if root > 0.0 and root * mean <= budget * (1.0 + 1e-12)]
    return min(found, default=math.inf)
