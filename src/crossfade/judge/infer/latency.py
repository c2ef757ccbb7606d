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
    estimate = float(difference.mean()) if n else None
    reach = float(difference.std()) * radius(n, alpha, two_sided=True) if n >= MINIMUM else None
    known = estimate is not None and reach is not None
    return {
        "pairs": n,
        "champion": _quantiles(a),
        "challenger": _quantiles(b),
        "difference": estimate,
        "lower": estimate - reach if known and estimate is not None and reach is not None else None,
        "upper": estimate + reach if known and estimate is not None and reach is not None else None,
        "confidence": 1.0 - alpha,
        "unit": "ms",
    }


def _quantiles(values: np.ndarray) -> dict[str, float] | None:
    return {f"p{100 * q:g}": float(np.quantile(values, q)) for q in QUANTILES} if len(values) else None
