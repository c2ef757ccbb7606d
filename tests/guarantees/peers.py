"""The settings in which rules of other tools stop a challenger that is the champion: decided here by whole rollouts.

Beside them stand those rules, as their documentation has them, on the same traffic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

from crossfade.judge.assumed import Assumed, World
from crossfade.judge.disagreement import Counts, Tally, judge
from crossfade.judge.evidence import Verdict
from crossfade.sim.rehearsal import Run, rehearsals
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import Phase

SPEC = """
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {{name: v1, url: "http://127.0.0.1:8101"}}
challenger: {{name: v2, url: "http://127.0.0.1:8102"}}
alpha: 5%
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: {margin}}}}}
stages:
  - canary:  {{steps: [10%, 20%, 50%], hold_for: 10m, until: {{at_most: 7d}}}}
  - promote: {{}}
"""


def rollout(margin: str) -> Rollout:
    """A canary up to half of the units, and promotion once errors are proven no worse than the margin."""
    return parse(SPEC.format(margin=margin))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Healthy traffic: units a second, and the share of them that fails whichever model serves."""

    rate: float
    errors: float
    margin: str


FLAGGER = Setting(rate=5.0, errors=0.008, margin="0.5pp")
ARGO = Setting(rate=50.0 / 60.0, errors=0.03, margin="2pp")


def rehearsed(setting: Setting, runs: int) -> list[Run]:
    """Whole rollouts of a challenger that is the champion, looked at from every second on."""
    world = World(rate=setting.rate, metrics={"errors": Assumed(value=setting.errors)})
    return list(rehearsals(rollout(setting.margin), world, runs=runs, seed=41, growth=0.05))


def ended(found: list[Run]) -> tuple[int, int]:
    """How many were rolled back, for whatever reason, and how many promoted."""
    return tuple(sum(run.phase is phase for run in found) for phase in (Phase.ROLLED_BACK, Phase.PROMOTED))


def flagger(rng: np.random.Generator, runs: int, checks: int = 10, weight: float = 0.05) -> int:
    """Rolled back by five failed checks of a success rate of 99 %, a check a minute, a step of the weight after each.

    A check sees the requests of its minute that the canary got.
    """
    rolled = 0
    for _ in range(runs):
        failed = step = 0
        while failed < 5 and step < checks:
            n = rng.poisson(60.0 * FLAGGER.rate * weight * (step + 1))
            good = n == 0 or rng.binomial(n, FLAGGER.errors) <= 0.01 * n
            failed, step = failed + (not good), step + good
        rolled += failed >= 5
    return rolled


def argo(rng: np.random.Generator, runs: int, samples: int = 22) -> int:
    """Aborted by the first of so many samples of 50 requests with a success rate under 95 %."""
    return int((rng.binomial(50, ARGO.errors, (runs, samples)) > 2.5).any(axis=1).sum())


FIELDS, NOISE = 20, 0.01
"""Fields of a reply, and how often each differs between two answers of the same model; either may be the odd one."""

PAIRS = 1000


def fields(rng: np.random.Generator, runs: int, looks: int = 10) -> int:
    """Runs in which any field of two equal models is said to differ beyond noise, at any look over 1,000 requests."""
    times = 0
    for _ in range(runs):
        differs, noisy = _answers(rng, (PAIRS, FIELDS))
        seen = np.linspace(PAIRS / looks, PAIRS, looks).astype(int)
        judged = (judge(_tally(differs[:n], noisy[:n]), margin=0.0, alpha=0.05) for n in seen)
        times += any(line.verdict is Verdict.HARMFUL for lines in judged for line in lines)
    return times


def _answers(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where the challenger's answer, and the champion's second one, differ from the champion's first."""
    first, second, other = (rng.random(shape) < 0.5 * NOISE for _ in range(3))
    return other != first, second != first


def _tally(differs: np.ndarray, noisy: np.ndarray) -> Tally:
    def counts(this: np.ndarray, other: np.ndarray) -> Counts:
        plus, minus = int((this & ~other).sum()), int((other & ~this).sum())
        return Counts(differing=int(this.sum()), noisy=int(other.sum()), plus=plus, minus=minus)

    n = len(differs)
    each = {f"$.field{one}": counts(differs[:, one], noisy[:, one]) for one in range(FIELDS)}
    return Tally(pairs=n, twice=n, fields=each, any=counts(differs.any(axis=1), noisy.any(axis=1)))


def diffy(rng: np.random.Generator, runs: int) -> int:
    """Flagged: a field whose differences are above noise by 20 % of both together, and by 0.03 % of requests."""
    flagged = 0
    for _ in range(runs):
        raw, noise = (differing.sum(axis=0) for differing in _answers(rng, (PAIRS, FIELDS)))
        more = raw - noise
        flagged += bool(((more > 0.2 * (raw + noise)) & (more > 0.0003 * PAIRS)).any())
    return flagged


def wandering(rng: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers whose last axis is time, each correlated so much with the one before it."""
    drawn = rng.normal(size=shape)
    left = np.sqrt(1.0 - correlation**2)
    for t in range(1, shape[-1]):
        drawn[..., t] = correlation * drawn[..., t - 1] + left * drawn[..., t]
    return drawn


def kayenta(rng: np.random.Generator, correlation: float, runs: int, minutes: int = 60) -> int:
    """Failed: two of ten metrics whose minutes a Mann-Whitney test at 98 % tells apart; each arm wanders by itself."""
    series = wandering(rng, correlation, (runs, 10, 2, minutes))
    found = mannwhitneyu(series[:, :, 0], series[:, :, 1], axis=-1).pvalue
    return int(((found < 0.02).sum(axis=1) >= 2).sum())
