"""Quantiles in blocks: where an arm's latency goes up and down by itself, whole stretches of time are what is compared.

A noisy neighbour, a garbage collector or a cold cache slows one arm for a while, whichever model it serves. The
requests of such a spell are no independent witnesses; blocks that are several times as long as it lasts nearly are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import labels
from crossfade.judge.infer.exceeding import needed
from crossfade.judge.infer.quantiles import MINIMUM_UNITS, SHIFTS, cuts, running_quantile
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.verdict import Numbers, ends_alpha, line
from crossfade.judge.moments import BINS, GROWTH, Floats, Ints, QuantileMoments
from crossfade.judge.slices import began, began_of_segment

EFFECTS: Floats = np.array([0.15, 0.3, 0.6, 1.2, 3.0])
"""Differences bet on, in standard deviations of one block; the stake on each is the same."""

STAKES: Floats = np.full(len(EFFECTS), 1.0 / len(EFFECTS))

FEWEST = 4.0
"""Exceedances that the smaller arm of a block is expected to have; blocks grow until they do."""

SUPPOSED = 1.0
"""Blocks' worth of belief that blocks vary no more than chance alone makes them, before any has been seen."""

ASSUMPTIONS = (
    "an arm's latency may wander by itself: shares beyond the champion's running quantile are compared block by block",
    "blocks vary alike in both arms and are independent: each several times as long as a spell lasts",
)


def infer_in_blocks(question: Question, moments: QuantileMoments) -> Evidence:
    """Evidence on the difference of two quantiles, in ms."""
    q = question.metric.q if question.metric.q is not None else 0.5
    length = question.metric.blocks or 0.0
    blocks = Blocks(moments, q, length, of_segment=question.segment is not None)
    units = {question.baseline: int(blocks.total_a.sum()), question.arm: int(blocks.total_b.sum())}
    arm, fewest = min(units.items(), key=lambda item: item[1])
    refuse = ""
    if fewest < MINIMUM_UNITS:
        refuse = f"{question.metric.name} has {fewest or 'no'} observations from {arm}, needs {MINIMUM_UNITS}"
    elif not len(blocks.cut):
        refuse = f"{question.metric.name} has no whole block of {length:g} s beyond those it learns from"
    if refuse:
        return line(question, Numbers(units=units, refuse=refuse, assumptions=ASSUMPTIONS))
    value_a, value_b = (running_quantile(total, q) for total in (blocks.total_a, blocks.total_b))
    sign = question.harm_sign
    lower, upper = _interval(question, blocks, value_a, value_b)
    return line(
        question,
        Numbers(
            units=units,
            log_harm=float(blocks.log_e(_limit(question, blocks.cut, True, sign), sign)[0]),
            log_safe=float(blocks.log_e(_limit(question, blocks.cut, False, -sign), -sign)[0]),
            estimate=None if value_a is None or value_b is None else value_b - value_a,
            lower=lower,
            upper=upper,
            limit=question.limit_as_difference(value_a),
            values={question.baseline: value_a, question.arm: value_b},
            assumptions=ASSUMPTIONS,
        ),
    )


def _limit(question: Question, cut: Ints, harm: bool, alternative: int) -> Ints:
    """The challenger's cuts at the limit, shape (1, blocks)."""
    boundary = np.repeat(np.array(question.boundary(harm))[:, None], len(cut), axis=1)
    return cuts(boundary, cut, alternative)[None, :]


def _interval(
    question: Question, blocks: Blocks, value_a: float | None, value_b: float | None
) -> tuple[float | None, float | None]:
    """The differences in ms that the tests do not reject: cuts are moved by whole bins, in every block alike."""
    if value_a is None or value_b is None:
        return None, None
    centre = round(math.log(value_b / value_a) / math.log(GROWTH))
    ends: list[float | None] = []
    for way, alpha in zip((-1, 1), ends_alpha(question), strict=True):
        shifts, threshold = centre + way * SHIFTS, -math.log(alpha)
        found = blocks.log_e(blocks.cut[None, :] + shifts[:, None], -way)
        rejected = np.flatnonzero(found >= threshold)
        if not len(rejected):
            ends.append(None)
            continue
        at, shift = int(rejected[0]), float(shifts[rejected[0]])
        if at:
            portion = float((threshold - found[at - 1]) / (found[at] - found[at - 1]))
            shift = float(shifts[at - 1]) + portion * (shift - float(shifts[at - 1]))
        ends.append(value_a * (GROWTH**shift - 1.0))
    return ends[0], ends[1]


