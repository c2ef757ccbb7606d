"""What a spec says of single fields, ready to be asked: is this pair of values the same, and if not, in which way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from crossfade.live import paths
from crossfade.live.compare import numbers, rankings, text
from crossfade.live.compare.kinds import Difference
from crossfade.live.protocols.base import Tensor
from crossfade.spec.model import Comparator, Comparison

WITHIN = {
    Comparator.PROBABILITIES: 0.01,
    Comparator.RANKING: 0.1,
    Comparator.TENSOR: 0.001,
}
EMBEDDING = "embedding"
FAR = 0.1
"""The same for texts by embedding."""
"""The largest distance that counts as the same where none is written; nothing for the other comparators."""

_encode = msgspec.json.Encoder(order="deterministic").encode

Same = Callable[[Comparison, Any, Any], Difference | None]

Embed = Callable[[str, list[str]], "list[list[float]] | str"]
"""A function's name and texts to a vector each, or why there are none."""


class Unmeasured(Exception):
    """Nobody knows whether two values are the same; says why."""


def nobody(function: str, texts: list[str]) -> str:
    """Where functions of the user's are not called."""
    return f"{function} is not called here"


class Rules:
    """The comparisons of one rollout, by path; and whether numbers without one are compared more loosely than usual."""

    __slots__ = ("by_path", "embed", "muted")

    def __init__(self, comparisons: Iterable[Comparison] = (), embed: Embed = nobody) -> None:
        given = tuple(comparisons)
        self.embed = embed
        self.by_path: Mapping[str, Comparison] = {one.path: one for one in given if one.how is not None}
        self.muted: Mapping[str, str] = {one.path: one.mute for one in given if one.mute}

    def mute(self, path: str) -> str | None:
        """Why differences at this path, or at a place above it, do not count; None where they do."""
        if not self.muted:
            return None
        for muted, reason in self.muted.items():
            if path == muted or (path.startswith(muted) and path[len(muted)] in ".["):
                return reason
        return None

    def counting(self, fields: Iterable[str]) -> bool:
        """Whether any of the differing fields counts."""
        return any(self.mute(field) is None for field in fields)

    def compare(self, rule: Comparison, a: Any, b: Any) -> Difference | None:
        """How `b` differs from `a` under a rule; None where it is the same. Raises Unmeasured."""
        if rule.by == EMBEDDING and rule.how is Comparator.TEXT and isinstance(a, str) and isinstance(b, str):
            return self._embedded(rule, a, b)
        return compare(rule, a, b)

    def _embedded(self, rule: Comparison, a: str, b: str) -> Difference | None:
        """By how far apart a function of the user's puts the texts."""
        if a == b or text.normal(a) == text.normal(b):
            return None
        vectors = self.embed(rule.embedding, [a, b])
        if isinstance(vectors, str):
            raise Unmeasured(vectors)
        distance = numbers.cosine_distance(*vectors) if len(vectors) == 2 else None
        if distance is None:
            raise Unmeasured(f"{rule.embedding} gave no two vectors of one length that point anywhere")
        within = FAR if rule.within is None else rule.within
        return None if distance <= within + 1e-12 else Difference.VALUE


NO_RULES = Rules()


def compare(rule: Comparison, a: Any, b: Any) -> Difference | None:
    """How `b` differs from `a` under a rule; None where it is the same."""
    assert rule.how is not None, "a rule without a comparator is only a mute"
    return _BY_HOW[rule.how](rule, a, b)


def _exact(rule: Comparison, a: Any, b: Any) -> Difference | None:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            return Difference.SHAPE
        a, b = list(a.values), list(b.values)
    if type(a) is not type(b):
        return Difference.TYPE
    if a == b or (a != a and b != b):
        return Difference.TYPE if isinstance(a, list | dict) and _encode(a) != _encode(b) else None
    return _not_finite(a, b) or Difference.VALUE


def _number(rule: Comparison, a: Any, b: Any) -> Difference | None:
    if not numbers.is_number(a) or not numbers.is_number(b):
        return _odd(a, b, numbers.is_number)
    relative, absolute = rule.relative, rule.absolute
    if relative is None and absolute is None:
        relative, absolute = 1e-5, 1e-6
    if numbers.close(a, b, relative or 0.0, absolute or 0.0):
        return None
    return _not_finite(a, b) or Difference.VALUE


