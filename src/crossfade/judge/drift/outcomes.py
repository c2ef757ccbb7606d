"""Outcomes of each arm set beside their reference, from the moments that a look at the stage has measured anyway.

Rates, and failures of first requests, are fields of two cells; means and counts are averages.
"""

from __future__ import annotations

from collections import Counter

from crossfade.judge.drift.averages import Average, Sums
from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.watch import Change, Watch
from crossfade.judge.measure.measured import Measured
from crossfade.judge.moments import Ints, MeanMoments, RateMoments
from crossfade.judge.slices import began

HOUR = 3600.0
"""Slices of outcomes where the reference is long: later moments are kept by the hour."""

LONG = 12 * HOUR


def outcome_changes(measured: Measured, *, champion: str, every: float, reference: float) -> tuple[Change, ...]:
    """Each rate, mean and count of outcomes whose windows close, and each rate of failures, per arm, since the present
    stage began."""
    every = HOUR if reference >= LONG else every
    told, done = [], set()
    for (metric, challenger), whole in measured.metrics.items():
        # Where moments do not say when what happened, they were asked by slice of time beside.
        moments = measured.slices.get((metric, challenger), whole)
        for arm, side in ((champion, "a"), (challenger, "b")):
            if (metric, arm) in done:
                continue
            watch: Watch | Average
            if isinstance(moments, RateMoments) and moments.settled:
                n, k = (moments.n_a, moments.k_a) if side == "a" else (moments.n_b, moments.k_b)
                watch = Watch("outcome", metric, arm, first=0.0, every=every, reference=reference)
                _rates(watch, moments.bucket, n, k, every)
            elif isinstance(moments, MeanMoments) and moments.bucket is not None:
                watch = Average(metric, arm, every=every, reference=reference)
                _averages(watch, moments, moments.bucket, side, every)
            else:
                continue
            done.add((metric, arm))
            told.append(watch.change())
    return tuple(told)


def _rates(watch: Watch, buckets: Ints, n: Ints, k: Ints, every: float) -> None:
    slices: dict[float, Counts] = {}
    for bucket, units, events in zip(buckets.tolist(), n.tolist(), k.tolist(), strict=True):
        names = Counter({"event": events, "none": units - events})
        slices.setdefault(_begins(bucket, every), Counts()).add(Counts(asked=units, n=units, names=names))
    for at in sorted(slices):
        watch.take(at, slices[at])


def _averages(watch: Average, moments: MeanMoments, buckets: Ints, side: str, every: float) -> None:
    slices: dict[float, Sums] = {}
    sums_of = (getattr(moments, f"{name}_{side}").tolist() for name in ("n", "sum", "squares"))
    for bucket, *sums in zip(buckets.tolist(), *sums_of, strict=True):
        slices.setdefault(_begins(bucket, every), Sums()).add(Sums(*sums))
    for at in sorted(slices):
        watch.take(at, slices[at])


def _begins(bucket: int, every: float) -> float:
    return began(bucket) // every * every
