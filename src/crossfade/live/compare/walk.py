"""The walk over two predictions that names the places where they differ, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import fsum
from typing import Any, NamedTuple

import msgspec

from crossfade.live.compare.kinds import RANK, Difference
from crossfade.live.compare.numbers import apart, close, finite
from crossfade.live.compare.rules import NO_RULES, Rules, Unmeasured
from crossfade.live.paths import member
from crossfade.live.protocols.base import Prediction, Tensor

MOST_PATHS = 8
"""Differing places named for one pair of replies, where nobody asks for more."""

_MOST_DEPTH = 64
_CONTAINERS = frozenset((dict, list))
_encode = msgspec.json.Encoder().encode
_member = lru_cache(maxsize=4096)(member)
_sorted = msgspec.json.Encoder(order="deterministic").encode


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


class Found(NamedTuple):
    """How one field differs, and the values at the first place where it does."""

    kind: Difference
    a: Any
    b: Any


def differences(
    a: Prediction, b: Prediction, tolerance: Tolerance = DEFAULT, rules: Rules = NO_RULES
) -> tuple[str, ...]:
    """The paths at which two predictions differ, in order, each once, at most eight; empty when they agree."""
    return tuple(found(a, b, tolerance, rules))


def found(
    a: Prediction, b: Prediction, tolerance: Tolerance = DEFAULT, rules: Rules = NO_RULES, *, most: int = MOST_PATHS
) -> dict[str, Found]:
    """Where, and how, the challenger's prediction `b` differs from the champion's `a`: at most `most` fields.

    A path names a field, not a row: elements of a list are written `[*]`. A list or tensor of another length or
    shape, a value of another type, a missing and an extra field are differences at their own path (`name.shape`
    for a tensor's shape). An integer and a float are numbers alike; true and 1 are not. Of a field that differs in
    several rows the worst kind is told.
    """
    walk = _Walk(tolerance, rules, most)
    try:
        left, right = a.fields, b.fields
        for name, value in left.items():
            if name not in right:
                walk.add(name, Difference.MISSING, value, None)
            elif not _written_alike(value, right[name]):
                walk.pair(name, value, right[name], 0)
            if walk.full:
                break
        else:
            for name in right:
                if name not in left:
                    walk.add(name, Difference.EXTRA, None, right[name])
    except RecursionError:
        # Nested beyond what any reader follows: not shown equal, so not called equal.
        walk.differing.setdefault("$", Found(Difference.VALUE, None, None))
    if len(walk.differing) > most:
        return dict(list(walk.differing.items())[:most])
    return walk.differing


def known(differing: dict[str, Found]) -> tuple[dict[str, Found], dict[str, str]]:
    """What is known to differ, and the fields of which that is not known, with the reason."""
    silent = {path: str(one.a) for path, one in differing.items() if one.kind is Difference.UNMEASURED}
    return ({path: one for path, one in differing.items() if path not in silent} if silent else differing), silent


def fields_of(prediction: Prediction, rules: Rules = NO_RULES) -> set[str]:
    """Every field that could be named as differing by its value: what a search over fields looks through."""
    names: set[str] = set()
    for name, value in prediction.fields.items():
        _name(name, value, rules.by_path, names, 0)
    return names


def _name(path: str, value: Any, rules: Mapping[str, Any], names: set[str], depth: int) -> None:
    kind = type(value)
    if (kind is not dict and kind is not list) or path in rules or depth >= _MOST_DEPTH or not value:
        names.add(path)
    elif kind is dict:
        for name, inner in value.items():
            _name(path + _member(name), inner, rules, names, depth + 1)
    elif _CONTAINERS.isdisjoint(map(type, value)):
        names.add(f"{path}[*]")
    else:
        for inner in value:
            _name(f"{path}[*]", inner, rules, names, depth + 1)


def _written_alike(a: Any, b: Any) -> bool:
    """Whether two JSON containers encode to the same bytes: most replies agree, and a walk takes far longer."""
    if type(a) not in _CONTAINERS or type(b) not in _CONTAINERS:
        return False
    written = _encode(a)
    # The encoder writes NaN as null, so that only a walk tells one from the other.
    return written == _encode(b) and b"null" not in written


class _Walk:
    """What was found so far."""

    __slots__ = ("absolute", "compare", "differing", "most", "relative", "rules")

    def __init__(self, tolerance: Tolerance, rules: Rules, most: int) -> None:
        self.relative = tolerance.relative
        self.absolute = tolerance.absolute
        self.rules = rules.by_path
        self.compare = rules.compare
        self.most = most
        self.differing: dict[str, Found] = {}

    @property
    def full(self) -> bool:
        return len(self.differing) >= self.most

    def add(self, path: str, kind: Difference, a: Any, b: Any) -> None:
        """Keep a difference, unless a worse one of this field is known."""
        known = self.differing.get(path)
        if known is None or RANK[kind] < RANK[known.kind]:
            self.differing[path] = Found(kind, a, b)

    def pair(self, path: str, a: Any, b: Any, depth: int) -> None:
        """Find the places at and below `path` where `a` and `b` differ."""
        rule = self.rules.get(path) if self.rules else None
        if rule is not None:
            try:
                kind = self.compare(rule, a, b)
            except Unmeasured as why:
                self.add(path, Difference.UNMEASURED, str(why), None)
                return
            if kind is not None:
                self.add(path, kind, a, b)
        elif isinstance(a, Tensor) and isinstance(b, Tensor):
            if a.shape != b.shape:
                self.add(f"{path}.shape", Difference.SHAPE, list(a.shape), list(b.shape))
            else:
                self._flat(path, a.values, b.values)
        elif isinstance(a, dict) and isinstance(b, dict):
            self._members(path, a, b, depth)
        elif isinstance(a, list) and isinstance(b, list):
            self._elements(path, a, b, depth)
        else:
            kind = self._differs(a, b)
            if kind is not None:
                self.add(path, kind, a, b)

    def _members(self, path: str, a: dict[str, Any], b: dict[str, Any], depth: int) -> None:
        if depth >= _MOST_DEPTH:
            if not _written_alike(a, b):
                self.add(path, Difference.VALUE, a, b)
            return
        for name, value in a.items():
            if self.full:
                return
            if name not in b:
                self.add(path + _member(name), Difference.MISSING, value, None)
                continue
            other = b[name]
            kind = type(value)
            if kind is type(other) and kind is not dict and kind is not list and value == other:
                continue  # most members agree: spare them the building of their path
            self.pair(path + _member(name), value, other, depth + 1)
        for name in b:
            if name not in a:
                self.add(path + _member(name), Difference.EXTRA, None, b[name])

    def _elements(self, path: str, a: list[Any], b: list[Any], depth: int) -> None:
        if len(a) != len(b):
            self.add(path, Difference.LENGTH, a, b)
            return
        below = f"{path}[*]"
        if _CONTAINERS.isdisjoint(map(type, a)) and below not in self.rules:
            self._flat(below, a, b)
            return
        if depth >= _MOST_DEPTH:
            if not _written_alike(a, b):
                self.add(path, Difference.VALUE, a, b)
            return
        if not self.rules and a != b and _reordered(a, b):
            self.add(below, Difference.ORDER, a, b)
            return
        for x, y in zip(a, b, strict=True):
            # A field that differs is looked at in later rows too: the worst kind is told.
            self.pair(below, x, y, depth + 1)
            if self.full:
                return

    def _flat(self, path: str, a: Any, b: Any) -> None:
        """Two flat sequences of scalars under one path."""
        if len(a) != len(b):
            self.add(path, Difference.LENGTH, a, b)
            return
        if a == b and list(map(type, a)) == list(map(type, b)):
            return
        first: Found | None = None
        floats = apart(a, b, self.relative, self.absolute)
        if floats is not None:
            at, lost = floats
            if lost >= 0:
                first = Found(Difference.NAN, a[lost], b[lost])
            elif at >= 0:
                # Sums are exact, whatever the order: most lists that differ are told apart by them.
                reordered = fsum(a) == fsum(b) and _reordered(a, b)
                first = Found(Difference.ORDER, a, b) if reordered else Found(Difference.VALUE, a[at], b[at])
            if first is not None:
                self.add(path, *first)
            return
        for x, y in zip(a, b, strict=True):
            kind = self._differs(x, y)
            if kind is not None and (first is None or RANK[kind] < RANK[first.kind]):
                first = Found(kind, x, y)
        if first is None:
            return
        if first.kind is Difference.VALUE and _reordered(a, b):
            first = Found(Difference.ORDER, a, b)
        self.add(path, *first)

    def _differs(self, a: Any, b: Any) -> Difference | None:
        """How two scalars differ, or two values of which one is a container."""
        if type(a) is float or type(b) is float:
            if (type(a) is not float and type(a) is not int) or (type(b) is not float and type(b) is not int):
                return Difference.TYPE
            if close(a, b, self.relative, self.absolute):
                return None
            return Difference.NAN if not finite(b) and finite(a) else Difference.VALUE
        if type(a) is not type(b):
            return Difference.TYPE
        return None if a == b else Difference.VALUE


def _reordered(a: Any, b: Any) -> bool:
    """Whether two sequences of one length hold the same elements in another order."""
    try:
        return sorted(map(_sorted, a)) == sorted(map(_sorted, b))
    except (msgspec.ValidationError, OverflowError, TypeError):
        return False
