"""Latency of two models for the same requests: quantiles of each, and the mean difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crossfade.judge.infer.boundary import radius

MINIMUM = 100
"""Pairs needed before an interval is given."""

QUANTILES = (0.5, 0.95, 0.99)


def paired_latency(champion: Sequence[float], challenger: Sequence[float], alpha: float) -> dict[str, Any]:
    """The record of paired latencies in milliseconds; absent numbers are None."""
    a, b = np.asarray(champion, dtype=np.float64), np.asarray(challenger, dtype=np.float64)
    difference, n = b - a, len(a)
    mean, deviation = (float(difference.mean()), float(difference.std())) if n else (None, None)
    return {
        "pairs": n,
        "champion": _quantiles(a),
        "challenger": _quantiles(b),
        **paired_difference(n, mean, deviation, alpha),
        "unit": "ms",
    }


def paired_difference(n: int, mean: float | None, deviation: float | None, alpha: float) -> dict[str, Any]:
    """The mean of `n` differences with its always-valid interval; without one where they are too few."""
    reach = None if deviation is None or n < MINIMUM else deviation * radius(n, alpha, two_sided=True)
    return {
        "difference": mean,
        "lower": None if mean is None or reach is None else mean - reach,
        "upper": None if mean is None or reach is None else mean + reach,
        "confidence": 1.0 - alpha,
    }


def _quantiles(values: np.ndarray) -> dict[str, float] | None:
    return {f"p{100 * q:g}": float(np.quantile(values, q)) for q in QUANTILES} if len(values) else None
