"""Which mixture of lists is fair at every slot and tells most: the linear programme of optimized interleaving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog

_INFEASIBLE = 2


def fair_mixture(credits: Sequence[Sequence[float]], telling: Sequence[float]) -> list[float] | None:
    """The probability of each list (row of `credits`); None where no mixture has zero expected credit at every slot.

    Of all fair mixtures it is one with the largest expected `telling`. Solved exactly by HiGHS's dual simplex, whose
    answers are vertices: no more lists have a probability above zero than there are slots and one.
    """
    rows = np.asarray(credits, dtype=np.float64)
    if not rows.size:
        return [1.0] if len(rows) else None
    slots = rows.shape[1]
    found = linprog(
        -np.asarray(telling, dtype=np.float64),
        A_eq=np.vstack([rows.T, np.ones(len(rows))]),
        b_eq=np.append(np.zeros(slots), 1.0),
        bounds=(0.0, 1.0),
        method="highs-ds",
    )
    if found.status == _INFEASIBLE:
        return None
    if found.status != 0:
        raise ArithmeticError(f"the linear programme of {len(rows)} lists was not solved: {found.message}")
    return [max(float(p), 0.0) for p in found.x]
