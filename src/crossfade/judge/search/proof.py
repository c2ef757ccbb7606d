"""What the rows that came after a cell was proposed say of it: the same evidence as for everyone, of fewer units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import answers
from crossfade.judge.moments import Floats, Ints, PairedMoments, RateMoments
from crossfade.judge.search.cells import Bools
from crossfade.judge.search.table import Compared, Paired, Signal
from crossfade.judge.slices import MEDIUM, SHORT


def evidence(asked: Sequence[tuple[Signal, Bools]], now: float, alpha: float) -> list[Evidence]:
    """A line of evidence for each signal on some of its rows; every end of an interval at `alpha`."""
    questions = []
    for signal, rows in asked:
        question = replace(signal.question, alpha_harm=alpha, alpha_safe=alpha)
        moments = paired(signal, rows) if isinstance(signal, Paired) else compared(signal, rows, now)
        questions.append((question, moments))
    return answers(questions)


def strength(line: Evidence) -> float:
    """The e-value of harm. What could not be measured is worth nothing: neither reached nor saved for later."""
    return 0.0 if line.e_value is None else line.e_value


def paired(signal: Paired, rows: Bools) -> PairedMoments:
    """Signed differences of some rows."""
    difference = signal.difference[rows & signal.use]
    one = np.array([0], dtype=np.int64)
    plus, minus = int((difference > 0).sum()), int((difference < 0).sum())
    return PairedMoments(
        bucket=one,
        plus=np.array([plus], dtype=np.int64),
        minus=np.array([minus], dtype=np.int64),
        zero=np.array([len(difference) - plus - minus], dtype=np.int64),
    )


def compared(signal: Compared, rows: Bools, now: float) -> RateMoments:
    """Units and units with an event, of some rows, by step and time of their settling (or of their coming in)."""
    mine = np.flatnonzero(rows & signal.use)
    counts = signal.counts_from[mine] <= now
    immature = int(len(mine) - counts.sum())
    mine = mine[counts]
    event = signal.event[mine] & (signal.happened[mine] <= now)
    is_b, step, share = signal.is_b[mine], signal.step[mine], signal.share[mine]
    bucket = _bucket(signal.counts_from[mine])
    # Buckets first, so that rows come in time order; a step and a share are told apart by their places among few.
    steps, step_at = np.unique(step, return_inverse=True)
    shares, share_at = np.unique(share, return_inverse=True)
    key = (bucket * len(steps) + step_at) * max(len(shares), 1) + share_at
    groups, group = np.unique(key, return_inverse=True)

    def count(which: Bools) -> Ints:
        return np.bincount(group[which], minlength=len(groups)).astype(np.int64)

    n_a, n_b = count(~is_b), count(is_b)
    return RateMoments(
        step=steps[groups // max(len(shares), 1) % max(len(steps), 1)] if len(groups) else groups,
        bucket=groups // max(len(shares) * len(steps), 1),
        share=shares[groups % len(shares)] if len(groups) else np.zeros(0),
        n_a=n_a,
        k_a=count(~is_b & event),
        n_b=n_b,
        k_b=count(is_b & event),
        settled=signal.settled,
        immature=immature,
        seen_a=None if signal.settled else n_a,
        seen_b=None if signal.settled else n_b,
    )


def _bucket(elapsed: Floats) -> Ints:
    """`measure.tables.bucket` of many moments."""
    short = np.floor(np.maximum(elapsed, 0.0))
    medium = SHORT + np.floor((elapsed - SHORT) / 60.0)
    long = SHORT + (MEDIUM - SHORT) // 60 + np.floor((elapsed - MEDIUM) / 3600.0)
    return np.where(elapsed < SHORT, short, np.where(elapsed < MEDIUM, medium, long)).astype(np.int64)
