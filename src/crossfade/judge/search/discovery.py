"""Which of many hypotheses may be called found: e-BH and its closed form, from their e-values alone.

Both keep the expected share of false discoveries at most alpha, under any dependence, at any time. e-BH: Wang and
Ramdas (2022). Closed: a set R may be reported where the average e-value of *every* set S of hypotheses is at least
|S ∩ R| / (alpha · |R|); it never finds less (Xu, Fischer and Ramdas 2025).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.moments import Floats


def e_bh(e_values: Sequence[float], alpha: float) -> tuple[int, ...]:
    """Places of the hypotheses that e-BH rejects, the strongest first."""
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(-e, kind="stable")
    enough = e[order] >= len(e) / (alpha * np.arange(1, len(e) + 1)) * (1.0 - 1e-12)
    count = int(np.flatnonzero(enough)[-1]) + 1 if enough.any() else 0
    return tuple(order[:count].tolist())


def closed_e_bh(e_values: Sequence[float], alpha: float) -> tuple[int, ...]:
    """Places of the largest set of strongest hypotheses that the closed procedure rejects, the strongest first."""
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(-e, kind="stable")
    # A rejected set has an average of at least 1/alpha itself, which rules out nearly all of the candidates at once.
    average = np.cumsum(e[order]) / np.arange(1, len(e) + 1)
    for count in (np.flatnonzero(average >= 1.0 / alpha * (1.0 - 1e-12)) + 1).tolist()[::-1]:
        if _allowed(e, order[:count], alpha):
            return tuple(order[:count].tolist())
    return ()


def allowed(e_values: Sequence[float], chosen: Sequence[int], alpha: float) -> bool:
    """Whether exactly these hypotheses may be reported: every set of hypotheses speaks for enough of them.

    May be asked of any sets, chosen after looking: the guarantee holds for all of them at once.
    """
    return _allowed(np.asarray(e_values, dtype=np.float64), np.asarray(chosen, dtype=np.int64), alpha)


def _allowed(e: Floats, chosen: np.ndarray, alpha: float) -> bool:
    if len(chosen) == 0:
        return True
    inside = np.zeros(len(e), dtype=bool)
    inside[chosen] = True
    # The worst set with r of the chosen and t others has the smallest of each.
    mine = np.cumsum(np.sort(e[inside]))
    others = np.r_[0.0, np.cumsum(np.sort(e[~inside]))]
    r = np.arange(1, len(mine) + 1)[:, None]
    t = np.arange(len(others))[None, :]
    needed = r * (r + t) / (alpha * len(mine))
    return bool((mine[:, None] + others[None, :] >= needed * (1.0 - 1e-12)).all())
