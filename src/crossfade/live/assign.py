"""Who sees what: one hash of (salt, unit) decides in every stage, so growing a weight never moves a unit back."""

from __future__ import annotations

from typing import Final

import xxhash

from crossfade.live.routes import Route

_SCALE: Final = 1.0 / 2.0**64


class Assigned:
    """The arm of one unit. `arm` is a challenger's name, or the champion's."""

    __slots__ = ("arm", "bucket", "missing")

    def __init__(self, arm: str, bucket: float, missing: bool = False) -> None:
        self.arm = arm
        self.bucket = bucket
        """Position of the unit on the unit interval."""
        self.missing = missing
        """The request named no unit: the champion serves, nothing is randomised."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Assigned):
            return NotImplemented
        return (self.arm, self.bucket, self.missing) == (other.arm, other.bucket, other.missing)

    def __hash__(self) -> int:
        return hash((self.arm, self.bucket, self.missing))

    def __repr__(self) -> str:
        return f"Assigned({self.arm!r}, {self.bucket!r}, missing={self.missing!r})"


def bucket(salt: str, unit: str) -> float:
    """`xxh3_64(salt:unit) / 2^64`, in [0, 1). Golden vectors: tests/golden/assignment.json."""
    return xxhash.xxh3_64_intdigest(f"{salt}:{unit}".encode()) * _SCALE


def assign(route: Route, unit: str) -> Assigned:
    """The arm that `unit` belongs to on `route`.

    One challenger owns [0, weight). Of k challengers, number i owns [i/k, i/k + weight), so that each range grows
    outward only and no unit ever moves from one challenger to another; this needs weight ≤ 1/k. An empty unit
    gets the champion and is marked missing.
    """
    if not unit:
        return Assigned(route.champion.name, 0.0, missing=True)
    where = bucket(route.salt, unit)
    if route.weight <= 0.0:
        return Assigned(route.champion.name, where)
    share = 1.0 / len(route.challengers)
    index = min(int(where / share), len(route.challengers) - 1)
    if where - index * share < route.weight:
        return Assigned(route.challengers[index].name, where)
    return Assigned(route.champion.name, where)