def _label(rule: Comparison, a: Any, b: Any) -> Difference | None:
    """One class, or the classes of several rows. 1 and 1.0 are one class, as are texts that differ in white space."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return Difference.SHAPE if a.shape != b.shape else _label(rule, list(a.values), list(b.values))
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return Difference.LENGTH
        return None if list(map(_class, a)) == list(map(_class, b)) else Difference.VALUE
    if isinstance(a, list | dict) or isinstance(b, list | dict):
        return _odd(a, b, lambda value: not isinstance(value, list | dict))
    return None if _class(a) == _class(b) else Difference.VALUE


def _class(value: Any) -> Hashable:
    if isinstance(value, str):
        return text.normal(value)
    if type(value) is float:
        return int(value) if value.is_integer() else "NaN" if value != value else value
    return _encode(value) if isinstance(value, list | dict) else (value if type(value) is int else str(value))


def _probabilities(rule: Comparison, a: Any, b: Any) -> Difference | None:
    """Vectors, or rows of vectors: another most likely class, or a total variation beyond what is allowed."""
    rows_a, rows_b = _rows(a), _rows(b)
    if rows_a is None or rows_b is None:
        return _odd(a, b, lambda value: _rows(value) is not None)
    if len(rows_a) != len(rows_b):
        return Difference.SHAPE
    limit = _within(rule)
    for x, y in zip(rows_a, rows_b, strict=True):
        if isinstance(x, Mapping) or isinstance(y, Mapping):
            if not isinstance(x, Mapping) or not isinstance(y, Mapping):
                return Difference.TYPE
            if x.keys() != y.keys():
                return Difference.SHAPE
            x, y = list(x.values()), [y[name] for name in x]
        if len(x) != len(y):
            return Difference.SHAPE
        if not numbers.is_distribution(x):  # scores of some other kind: compared as the numbers they are
            if not all(numbers.close(p, q, 1e-5, 1e-6) for p, q in zip(x, y, strict=True)):
                return Difference.VALUE
            continue
        if not numbers.is_distribution(y):
            return Difference.INVALID if all(map(numbers.finite, y)) else Difference.NAN
        if numbers.choice(x) != numbers.choice(y):
            return Difference.VALUE
        # The comparison must not fail by rounding: 0.3 against 0.29 is 0.010000000000000009 apart.
        if rule.by != "argmax" and not numbers.total_variation(x, y) <= limit + 1e-12:
            return Difference.VALUE
    return None


def _rows(value: Any) -> Sequence[Any] | None:
    """The vectors in a value: itself, the rows of a tensor, or the elements of a list."""
    if isinstance(value, Tensor):
        width = value.shape[-1] if value.shape else 1
        if not all(map(numbers.is_number, value.values)) or not width:
            return None
        return [value.values[at : at + width] for at in range(0, len(value.values), width)]
    one = numbers.vector(value)
    if one is not None:
        return [one]
    if isinstance(value, list) and value and all(isinstance(row, list | dict) for row in value):
        rows = [numbers.vector(row) for row in value]
        return None if None in rows else rows
    return None


def _ranking(rule: Comparison, a: Any, b: Any) -> Difference | None:
    ids_a, ids_b = _ids(rule, a), _ids(rule, b)
    if ids_a is None or ids_b is None:
        return _odd(a, b, lambda value: _ids(rule, value) is not None)
    again_a, again_b = len(set(ids_a)) < len(ids_a), len(set(ids_b)) < len(ids_b)
    if again_a is not again_b:
        return Difference.INVALID if again_b else Difference.VALUE
    ids_a, ids_b = list(dict.fromkeys(ids_a))[: rule.depth], list(dict.fromkeys(ids_b))[: rule.depth]
    if ids_a == ids_b:
        return None
    if rule.by == "overlap":
        distance = 1.0 - rankings.overlap(ids_a, ids_b)
    elif rule.by == "tau":
        tau = rankings.kendall_tau(ids_a, ids_b)
        distance = 1.0 if tau is None else (1.0 - tau) / 2.0
    else:
        distance = 1.0 - rankings.rank_biased_overlap(ids_a, ids_b)
    if distance <= _within(rule) + 1e-12:
        return None
    return Difference.ORDER if set(ids_a) == set(ids_b) else Difference.VALUE


def _set(rule: Comparison, a: Any, b: Any) -> Difference | None:
    ids_a, ids_b = _ids(rule, a), _ids(rule, b)
    if ids_a is None or ids_b is None:
        return _odd(a, b, lambda value: _ids(rule, value) is not None)
    if 1.0 - rankings.shared(ids_a, ids_b) <= _within(rule) + 1e-12:
        return None
    return Difference.VALUE


def _ids(rule: Comparison, value: Any) -> list[bytes] | None:
    """The items of a list by their ids, in canonical form; None where it is no list, or an item has no id."""
    if isinstance(value, Tensor):
        value = list(value.values)
    if not isinstance(value, list):
        return None
    absent: Any = msgspec.UNSET
    found = [paths.compile(rule.id).get(item, absent) for item in value] if rule.id != "$" else value
    return None if absent in found else [_encode(item) for item in found]


def _text(rule: Comparison, a: Any, b: Any) -> Difference | None:
    if not isinstance(a, str) or not isinstance(b, str):
        return _odd(a, b, lambda value: isinstance(value, str))
    if a == b or text.normal(a) == text.normal(b):
        return None
    measure = _TEXT_BY.get(rule.by)
    if measure is not None and 1.0 - measure(a, b) <= _within(rule) + 1e-12:
        return None
    return Difference.VALUE


_TEXT_BY: dict[str, Callable[[str, str], float]] = {
    "words": text.word_overlap,
    "phrases": text.phrase_overlap,
    "length": text.length_ratio,
}


def _tensor(rule: Comparison, a: Any, b: Any) -> Difference | None:
    """Images, embeddings and other tensors, declared or nested lists: shape first, then the norm of the difference."""
    x, y = _flat(a), _flat(b)
    if x is None or y is None:
        return _odd(a, b, lambda value: _flat(value) is not None)
    if x.shape != y.shape:
        return Difference.SHAPE
    if not all(map(numbers.finite, y.values)):
        return Difference.NAN if all(map(numbers.finite, x.values)) else None
    return None if numbers.relative_distance(x.values, y.values) <= _within(rule) + 1e-12 else Difference.VALUE


def _flat(value: Any) -> Tensor | None:
    """A value as a tensor of numbers; None where it is ragged or holds anything else."""
    if isinstance(value, Tensor):
        return value if all(map(numbers.is_number, value.values)) else None
    if not isinstance(value, list):
        return None
    shape, level = [len(value)], value
    while level and isinstance(level[0], list):
        width = len(level[0])
        if not all(isinstance(row, list) and len(row) == width for row in level):
            return None
        shape.append(width)
        level = [item for row in level for item in row]
    return Tensor(tuple(shape), level) if all(map(numbers.is_number, level)) else None


def _odd(a: Any, b: Any, fits: Callable[[Any], bool]) -> Difference | None:
    """What to say where at least one value is not what the spec says: the challenger's fault, or not."""
    if fits(a):
        return Difference.INVALID
    if fits(b):
        return Difference.TYPE
    return None if type(a) is type(b) and _encode(a) == _encode(b) else Difference.VALUE


def _not_finite(a: Any, b: Any) -> Difference | None:
    return Difference.NAN if not numbers.finite(b) and numbers.finite(a) else None


def _within(rule: Comparison) -> float:
    if rule.within is not None:
        return rule.within
    return WITHIN.get(rule.how, 0.0) if rule.how is not None else 0.0


_BY_HOW: dict[Comparator, Same] = {
    Comparator.EXACT: _exact,
    Comparator.NUMBER: _number,
    Comparator.LABEL: _label,
    Comparator.PROBABILITIES: _probabilities,
    Comparator.RANKING: _ranking,
    Comparator.TEXT: _text,
    Comparator.TENSOR: _tensor,
    Comparator.SET: _set,
}
