"""Numbers, probability vectors and tensors: how far apart two of them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, hypot, isclose, isfinite
from typing import Any, Final

SUM_SLACK: Final = 0.01
"""How far probabilities may sum from 1: rounding to two digits in a long vector moves the sum by less."""


def is_number(value: Any) -> bool:
    """Whether the value is a number; true and false are not."""
    return type(value) is float or type(value) is int


def close(a: Any, b: Any, relative: float, absolute: float) -> bool:
    """Whether two numbers are equal up to a share of the larger magnitude or an absolute difference.

    Two NaN are equal here, and so are two infinities of one sign: both sides say the same.
    """
    if a == b or (a != a and b != b):
        return True
    try:
        return isclose(a, b, rel_tol=relative, abs_tol=absolute)
    except OverflowError:  # an integer beyond any float
        return False


def apart(a: Sequence[Any], b: Sequence[Any], relative: float, absolute: float) -> tuple[int, int] | None:
    """Of two sequences of one length: where the first two that are not `close` stand, and where the second's is the
    first to be not finite beside a finite one; -1 for nowhere. None unless all are floats: nothing is told of others.
    """
    first = lost = -1
    for index in range(len(a)):
        one, other = a[index], b[index]
        if type(one) is not float or type(other) is not float:
            return None
        x: float = one
        y: float = other
        if x == y or (x != x and y != y):
            continue
        size = abs(x - y)
        # Not so for NaN or an infinity on one side alone, whose difference is no number or infinite.
        if size < _ENDLESS and (size <= absolute or size <= relative * abs(x) or size <= relative * abs(y)):
            continue
        if first < 0:
            first = index
        if lost < 0 and not abs(y) < _ENDLESS and abs(x) < _ENDLESS:
            lost = index
    return first, lost


_ENDLESS: Final = float("inf")


def finite(value: Any) -> bool:
    """Whether a number is neither NaN nor infinite; an integer of any size is finite."""
    return type(value) is not float or isfinite(value)


def vector(value: Any) -> Mapping[str, float] | Sequence[float] | None:
    """A vector of numbers: a list of them, a mapping from labels to them, or one number. None for anything else."""
    if is_number(value):
        return (value,)
    if isinstance(value, dict) and value and all(map(is_number, value.values())):
        return value
    if isinstance(value, list | tuple) and value and all(map(is_number, value)):
        return value
    return None


def is_distribution(values: Sequence[float]) -> bool:
    """Whether the values can be probabilities: each in 0–1, and all together 1. One value alone is that of an event."""
    if not all(map(isfinite, values)) or min(values) < -1e-9 or max(values) > 1.0 + 1e-9:
        return False
    return len(values) == 1 or abs(fsum(values) - 1.0) <= SUM_SLACK


def total_variation(a: Sequence[float], b: Sequence[float]) -> float:
    """Half the sum of absolute differences: the largest difference in the probability of any event."""
    if len(a) == 1:
        return abs(a[0] - b[0])
    return 0.5 * fsum(abs(x - y) for x, y in zip(a, b, strict=True))


def choice(values: Sequence[float]) -> int:
    """The position of the largest; of one probability alone, whether the event is likelier than not."""
    if len(values) == 1:
        return int(values[0] >= 0.5)
    return max(range(len(values)), key=values.__getitem__)


def cosine_distance(a: Sequence[float], b: Sequence[float]) -> float | None:
    """1 less the cosine of the angle between two vectors, at most 1; None where there is no angle."""
    if len(a) != len(b) or not all(map(isfinite, (*a, *b))):
        return None
    lengths = hypot(*a) * hypot(*b)
    if not lengths or not isfinite(lengths):
        return None
    return 1.0 - min(max(fsum(x * y for x, y in zip(a, b, strict=True)) / lengths, 0.0), 1.0)


def relative_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """The norm of the difference as a share of the larger of the two norms; 0 where both are nothing."""
    larger = max(hypot(*a), hypot(*b))
    return hypot(*(x - y for x, y in zip(a, b, strict=True))) / larger if larger else 0.0