class Blocks:
    """Histograms gathered into blocks of time, each with the champion's quantile as known when it began.

    In each block the arms' shares beyond the cut are compared, as the difference of their square roots. Under "no more
    often" its distribution is symmetric about nothing or lies below, whatever its spread; for a symmetric number z
    `1 + tanh(effect · z)` is one on average (the likelihood ratio of a shifted normal to its mirrored mixture).
    """

    def __init__(self, moments: QuantileMoments, q: float, length: float, *, of_segment: bool = False) -> None:
        use, clock = (moments.share > 0.0) & (moments.share < 1.0), began_of_segment if of_segment else began
        at = np.array([clock(one) for one in moments.bucket[use].tolist()])
        starts = _starts(moments, use, at, length, FEWEST / min(q, 1.0 - q))
        a, b = (_gathered(counts[use], starts) for counts in (moments.counts_a, moments.counts_b))
        self._low = moments.low
        self.total_a, self.total_b = (_whole(counts, moments.low) for counts in (a, b))
        past = np.cumsum(a, axis=0) - a
        bet = (past.sum(axis=1) >= needed(np.array(q))) & (a.sum(axis=1) > 0) & (b.sum(axis=1) > 0)
        # The last block is still open: looks would see it half full.
        bet[-1:] = False
        running = np.cumsum(past[bet], axis=1)
        self.cut: Ints = moments.low + (running < q * running[:, -1:]).sum(axis=1)
        """The bin whose upper edge is the champion's quantile, for each block that is bet on."""
        self._n_a, self._n_b = (counts[bet].sum(axis=1).astype(np.float64) for counts in (a, b))
        self._up_to_a, self._up_to_b = (np.pad(np.cumsum(counts[bet], axis=1), ((0, 0), (1, 0))) for counts in (a, b))

    def log_e(self, cuts_b: Ints, sign: int) -> Floats:
        """Log e-value against "the challenger exceeds `cuts_b` as often", shape (nulls, blocks) → (nulls,)."""
        over_a, over_b = self._n_a - self._up(self._up_to_a, self.cut), self._n_b - self._up(self._up_to_b, cuts_b)
        apart = np.sqrt((over_b + 0.25) / self._n_b) - np.sqrt((over_a + 0.25) / self._n_a)
        # Chance alone gives it this variance, whatever the rate. A block is measured by how much earlier ones varied.
        by_chance = apart / np.sqrt(0.25 / self._n_a + 0.25 / self._n_b)
        squares = np.cumsum(by_chance**2, axis=1) - by_chance**2
        z = sign * by_chance / np.sqrt((SUPPOSED + squares) / (SUPPOSED + np.arange(len(self.cut))))
        won = math.log(2.0) - np.logaddexp(0.0, -2.0 * EFFECTS * z[:, :, None])
        return labels.mixture(won.sum(axis=1), STAKES)

    def _up(self, up_to: Ints, cut: Ints) -> Ints:
        """Observations up to the bins of `cut`."""
        column = np.clip(np.clip(cut, 0, BINS - 1) - self._low + 1, 0, up_to.shape[1] - 1)
        return np.asarray(up_to[np.arange(len(up_to)), column])


def _gathered(counts: Ints, starts: Ints) -> Ints:
    return np.asarray(np.add.reduceat(counts, starts, axis=0)) if len(starts) else counts[:0]


def _whole(counts: Ints, low: int) -> Ints:
    """One histogram of all bins."""
    total = np.zeros(BINS, dtype=np.int64)
    total[low : low + counts.shape[1]] = counts.sum(axis=0)
    return total


def _starts(moments: QuantileMoments, use: npt.NDArray[np.bool_], at: Floats, length: float, fewest: float) -> Ints:
    """Rows that begin a block: so much time after the last one began, with enough of the smaller arm, or a new step."""
    came = np.minimum(moments.counts_a.sum(axis=1), moments.counts_b.sum(axis=1))[use].tolist()
    places = list(zip(moments.step[use].tolist(), moments.share[use].tolist(), strict=True))
    starts: list[int] = []
    seen = 0
    for row, (now, n) in enumerate(zip(at.tolist(), came, strict=True)):
        full = bool(starts) and now >= at[starts[-1]] + length and seen >= fewest
        if not starts or full or places[row] != places[row - 1]:
            starts.append(row)
            seen = 0
        seen += n
    return np.array(starts, dtype=np.int64)
