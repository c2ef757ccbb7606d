"""Rare events, counted: a challenger at its margin is seldom proven safe, and one with none at all is, in time.

By the variance that was observed alone, rare events proved a challenger at its margin safe in 22 to 57 % of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from crossfade.judge.assumed import Assumed, World
from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats, MeanMoments
from crossfade.sim.rehearsal import Run, rehearsals
from crossfade.spec.model import Better, Kind, Margin, Metric, Source
from crossfade.spec.parse import parse
from crossfade.state import Phase

from .worlds import holds

ALPHA = 0.05
FAST, FULL = 60, 1000
LOOKS = 40

Sizes = Callable[[], tuple[Floats, Floats]]
"""What a unit that has any may have, and the chances."""


def ones() -> tuple[Floats, Floats]:
    return np.ones(1), np.ones(1)


def bursts() -> tuple[Floats, Floats]:
    """Five on average, geometric."""
    sizes = np.arange(1.0, 200.0)
    chances = 0.2 * 0.8 ** (sizes - 1.0)
    return sizes, chances / chances.sum()


def tens() -> tuple[Floats, Floats]:
    """Nothing or ten: of values up to ten, those that are the rarest for their mean."""
    return np.array([10.0]), np.ones(1)


def first_safe(
    sizes: Sizes,
    mean: float,
    added: float,
    *,
    margin: float,
    share: float,
    runs: int,
    cap: float | None = None,
    most: int = 20_000,
) -> np.ndarray:
    """The challenger's units (as planned) at the first look at which it is proven safe, per run; infinite if never."""
    rng = np.random.default_rng(31)
    metric = Metric(name="crashes", source=Source.OUTCOME, kind=Kind.COUNT, better=Better.LOWER, window=1.0, cap=cap)
    question = Question(
        metric=metric,
        role="guardrail",
        limit=Margin(value=margin, relative=False),
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=ALPHA,
        alpha_safe=ALPHA,
    )
    values, chances = _of_units(sizes, mean)
    _, worse = _of_units(sizes, mean + added)
    counted = values if cap is None else np.minimum(values, cap)
    sums = np.zeros((runs, 2, 4))
    found, before = np.full(runs, np.inf), 0
    for units in np.unique(np.geomspace(100, most, LOOKS).astype(int)):
        came = int(units / share) - before
        before += came
        of_b = rng.binomial(came, share, runs)
        for run in np.flatnonzero(np.isinf(found)):
            for side, (n, p) in enumerate(((came - of_b[run], chances), (of_b[run], worse))):
                drawn = rng.multinomial(n, p)
                sums[run, side] += (n, drawn @ counted, drawn @ (counted * counted), drawn[values > 0.0].sum())
        asked = np.flatnonzero(np.isinf(found))
        told = answers([(question, _moments(sums[run])) for run in asked])
        found[asked[[line.verdict is Verdict.SAFE for line in told]]] = units
    return found


@cache
def _of_units(sizes: Sizes, mean: float) -> tuple[Floats, Floats]:
    values, chances = sizes()
    any_ = mean / float(values @ chances)
    return np.r_[0.0, values], np.r_[1.0 - any_, any_ * chances]


def _moments(sums: np.ndarray) -> MeanMoments:
    fields = {
        f"{name}_{side}": np.array([sums[arm, at]]).astype(np.int64 if name in ("n", "some") else np.float64)
        for arm, side in enumerate("ab")
        for at, name in enumerate(("n", "sum", "squares", "some"))
    }
    return MeanMoments(step=np.zeros(1, dtype=np.int64), **fields, reports_a=1, reports_b=1)


AT_MARGIN: dict[str, tuple[Sizes, float, float, float | None]] = {
    "one a unit, champion 0.01 % a unit": (ones, 0.0001, 0.01, None),
    "one a unit, champion 0.1 % a unit": (ones, 0.001, 0.01, None),
    "one a unit, champion 1 % a unit": (ones, 0.01, 0.01, None),
    "in bursts of five, champion 0.1 % a unit": (bursts, 0.001, 0.01, None),
    "in bursts of five, champion 1 % a unit": (bursts, 0.01, 0.01, None),
    "none or ten of a unit, cap 10, champion none": (tens, 0.0, 0.02, 10.0),
    "none or ten of a unit, cap 10, champion 0.1 % a unit": (tens, 0.001, 0.02, 10.0),
}
"""Sizes, the champion's mean, the margin at which the challenger stands, and the cap."""


def wrongly_safe(name: str, share: float, runs: int) -> int:
    """Runs in which a challenger at its margin was ever proven safe."""
    sizes, mean, margin, cap = AT_MARGIN[name]
    found = first_safe(sizes, mean, margin, margin=margin, share=share, runs=runs, cap=cap)
    return int(np.isfinite(found).sum())


@pytest.mark.parametrize("name", ["one a unit, champion 0.1 % a unit", "none or ten of a unit, cap 10, champion none"])
def test_a_challenger_at_its_margin_is_seldom_proven_safe(name):
    assert holds(wrongly_safe(name, 0.05, FAST), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("name", list(AT_MARGIN))
def test_every_challenger_at_its_margin_is_seldom_proven_safe(name, share):
    assert holds(wrongly_safe(name, share, 400), 400, ALPHA)


SPEC = """
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: http://127.0.0.1:8101}
challenger: {name: v2, url: http://127.0.0.1:8102}
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  crashes:  {from: outcome, kind: count, window: 10m, better: lower, cap: 10, guardrail: {margin: 0.02}}
stages:
  - canary:  {steps: [5%, 25%], hold_for: 30m, until: {at_most: 6h}}
  - promote: {}
"""


def rehearsed(spec: str, runs: int, crashes: float = 0.0) -> list[Run]:
    """Whole rollouts of a challenger with so many crashes a unit, where the champion has none."""
    world = World(rate=20.0, metrics={"errors": Assumed(value=0.01), "crashes": Assumed(value=0.0, change=crashes)})
    return list(rehearsals(parse(spec), world, runs=runs, seed=8))


def healthy(runs: int, crashes: float = 0.0) -> list[bool]:
    """Whether each was promoted."""
    return [run.phase is Phase.PROMOTED for run in rehearsed(SPEC, runs, crashes)]


def test_a_healthy_rollout_whose_crashes_nobody_has_is_promoted():
    assert all(healthy(6))
    assert not any(healthy(6, crashes=0.02))


def test_without_a_cap_it_is_given_up_and_says_why():
    (run,) = rehearsed(SPEC.replace("cap: 10, ", ""), 1)
    assert (run.phase, run.rule) == (Phase.ROLLED_BACK, "overdue")
    assert "nothing happened in either arm" in run.sentence
    assert "a cap, the most that counts of one unit, would" in run.sentence


def test_nothing_at_all_is_proven_safe_under_a_cap_and_never_without():
    capped = first_safe(ones, 0.0, 0.0, margin=0.02, share=0.05, runs=2, cap=10.0)
    assert np.median(capped) <= 3000
    assert np.isinf(first_safe(ones, 0.0, 0.0, margin=0.02, share=0.05, runs=2)).all()
