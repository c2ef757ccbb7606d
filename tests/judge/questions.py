"""Metrics, questions and moments that the judge's tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import infer
from crossfade.judge.moments import MeanMoments, Moments, PairedMoments, RateMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

ERRORS = Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)
UPTIME = Metric(name="uptime", source=Source.RESPONSE, kind=Kind.RATE, better=Better.HIGHER)
PURCHASE = Metric(name="purchase", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=60.0)
COMPLAINT = Metric(name="complaint", source=Source.OUTCOME, kind=Kind.RATE, better=Better.LOWER, window=60.0)
REVENUE = Metric(name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=60.0)
LATENCY = Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, better=Better.LOWER, q=0.95)
DISAGREEMENT = Metric(name="disagreement", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)


def pp(value: float) -> Margin:
    return Margin(value=value / 100.0, relative=False)


def percent(value: float) -> Margin:
    return Margin(value=value / 100.0, relative=True)


def ask(metric: Metric, moments: Moments, **changes: Any) -> Evidence:
    """`infer` with the settings that most tests share."""
    settings: dict[str, Any] = {
        "role": "guardrail",
        "limit": None,
        "arm": "v2",
        "baseline": "v1",
        "stage": "ab",
        "step": None,
        "alpha_harm": 0.05,
        "alpha_safe": 0.05,
    }
    return infer(metric, moments, **(settings | changes))


def rates(n_a: int, k_a: int, n_b: int, k_b: int, *, share: float | None = None, settled: bool = True) -> RateMoments:
    """One bucket, at the share that the counts suggest unless told."""
    at = n_b / (n_a + n_b) if share is None else share
    return RateMoments(
        step=np.array([0]),
        bucket=np.array([0]),
        share=np.array([at]),
        n_a=np.array([n_a]),
        k_a=np.array([k_a]),
        n_b=np.array([n_b]),
        k_b=np.array([k_b]),
        settled=settled,
    )


def means(*steps: tuple[np.ndarray, np.ndarray]) -> MeanMoments:
    """Values of A and of B, one pair of samples a step."""
    a, b = [s[0] for s in steps], [s[1] for s in steps]
    return MeanMoments(
        step=np.arange(len(steps)),
        n_a=np.array([len(x) for x in a]),
        sum_a=np.array([x.sum() for x in a]),
        squares_a=np.array([(x**2).sum() for x in a]),
        n_b=np.array([len(x) for x in b]),
        sum_b=np.array([x.sum() for x in b]),
        squares_b=np.array([(x**2).sum() for x in b]),
    )


def pairs(plus: int, minus: int, zero: int) -> PairedMoments:
    return PairedMoments(bucket=np.array([0]), plus=np.array([plus]), minus=np.array([minus]), zero=np.array([zero]))
