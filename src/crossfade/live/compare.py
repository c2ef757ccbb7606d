"""Whether two replies say the same: a walk over two predictions that names the places where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Any

import msgspec

from crossfade.live.paths import member
from crossfade.live.protocols.base import Prediction, Tensor

MOST_PATHS = 8
"""Differing places named for one pair of replies."""

_MOST_DEPTH = 64
_CONTAINERS = frozenset((dict, list))
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far two numbers may lie apart and still be equal, when at least one of them is a float.

    The defaults let the same model pass on another runtime: scikit-learn against its own ONNX export differs by up
    to 4e-7 in a probability, single against double precision by 1e-7 of the value. Integers are compared exactly.
    """

    relative: float = 1e-5
    """Share of the larger of the two magnitudes."""
    absolute: float = 1e-6
    """In the numbers' own units; lower it where predictions themselves are this small."""


DEFAULT = Tolerance()


def differences(a: Prediction, b: Prediction, tolerance: Tolerance = DEFAULT) -> tuple[str, ...]:
    """The paths at which two predictions differ, in order, each once, at most eight; empty when they agree.

    A path names a field, not a row: elements of a list are written `[*]`. A list or tensor of another length or
    shape, a value of another type, a missing and an extra field are differences at their own path (`name.shape`
    for a tensor's shape). An integer and a float are numbers alike; true and 1 are not.
    """
    found: dict[str, None] = {}
    try:
        left, right = a.fields, b.fields
        for name, value in left.items():
            if name not in right:
                found[name] = None
            elif not _written_alike(value, right[name]):
                _walk(name, value, right[name], tolerance, found, 0)
            if len(found) >= MOST_PATHS:
                break
        else:
            found.update((name, None) for name in right if name not in left)
    except RecursionError:
        found["$"] = None  # nested beyond what any reader follows: not shown equal, so not called equal
    return tuple(found)[:MOST_PATHS]


def _written_alike(a: Any, b: Any) -> bool:
    """Whether two JSON containers encode to the same bytes: most replies agree, and a walk takes far longer."""
    return type(a) in _CONTAINERS and type(b) in _CONTAINERS and _encode(a) == _encode(b)


def _walk(path: str, a: Any, b: Any, tolerance: Tolerance, found: dict[str, None], depth: int) -> None:
    """Add to `found` the places at and below `path` where `a` and `b` differ."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            found[f"{path}.shape"] = None
        elif not _equal_lists(a.values, b.values, tolerance):
            found[path] = None
    elif isinstance(a, dict) and isinstance(b, dict):
        _walk_members(path, a, b, tolerance, found, depth)
    elif isinstance(a, list) and isinstance(b, list):
        _walk_elements(path, a, b, tolerance, found, depth)
    elif not _equal(a, b, tolerance):
        found[path] = None


def _walk_members(
    path: str, a: dict[str, Any], b: dict[str, Any], tolerance: Tolerance, found: dict[str, None], depth: int
) -> None:
    if depth >= _MOST_DEPTH:
        if not _written_alike(a, b):
            found[path] = None
        return
    for name, value in a.items():
        if len(found) >= MOST_PATHS:
            return
        if name not in b:
            found[path + member(name)] = None
            continue
        other = b[name]
        kind = type(value)
        if kind is type(other) and kind is not dict and kind is not list and value == other:
            continue  # most members agree: spare them the building of their path
        _walk(path + member(name), value, other, tolerance, found, depth + 1)
    for name in b:
        if name not in a:
            found[path + member(name)] = None


def _walk_elements(
    path: str, a: list[Any], b: list[Any], tolerance: Tolerance, found: dict[str, None], depth: int
) -> None:
    if len(a) != len(b):
        found[path] = None
        return
    kinds = set(map(type, a))
    if kinds.isdisjoint(_CONTAINERS):
        if not _equal_lists(a, b, tolerance):
            found[f"{path}[*]"] = None
        return
    if depth >= _MOST_DEPTH:
        if not _written_alike(a, b):
            found[path] = None
        return
    below = f"{path}[*]"
    for x, y in zip(a, b, strict=True):
        if len(found) >= MOST_PATHS:
            return
        _walk(below, x, y, tolerance, found, depth + 1)


def _equal_lists(a: Any, b: Any, tolerance: Tolerance) -> bool:
    """Whether two flat sequences hold equal scalars."""
    if len(a) != len(b):
        return False
    if a == b and list(map(type, a)) == list(map(type, b)):
        return True
    return all(_equal(x, y, tolerance) for x, y in zip(a, b, strict=True))


def _equal(a: Any, b: Any, tolerance: Tolerance) -> bool:
    if type(a) is float or type(b) is float:
        if isinstance(a, bool | str) or isinstance(b, bool | str) or a is None or b is None:
            return False
        try:
            return isclose(a, b, rel_tol=tolerance.relative, abs_tol=tolerance.absolute)
        except (TypeError, OverflowError):
            return False
    return type(a) is type(b) and bool(a == b)
