"""Counting: what each fact adds to the gateway's figures."""

from __future__ import annotations

from typing import Final

import msgspec

from crossfade.facts import Compared, Dropped, Exposed, Fact, Fault
from crossfade.rim.figures import BOUNDS, Figures, Histogram

MOST_SERIES: Final = 2000
"""Label combinations kept per worker; what exceeds them is counted under `other`."""


_BOUNDS: Final[tuple[float, ...]] = BOUNDS


class Telemetry:
    """Counts facts. Only the event loop's thread touches it."""

    def __init__(self, worker: str) -> None:
        self.figures = Figures(worker)
        self._keys: dict[tuple[str, str, str, str, int, str], tuple[str, Histogram]] = {}
        """Where a kind of exposure is counted: putting the key together takes longer than counting."""

    def count(self, fact: Fact) -> None:
        """Take note of a fact that is also being recorded."""
        if type(fact) is Exposed:
            self._exposed(fact)
            return
        match fact:
            case Compared():
                failed = fact.champion_failed or fact.challenger_failed
                result = "failed" if failed else "differs" if fact.differs else "same"
                _add(self.figures.compared, f"{fact.rollout}\n{fact.arm}\n{result}", 1)
            case Dropped():
                _add(self.figures.dropped, f"{fact.rollout}\n{fact.reason}", fact.count)
            case Fault():
                _add(self.figures.faults, fact.what, fact.count)
            case _:
                pass

    def _exposed(self, fact: Exposed) -> None:
        kind = (fact.rollout, fact.mode, fact.arm, fact.served_by, fact.status, fact.reason)
        found = self._keys.get(kind)
        if found is None:
            found = self._kept(kind)
        key, histogram = found
        requests = self.figures.requests
        requests[key] = requests.get(key, 0) + 1
        seconds = fact.latency_ms / 1000.0
        histogram.counts[_bucket(seconds)] += 1
        histogram.total += seconds

    def _kept(self, kind: tuple[str, str, str, str, int, str]) -> tuple[str, Histogram]:
        rollout, mode, arm, served_by, status, reason = kind
        figures = self.figures
        key = _series(figures.requests, f"{rollout}\n{mode}\n{arm}\n{served_by}\n{status // 100}xx\n{reason}")
        timed = f"{rollout}\n{arm}"
        histogram = figures.seconds.get(timed)
        if histogram is None:
            histogram = figures.seconds[timed] = Histogram([0] * (len(BOUNDS) + 1))
        if len(self._keys) < MOST_SERIES:
            self._keys[kind] = (key, histogram)
        return key, histogram

    def refused(self, limit: str) -> None:
        """A client was turned away."""
        _add(self.figures.refused, limit, 1)

    def encoded(self) -> bytes:
        """The figures now."""
        return msgspec.json.encode(self.figures)


def _bucket(seconds: float) -> int:
    for index, bound in enumerate(_BOUNDS):
        if seconds <= bound:
            return index
    return len(_BOUNDS)


def _add(counts: dict[str, int], key: str, number: int) -> None:
    key = _series(counts, key)
    counts[key] = counts.get(key, 0) + number


def _series(counts: dict[str, int], key: str) -> str:
    """The key itself while there is room for it."""
    if key not in counts and len(counts) >= MOST_SERIES:
        return "\n".join("other" for _ in key.split("\n"))
    return key
