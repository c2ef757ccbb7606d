"""What inference needs to know of the facts: small mergeable summaries, keyed by step and time.

Moments never pool over steps: a ramp mixes time into the effect. `A` is the baseline (champion), `B` the
challenger. Buckets are consecutive slices of time; inside one (step, bucket) the assignment
probability is constant, which is what keeps label betting exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def _ints() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _floats() -> Floats:
    return np.zeros(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateMoments:
    """Units and units-with-an-event per (step, bucket), in time order. Arrays share one length.

    Each unit is counted once per stage: in `n_*` at its first exposure (or, when `settled`, when its window
    closed), in `k_*` at its first event. When `settled`, n and k of a bucket speak of the same units.
    """

    step: Ints = field(default_factory=_ints)
    bucket: Ints = field(default_factory=_ints)
    share: Floats = field(default_factory=_floats)
    """Probability (0–1) that a unit of this pair of arms was assigned to B."""
    n_a: Ints = field(default_factory=_ints)
    k_a: Ints = field(default_factory=_ints)
    n_b: Ints = field(default_factory=_ints)
    k_b: Ints = field(default_factory=_ints)
    settled: bool = False
    immature: int = 0
    """Units exposed whose window has not closed yet."""
    seen_a: Ints | None = None
    """Units exposed in the row's step, at their first exposure in *that step*: a unit that returns in a later step of
    the stage counts again. Only where not `settled`; None where nobody counted it."""
    seen_b: Ints | None = None
    reports_a: int | None = None
    """Outcomes reported of the arm's units, those with a value of 0 too: what tells no event from a feed that is dead.
    None where nobody counted them."""
    reports_b: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanMoments:
    """Unit-level n, sum and sum of squares per arm, one row a step.

    The `cov_*` sums speak of one covariate x per unit that the arm cannot have affected; all six are given, or none.
    """

    step: Ints = field(default_factory=_ints)
    n_a: Ints = field(default_factory=_ints)
    sum_a: Floats = field(default_factory=_floats)
    squares_a: Floats = field(default_factory=_floats)
    n_b: Ints = field(default_factory=_ints)
    sum_b: Floats = field(default_factory=_floats)
    squares_b: Floats = field(default_factory=_floats)
    cov_sum_a: Floats | None = None
    """Σx, over the units that `n_a` counts."""
    cov_squares_a: Floats | None = None
    """Σx²."""
    cov_products_a: Floats | None = None
    """Σxy, y being the metric's value."""
    cov_sum_b: Floats | None = None
    cov_squares_b: Floats | None = None
    cov_products_b: Floats | None = None
    cov_known: Ints | None = None
    """Units of both arms whose x is known; the others have the average one. None where all have one."""
    immature: int = 0
    bucket: Ints | None = None
    """Where the rows are of (step, bucket), in time order: for changes that begin late."""
    share: Floats | None = None
    """Given with `bucket`: as in `RateMoments`."""
    some_a: Ints | None = None
    """Units whose value is not 0; None where nobody counted them."""
    some_b: Ints | None = None
    reports_a: int | None = None
    """As in `RateMoments`."""
    reports_b: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioMoments:
    """Unit-level sums of a numerator y and a denominator x per arm, one row a step. Units with neither count in n."""

    step: Ints = field(default_factory=_ints)
    n_a: Ints = field(default_factory=_ints)
    sum_y_a: Floats = field(default_factory=_floats)
    sum_x_a: Floats = field(default_factory=_floats)
    squares_y_a: Floats = field(default_factory=_floats)
    squares_x_a: Floats = field(default_factory=_floats)
    products_xy_a: Floats = field(default_factory=_floats)
    n_b: Ints = field(default_factory=_ints)
    sum_y_b: Floats = field(default_factory=_floats)
    sum_x_b: Floats = field(default_factory=_floats)
    squares_y_b: Floats = field(default_factory=_floats)
    squares_x_b: Floats = field(default_factory=_floats)
    products_xy_b: Floats = field(default_factory=_floats)
    immature: int = 0


GRAIN = 10_000
"""Graded votes are counted in whole parts of this: from −GRAIN to GRAIN."""

BINS = 1024
"""Log-spaced latency bins: bin i holds values up to `edge(i)` ms; relative width 1.9 %."""

FIRST_EDGE = 0.01
"""Upper edge of bin 0, in ms."""

GROWTH = 1.019


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileMoments:
    """Latency histograms per (step, bucket): `counts_*` have shape (rows, bins), from bin `low` on; BINS or fewer.

    In shadow both arms answer the same requests; then `share` is 0.5 and betting on the label of each exceedance
    stays valid, because a pair in which both exceed multiplies the e-value by 4q(1 − q) ≤ 1.
    """

    step: Ints = field(default_factory=_ints)
    bucket: Ints = field(default_factory=_ints)
    share: Floats = field(default_factory=_floats)
    counts_a: Ints = field(default_factory=lambda: np.zeros((0, BINS), dtype=np.int64))
    counts_b: Ints = field(default_factory=lambda: np.zeros((0, BINS), dtype=np.int64))
    low: int = 0
    """The bin of the first column: bins that no value fell into, on either side, need not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMoments:
    """Signed differences per bucket, one per pair: +1 against B (it is worse), −1 for B, 0 a tie.

    Shadow: `plus` counts pairs where only B failed (or differed beyond noise). Interleaving: one vote a
    unit; `plus` counts units that preferred A, `minus` units that preferred B.
    """

    bucket: Ints = field(default_factory=_ints)
    plus: Ints = field(default_factory=_ints)
    minus: Ints = field(default_factory=_ints)
    zero: Ints = field(default_factory=_ints)
    total: Ints | None = None
    """Sum of the differences in parts of GRAIN, where they are graded; None where each is −1, 0 or +1."""
    squares: Ints | None = None
    """Sum of their squares; given with `total`."""
    remark: str = ""
    """What the pairs against B have in common, for people to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMoments:
    """What came true for mirrored requests, and what both models had said: one entry a labelled pair.

    `a` and `b` are each model's score of the pair (accuracy, NDCG, Brier score, log-loss), its error (RMSE, MAE) or its
    own number (AUC, for which `truth` is needed too).
    """

    truth: Floats = field(default_factory=_floats)
    a: Floats = field(default_factory=_floats)
    b: Floats = field(default_factory=_floats)
    closed: int = 0
    """Pairs whose window has closed, with a label or without."""
    unlike: int = 0
    """Labels that do not fit what was predicted, such as a class nobody gave a probability to."""
    immature: int = 0
    """Pairs whose window has not closed yet."""
    assumptions: tuple[str, ...] = ()
    """What was taken for granted on the way to these numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMeans:
    """Sums over units of a number of both arms, each its mean over the same mirrored requests of the unit."""

    n: int = 0
    sum_a: float = 0.0
    squares_a: float = 0.0
    sum_b: float = 0.0
    squares_b: float = 0.0
    products: float = 0.0
    """Σab: what pairing is worth."""
    missing: int = 0
    """Pairs of which one reply does not have the number."""


Moments = RateMoments | MeanMoments | RatioMoments | QuantileMoments | PairedMoments | ScoredMoments | PairedMeans
