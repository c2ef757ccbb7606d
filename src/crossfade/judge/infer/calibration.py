"""Whether probabilities come true as often as they say: a curve by bins for two models, and how their errors differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossfade.judge.infer.latency import paired_difference
from crossfade.judge.moments import Floats

BINS = 10
"""Bins of equal width between 0 and 1."""

LEARNING = 0.6
"""What is lost of a bin of n labels, in deviations times √n, whose error is so large that its side is learnt slowly:
above the largest of 2u·∫Φ(−u√t)dt over u, which is 0.53."""


def calibration(truth: Floats, champion: Floats, challenger: Floats, alpha: float) -> dict[str, Any]:
    """The record of two models' calibration on the same labelled pairs, in order of time.

    `error` is the expected calibration error as it is usually given, which is above 0 by chance alone. The difference
    of the two is estimated without that: each pair counts towards the side that earlier pairs of its bin were on, so
    that what a calibrated model adds is 0 on average. Learning the sides costs a model some of its error; the interval,
    which may be looked at at any time, is wider by the most that can be.
    """
    happened = (truth >= 0.5).astype(np.float64)
    a, b = np.clip(champion, 0.0, 1.0), np.clip(challenger, 0.0, 1.0)
    n = len(truth)
    difference = _signed(b, happened) - _signed(a, happened)
    mean, deviation = (float(difference.mean()), float(difference.std())) if n else (None, None)
    told = paired_difference(n, mean, deviation, alpha)
    if told["lower"] is not None:
        told |= {"lower": told["lower"] - _learning(a, happened), "upper": told["upper"] + _learning(b, happened)}
    return {
        "labels": n,
        "champion": {"error": _error(a, happened), "bins": _curve(a, happened)},
        "challenger": {"error": _error(b, happened), "bins": _curve(b, happened)},
        **told,
    }


def _bins(said: Floats) -> npt.NDArray[np.int64]:
    return np.minimum((said * BINS).astype(np.int64), BINS - 1)


def _curve(said: Floats, happened: Floats) -> list[dict[str, Any]]:
    """For each bin how many pairs, what was said and what came on average; None where there is no pair."""
    place = _bins(said)
    counts, sums, came = (np.bincount(place, weights, BINS) for weights in (np.ones_like(said), said, happened))
    return [
        {
            "from": at / BINS,
            "to": (at + 1) / BINS,
            "n": int(count),
            "said": float(total / count) if count else None,
            "came": float(true / count) if count else None,
        }
        for at, (count, total, true) in enumerate(zip(counts, sums, came, strict=True))
    ]


def _error(said: Floats, happened: Floats) -> float | None:
    if not len(said):
        return None
    return float(np.abs(np.bincount(_bins(said), said - happened, BINS)).sum() / len(said))


def _learning(said: Floats, happened: Floats) -> float:
    """The most that a wrong side in the beginning takes from a model's error on average, whatever its error is."""
    place, miss = _bins(said), said - happened
    parts = (miss[place == at] for at in range(BINS))
    lost = sum(float(mine.std() * np.sqrt(len(mine))) for mine in parts if len(mine))
    return LEARNING * lost / len(said)


def _signed(said: Floats, happened: Floats) -> Floats:
    """Each pair's miss, signed by the side on which its bin was before it; 0 for the first of a bin."""
    place, miss = _bins(said), said - happened
    parts = np.zeros_like(miss)
    for at in range(BINS):
        mine = np.flatnonzero(place == at)
        before = np.cumsum(miss[mine]) - miss[mine]
        parts[mine] = np.sign(before) * miss[mine]
    return parts
