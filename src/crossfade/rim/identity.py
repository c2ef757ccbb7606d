"""Decision ids: UUIDv7, so that they sort by time and can be made anywhere without asking anyone."""

from __future__ import annotations

import os
import struct
from typing import Final

_DRAWN: Final = 256
"""Ids for which randomness is drawn from the system at a time: asking it for each id takes longer than the id."""

_PAIRS: Final = struct.Struct(f">{2 * _DRAWN}H")
_THREE: Final = [f"{number:03x}-" for number in range(4096)]
_VARIANT: Final = [f"{digit}{number:03x}-" for digit in "89ab" for number in range(4096)]
"""Three random digits behind one with the two variant bits of RFC 9562 set."""


class _Ids:
    """What ids are put together from: the time once a millisecond, randomness drawn in advance."""

    __slots__ = ("_at", "_digits", "_millisecond", "_pairs", "_prefix")

    def __init__(self) -> None:
        self._millisecond = -1
        self._prefix = ""
        self.forget()

    def forget(self) -> None:
        """Use nothing of what was drawn."""
        self._pairs: tuple[int, ...] = ()
        self._digits = ""
        self._at = _DRAWN

    def next(self, now: float) -> str:
        """One more."""
        moment = int(now * 1000.0)
        if moment != self._millisecond:
            digits = f"{moment:012x}"
            self._prefix = f"{digits[:8]}-{digits[8:]}-7"
            self._millisecond = moment
        at = self._at
        if at == _DRAWN:
            at = 0
            drawn = os.urandom(_PAIRS.size + 6 * _DRAWN)
            self._pairs = _PAIRS.unpack_from(drawn)
            self._digits = drawn[_PAIRS.size :].hex()
        self._at = at + 1
        pairs = self._pairs
        three = _THREE[pairs[2 * at] & 4095]
        variant = _VARIANT[pairs[2 * at + 1] & 16383]
        return f"{self._prefix}{three}{variant}{self._digits[12 * at : 12 * at + 12]}"


_ids: Final = _Ids()


def reseed() -> None:
    """Forget what was drawn; a forked process must not repeat its parent's."""
    _ids.forget()


def decision_id(now: float) -> str:
    """A UUIDv7 for this moment (seconds since the epoch)."""
    return _ids.next(now)
