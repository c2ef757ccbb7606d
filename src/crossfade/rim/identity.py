"""Decision ids: UUIDv7, so that they sort by time and can be made anywhere without asking anyone."""

from __future__ import annotations

import random

_bits = random.SystemRandom()
_random = random.Random(_bits.getrandbits(128))


def reseed() -> None:
    """Start a new sequence; a forked process must not repeat its parent's."""
    _random.seed(_bits.getrandbits(128))


def decision_id(now: float) -> str:
    """A UUIDv7 for this moment (seconds since the epoch)."""
    bits = _random.getrandbits(74)
    tail = f"{0x8000000000000000 | (bits & 0x3FFFFFFFFFFFFFFF):016x}"
    stamp = f"{int(now * 1000.0):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7{bits >> 62:03x}-{tail[:4]}-{tail[4:]}"
