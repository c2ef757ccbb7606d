"""The gateway's figures as a record: plain numbers while serving, left in a file a second per worker."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency buckets, seconds."""


class Histogram(msgspec.Struct):
    """Counts per bucket (one more than bounds) and the sum, in seconds."""

    counts: list[int]
    total: float = 0.0


class Figures(msgspec.Struct):
    """Everything one worker has counted since it started. Keys are label values joined by newlines."""

    worker: str
    version: str = ""
    request_path: str = ""
    """`compiled` or `interpreted`."""
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
