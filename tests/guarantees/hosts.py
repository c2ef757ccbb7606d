"""p99 latencies that hang together in time: because of the load that both arms share, or because of their own hosts."""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import lfilter

from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH, QuantileMoments
from crossfade.judge.slices import bucket
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

from .worlds import quantiles_until

CORRELATION = 0.8
SWING = 0.2
"""Standard deviation of what is added to the logarithm of the latencies of a minute, or of an arm's minute."""

SPREAD = 0.5
"""The same of a single request."""

ALPHA = 0.05


def wandering(rng: np.random.Generator, shape: tuple[int, ...], correlation: float = CORRELATION) -> np.ndarray:
    """Normal numbers whose last axis is time, each correlated so much with the one before it."""
    drawn = rng.normal(size=shape) * np.sqrt(1.0 - correlation**2)
    drawn[..., 0] /= np.sqrt(1.0 - correlation**2)
    return np.asarray(lfilter([1.0], [1.0, -correlation], drawn))


def latencies(
    rng: np.random.Generator,
    kind: str,
    share: float,
    minutes: int,
    each: float,
    *,
    factor: float = 1.0,
    correlation: float = CORRELATION,
    together: int = 1,
) -> QuantileMoments:
    """`kind` says what wanders: the `load` of both arms, each arm's own `hosts`, or its `requests` one after another.

    Rows are of so many minutes `together`: where blocks are whole numbers of them, nothing else comes out.
    """
    total = rng.poisson(each, minutes)
    n_b = rng.binomial(total, share)
    swings = SWING * wandering(rng, (2, minutes), correlation)
    if kind == "load":
        swings[1] = swings[0]
    rows = minutes // together
    counts = np.zeros((2, rows, BINS), dtype=np.int64)
    for arm, n in enumerate((total - n_b, n_b)):
        at = np.repeat(np.arange(minutes), n)
        if kind == "requests":
            logs = SPREAD * wandering(rng, (len(at),), correlation)
        else:
            logs = SPREAD * rng.normal(size=len(at)) + swings[arm][at]
        ms = 20.0 * np.exp(logs) * (factor if arm else 1.0)
        bins = np.clip(np.ceil(np.log(ms / FIRST_EDGE) / math.log(GROWTH)), 0, BINS - 1).astype(np.int64)
        at //= together
        counts[arm] = np.bincount(at * BINS + bins, minlength=rows * BINS).reshape(rows, BINS)
    return QuantileMoments(
        step=np.zeros(rows, dtype=np.int64),
        bucket=np.array([bucket(60.0 * together * row) for row in range(rows)]),
        share=np.full(rows, share),
        counts_a=counts[0],
        counts_b=counts[1],
    )


def question(blocks: float | None, *, margin: float = 0.0, q: float = 0.99) -> Question:
    """Whether a high quantile is worse than its margin."""
    metric = Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, better=Better.LOWER, q=q, blocks=blocks)
    return Question(
        metric=metric, role="guardrail", limit=Margin(value=margin, relative=True), arm="v2", baseline="v1", stage="ab",
        step=None, alpha_harm=ALPHA, alpha_safe=ALPHA,
    )  # fmt: skip


def decided(moments: QuantileMoments, asked: Question, looks: int, *, safe: bool = False) -> float:
    """Rows after which harm (or safety) was proven, at one of so many looks; infinite where it never was."""
    rows = len(moments.share)
    seen = np.unique(np.linspace(rows / looks, rows, looks).astype(int)).tolist()
    for at, line in zip(seen, answers([(asked, quantiles_until(moments, one)) for one in seen]), strict=True):
        e = line.e_value_safe if safe else line.e_value
        if e is not None and e >= 1.0 / ALPHA:
            return float(at)
    return math.inf


def alarms(
    kind: str,
    share: float,
    runs: int,
    *,
    blocks: float | None,
    minutes: int = 600,
    each: float = 120.0,
    looks: int = 20,
    safe: bool = False,
    margin: float = 0.0,
) -> int:
    """Runs in which a challenger that is as slow as its margin was called worse (or safe) at any look."""
    rng, asked = np.random.default_rng(61), question(blocks, margin=margin)
    # Blocks of five minutes or more do not see whether they came minute by minute.
    shape = {"factor": 1.0 + margin, "together": 1 if blocks is None else 5}
    worlds = (latencies(rng, kind, share, minutes, each, **shape) for _ in range(runs))
    return sum(math.isfinite(decided(world, asked, looks, safe=safe)) for world in worlds)
