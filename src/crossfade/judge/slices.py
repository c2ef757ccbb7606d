"""Slices of time: how a stage is cut up, by functions of the time alone, so that no look can choose them."""

from __future__ import annotations

import math

SHORT, MEDIUM = 600, 86_400
"""Seconds of a stage that are cut into 1-second buckets, and up to which buckets last 60 seconds; then an hour."""

MEDIUM_FROM = SHORT
LONG_FROM = SHORT + (MEDIUM - SHORT) // 60
"""The first buckets of a minute, and of an hour."""


def bucket(elapsed: float) -> int:
    """The slice of time that a moment of a stage belongs to: a fixed function, so no look can choose it."""
    if elapsed < SHORT:
        return max(math.floor(elapsed), 0)
    if elapsed < MEDIUM:
        return MEDIUM_FROM + math.floor((elapsed - SHORT) / 60.0)
    return LONG_FROM + math.floor((elapsed - MEDIUM) / 3600.0)


def began(slice_: int) -> float:
    """When a slice of time began, in seconds of the stage."""
    if slice_ < MEDIUM_FROM:
        return float(slice_)
    if slice_ < LONG_FROM:
        return SHORT + 60.0 * (slice_ - MEDIUM_FROM)
    return MEDIUM + 3600.0 * (slice_ - LONG_FROM)


def began_of_segment(slice_: int) -> float:
    """The same of the coarser slices that segments are told in (`measure.spread.slice_of`): four for each doubling."""
    if slice_ < 8:
        return float(slice_)
    power, within = 3 + (slice_ - 8) // 4, (slice_ - 8) % 4
    return float(2**power + within * 2 ** (power - 2))
