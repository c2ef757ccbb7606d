"""Evidence after promotion: half of the stake on a difference from the start, half on one that begins late.

Both halves are e-processes under "no worse than the limit", so that their average is one, and the line's own alpha is
that of both: no test of another stage has to give any of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.restarts import Late, Tape, late, tape
from crossfade.judge.infer.verdict import e_value
from crossfade.judge.measure.assignment import bucket_begins
from crossfade.judge.moments import Floats, Moments

YEAR = 365 * 86400.0
"""Seconds of a watch over which alpha is spent; one that lasts longer spends it once a year."""

WATCHED = (
    "half of the stake is on changes that begin late, spread evenly over the watch; arms are compared, not days: wrong "
    "with at most its alpha over the watch, or a year if that is shorter"
)

UNTIMED = "a change that begins late is not looked for: nothing says when these values came about"


def from_the_start(question: Question) -> Question:
    """The question that is put about the whole stage, with its half of the stake."""
    return replace(question, alpha_harm=question.alpha_harm / 2.0)


def watched(question: Question, line: Evidence, moments: Moments | None, *, watch: float, horizon: float) -> Evidence:
    """`line`, which answers `from_the_start`, with what bets that began later say.

    `watch` is how long the stage lasts, `horizon` how long after its entry a unit is settled, both in seconds.
    """
    if moments is None:
        return replace(line, confidence=1.0 - question.alpha_harm)
    found = tape(question, moments)
    alone = line.e_value if line.e_value is not None else 1.0
    log_alone = math.log(alone) if alone > 0.0 else -math.inf
    if found is None or not len(found.bucket):
        told = UNTIMED if found is None else WATCHED
        # Where nothing began late, the stake on it lies where it was.
        whole = float(np.logaddexp(log_alone, 0.0)) - math.log(2.0)
        return _told(question, line, None if line.e_value is None else whole, None, told)
    stake, kept = stakes(found, watch=watch, horizon=horizon)
    later = late(found, stake, kept)
    log_e = float(np.logaddexp(log_alone, later.log_e)) - math.log(2.0)
    return _told(question, line, log_e, later if later.log_e > log_alone else None, WATCHED)


def stakes(found: Tape, *, watch: float, horizon: float) -> tuple[Floats, float]:
    """The stake on the bet that begins with each slice, and what is left for slices to come.

    It is the part of the watch that passed since the slice before, so that no traffic and no look can choose it.
    """
    lasts = max(watch - horizon, 1.0)
    ends = np.array([bucket_begins(int(bucket) + 1) for bucket in found.bucket]) - horizon
    ends = np.clip(ends, 0.0, lasts)
    spent = np.diff(ends, prepend=0.0) / min(lasts, YEAR)
    return spent, max(lasts / min(lasts, YEAR) - float(spent.sum()), 0.0)


def _told(question: Question, line: Evidence, log_e: float | None, later: Late | None, assumption: str) -> Evidence:
    both = all(line.units.values())
    harmful = both and log_e is not None and log_e >= -math.log(question.alpha_harm)
    change = None
    if harmful and later is not None:
        names = (question.baseline, question.arm)
        change = {
            "after": bucket_begins(later.bucket),
            "units": dict(zip(names, later.units, strict=True)),
            "values": dict(zip(names, later.values, strict=True)),
        }
    verdict = Verdict.HARMFUL if harmful else line.verdict
    return replace(
        line,
        confidence=1.0 - question.alpha_harm,
        e_value=e_value(log_e),
        verdict=verdict,
        change=change,
        assumptions=(*line.assumptions, assumption),
    )
