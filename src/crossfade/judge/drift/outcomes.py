"""Outcomes of each arm as fields of two cells, from the moments that a look at the stage has measured anyway."""

from __future__ import annotations

from collections import Counter

from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.watch import Change, Watch
from crossfade.judge.measure.measured import Measured
from crossfade.judge.measure.tables import began
from crossfade.judge.moments import RateMoments

HOUR = 3600.0
"""Slices of outcomes where the reference is long: later moments are kept by the hour."""

LONG = 12 * HOUR


def outcome_changes(measured: Measured, *, champion: str, every: float, reference: float) -> tuple[Change, ...]:
    """Each rate of outcomes whose windows close, per arm, since the present stage began. Means are not looked at."""
    every = HOUR if reference >= LONG else every
    told, done = [], set()
    for (metric, challenger), moments in measured.metrics.items():
        if not isinstance(moments, RateMoments) or not moments.settled:
            continue
        for arm, n, k in ((champion, moments.n_a, moments.k_a), (challenger, moments.n_b, moments.k_b)):
            if (metric, arm) in done:
                continue
            done.add((metric, arm))
            watch = Watch("outcome", metric, arm, first=0.0, every=every, reference=reference)
            slices: dict[float, Counts] = {}
            for bucket, units, events in zip(moments.bucket, n, k, strict=True):
                at = began(int(bucket)) // every * every
                names = Counter({"event": int(events), "none": int(units - events)})
                slices.setdefault(at, Counts()).add(Counts(asked=int(units), n=int(units), names=names))
            for at in sorted(slices):
                watch.take(at, slices[at])
            told.append(watch.change())
    return tuple(told)
