"""The gateway's figures: plain numbers while serving, a file a second per worker, one Prometheus text for all."""

from __future__ import annotations

import os
from bisect import bisect_left
from pathlib import Path

import msgspec

from crossfade.facts import Compared, Dropped, Exposed, Fact, Fault

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency buckets, seconds."""

MOST_SERIES = 2000
"""Label combinations kept per worker; what exceeds them is counted under `other`."""


class Histogram(msgspec.Struct):
    """Counts per bucket (one more than bounds) and the sum, in seconds."""

    counts: list[int]
    total: float = 0.0


class Figures(msgspec.Struct):
    """Everything one worker has counted since it started. Keys are label values joined by newlines."""

    worker: str
    requests: dict[str, int] = {}
    """rollout, mode, assigned arm, served by, status class, reason."""
    seconds: dict[str, Histogram] = {}
    """rollout, assigned arm."""
    compared: dict[str, int] = {}
    """rollout, arm, result."""
    dropped: dict[str, int] = {}
    """rollout, reason."""
    faults: dict[str, int] = {}
    """what."""
    passed: int = 0
    streamed: int = 0
    refused: dict[str, int] = {}
    """limit."""
    gauges: dict[str, float] = {}


class Telemetry:
    """Counts facts. Only the event loop's thread touches it."""

    def __init__(self, worker: str) -> None:
        self.figures = Figures(worker)

    def count(self, fact: Fact) -> None:
        """Take note of a fact that is also being recorded."""
        match fact:
            case Exposed():
                self._exposed(fact)
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
        figures = self.figures
        _add(
            figures.requests,
            f"{fact.rollout}\n{fact.mode}\n{fact.arm}\n{fact.served_by}\n{fact.status // 100}xx\n{fact.reason}",
            1,
        )
        key = f"{fact.rollout}\n{fact.arm}"
        histogram = figures.seconds.get(key)
        if histogram is None:
            histogram = figures.seconds[key] = Histogram([0] * (len(BOUNDS) + 1))
        seconds = fact.latency_ms / 1000.0
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1
        histogram.total += seconds

    def refused(self, limit: str) -> None:
        """A client was turned away."""
        _add(self.figures.refused, limit, 1)

    def encoded(self) -> bytes:
        """The figures now."""
        return msgspec.json.encode(self.figures)


def path(data: Path, worker: str) -> Path:
    """Where a worker leaves its figures."""
    return data / "run" / f"metrics-{worker}.json"


def write(where: Path, encoded: bytes) -> None:
    """Replace the file in one step. Figures are not worth failing for: errors are swallowed."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        fresh = where.with_suffix(".new")
        fresh.write_bytes(encoded)
        os.replace(fresh, where)
    except OSError:
        return


def read_metrics(data: Path) -> str:
    """The figures of all workers of a data directory in Prometheus text form."""
    figures = []
    for file in sorted((data / "run").glob("metrics-*.json")):
        try:
            figures.append(msgspec.json.decode(file.read_bytes(), type=Figures))
        except (OSError, msgspec.DecodeError):
            continue
    from crossfade.rim.telemetry_text import text  # a gateway only writes figures, and should start fast

    return text(figures)


def _add(counts: dict[str, int], key: str, number: int) -> None:
    if key not in counts and len(counts) >= MOST_SERIES:
        key = "\n".join("other" for _ in key.split("\n"))
    counts[key] = counts.get(key, 0) + number
