"""Means of the same requests at two models: pairing is worth what it should, and peeking costs nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import infer
from crossfade.judge.moments import PairedMeans
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

SPEND = Metric(name="spend", source=Source.COST, kind=Kind.MEAN, better=Better.LOWER)
TENTH = Margin(value=0.1, relative=True)


def summed(a: np.ndarray, b: np.ndarray) -> PairedMeans:
    return PairedMeans(
        n=len(a),
        sum_a=float(a.sum()),
        squares_a=float((a * a).sum()),
        sum_b=float(b.sum()),
        squares_b=float((b * b).sum()),
        products=float((a * b).sum()),
    )


def said(moments: PairedMeans, limit: Margin = TENTH, **changes: Any) -> Any:
    asked: dict[str, Any] = {"role": "guardrail", "arm": "v2", "baseline": "v1", "stage": "shadow", "step": 0}
    return infer(SPEND, moments, limit=limit, alpha_harm=0.05, alpha_safe=0.05, **(asked | changes))


def test_pairing_finds_what_two_groups_could_not() -> None:
    """Prompts differ a hundredfold, the models by a few per cent."""
    rng = np.random.default_rng(1)
    a = rng.lognormal(5.0, 1.5, 500)
    line = said(summed(a, a * rng.normal(1.02, 0.01, 500)))
    assert line.verdict is Verdict.SAFE
    assert line.lower < line.estimate < line.upper < line.limit
    assert said(summed(a, a * rng.normal(1.25, 0.01, 500))).verdict is Verdict.HARMFUL


def test_a_fixed_price_can_be_proven() -> None:
    a = np.full(1000, 2.0)
    assert said(summed(a, a)).verdict is Verdict.SAFE
    assert said(summed(a, 1.5 * a)).verdict is Verdict.HARMFUL
    assert said(summed(a[:120], a[:120])).lower < 0.0


def test_without_a_cost_nothing_is_said() -> None:
    line = said(PairedMeans(missing=4000))
    assert (line.verdict, line.estimate) == (Verdict.UNMEASURED, None)
    assert line.reason.endswith("4,000 pairs without it in one of the replies are left out")


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_a_challenger_at_its_margin_is_seldom_called_either(spread: float) -> None:
    """Twenty looks at each of 400 runs: the true difference is the margin itself, in the margin's own tail."""
    rng = np.random.default_rng(7)
    harmful = safe = missed = 0
    runs, looks = 400, np.unique(np.geomspace(100, 4000, 20).astype(int))
    for _ in range(runs):
        a = rng.lognormal(0.0, spread, 4000)
        b = a * rng.lognormal(-0.125, 0.5, 4000) * 1.1
        lines = [said(summed(a[:n], b[:n])) for n in looks]
        harmful += any(line.verdict is Verdict.HARMFUL for line in lines)
        safe += any(line.verdict is Verdict.SAFE for line in lines)
        true = float(np.exp(spread * spread / 2.0)) * 0.1
        missed += any(not line.lower <= true <= line.upper for line in lines)
    assert harmful <= 0.05 * runs
    assert safe <= 0.05 * runs
    assert missed <= 0.1 * runs
