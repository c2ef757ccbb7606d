"""Chance that is no chance: every draw is a hash of a key and of what the draw is for, the same in any language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import xxhash

_digest = xxhash.xxh3_64_intdigest

ROUNDS = 64
"""Coins that one digest gives."""

_SCALE = 2.0**-53


def coin(key: str, round: int) -> bool:
    """A fair coin for each round: bit `round % 64`, from the highest, of `xxh3_64(key:round//64)` is 0."""
    return not _digest(f"{key}:{round // ROUNDS}".encode()) >> (ROUNDS - 1 - round % ROUNDS) & 1


def coins(key: str) -> Callable[[int], bool]:
    """`coin` for one key, with each digest computed once."""
    bits = f"{_digest(f'{key}:0'.encode()):064b}"

    def toss(round: int) -> bool:
        nonlocal bits
        while round >= len(bits):
            bits += f"{_digest(f'{key}:{len(bits) // ROUNDS}'.encode()):064b}"
        return bits[round] == "0"

    return toss


def flips(key: str) -> Iterator[bool]:
    """`coin` for round after round, without end."""
    for number in count():
        for bit in f"{_digest(f'{key}:{number}'.encode()):064b}":
            yield bit == "0"


def uniform(key: str, draw: int) -> float:
    """A number in [0, 1) for each draw: the upper 53 bits of `xxh3_64(key:u:draw)`, so that it is exact anywhere."""
    return (_digest(f"{key}:u:{draw}".encode()) >> 11) * _SCALE


def uniforms(key: str) -> Callable[[int], float]:
    """`uniform` for one key."""
    prefix = f"{key}:u:"
    return lambda draw: (_digest(f"{prefix}{draw}".encode()) >> 11) * _SCALE
