"""Decision ids: UUIDv7, so that they sort by time and can be made anywhere without asking anyone."""

from __future__ import annotations

import random

_bits = random.SystemRandom()
_random = random.Random(_bits.getrandbits(128))
_draw = _random.getrandbits

_FIXED = 0x7000_8000_0000_0000_0000
"""Version 7 and the variant of RFC 9562, in the lower 80 bits."""

_DRAWN = 0x0FFF_3FFF_FFFF_FFFF_FFFF
"""The bits beside them."""


def reseed() -> None:
    """Start a new sequence; a forked process must not repeat its parent's."""
    _random.seed(_bits.getrandbits(128))


def decision_id(now: float) -> str:
    """A UUIDv7 for this moment (seconds since the epoch)."""
    # One number, printed once: piece by piece takes twice as long.
    digits = f"{int(now * 1000.0) << 80 | _FIXED | _draw(80) & _DRAWN:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
