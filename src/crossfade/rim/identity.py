"""Decision ids: UUIDv7, so that they sort by time and can be made anywhere without asking anyone."""

from __future__ import annotations

import os

_DRAWN = 4096
"""Bytes drawn from the system at a time: asking it for each id takes longer than the id."""

_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""A random digit to one with the two variant bits of RFC 9562 set."""

_millisecond = -1
_prefix = ""
_digits = ""
_at = 0


def reseed() -> None:
    """Forget what was drawn; a forked process must not repeat its parent's."""
    global _digits, _at
    _digits, _at = "", 0


def decision_id(now: float) -> str:
    """A UUIDv7 for this moment (seconds since the epoch)."""
    global _millisecond, _prefix, _digits, _at
    moment = int(now * 1000.0)
    if moment != _millisecond:
        digits = f"{moment:012x}"
        _prefix = f"{digits[:8]}-{digits[8:]}-7"
        _millisecond = moment
    at = _at
    if at + 19 > len(_digits):
        _digits, at = os.urandom(_DRAWN).hex(), 0
    _at = at + 19
    drawn = _digits[at : at + 19]
    return f"{_prefix}{drawn[:3]}-{_VARIANTS[drawn[3]]}{drawn[4:7]}-{drawn[7:]}"
