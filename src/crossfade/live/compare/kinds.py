"""The ways in which a field of two replies can differ, and which of them no tolerance excuses."""

from __future__ import annotations

from enum import StrEnum


class Difference(StrEnum):
    """How a field of the challenger's reply differs from the champion's."""

    VALUE = "value"
    """Another value of the same type."""
    ORDER = "order"
    """The same elements in another order."""
    LENGTH = "length"
    """A list of another length."""
    MISSING = "missing"
    """The champion's reply has the field, the challenger's has not."""
    EXTRA = "extra"
    """The challenger's reply has a field that the champion's has not."""
    TYPE = "type"
    """A value of another type, such as a text in place of a number."""
    SHAPE = "shape"
    """A tensor, or a vector of probabilities, of another shape."""
    NAN = "nan"
    """NaN or infinity where the champion has a number."""
    INVALID = "invalid"
    """A value that is not what the spec says the field holds, such as probabilities that do not sum to 1."""
    UNMEASURED = "unmeasured"
    """Whether it differs is not known: a function of the user's gave no answer. Never counted as a difference."""


CATASTROPHIC = frozenset((Difference.SHAPE, Difference.NAN, Difference.INVALID))
"""What callers cannot work with, however rare: it has a gate of its own, at no margin."""

UNUSABLE = ("nan", "shape", "broken", "truncated", "error")
"""Failures of a model that are replies callers cannot work with, as opposed to no reply at all."""

WORST_FIRST = (
    Difference.NAN,
    Difference.INVALID,
    Difference.SHAPE,
    Difference.TYPE,
    Difference.MISSING,
    Difference.EXTRA,
    Difference.LENGTH,
    Difference.ORDER,
    Difference.VALUE,
    Difference.UNMEASURED,
)
"""When one field differs in several ways in one reply (in several rows of it), the first of these is told."""

RANK = {kind: rank for rank, kind in enumerate(WORST_FIRST)}
