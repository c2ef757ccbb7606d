"""What a reply predicts, in the few numbers and names that a label can be set against later."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from crossfade.live import paths
from crossfade.live.compare import text
from crossfade.live.protocols.base import Prediction, Tensor
from crossfade.spec.model import Predicted

MOST = 64
"""Classes of one prediction, or items of one ranking, that are recorded; a prediction of more is not."""

_ABSENT = object()


class Said(NamedTuple):
    """One model's prediction. Empty where the reply has none at that place, or one for several rows."""

    numbers: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


NOTHING = Said()


def said(prediction: Prediction | None, wanted: Predicted | None) -> Said:
    """What `prediction` says at the place where the spec has it."""
    if prediction is None or wanted is None:
        return NOTHING
    if wanted.items:
        return _items(_at(prediction, wanted.items), wanted.id)
    value = _at(prediction, wanted.probability or wanted.label or wanted.value)
    if isinstance(value, Tensor):
        value = list(value.values)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]  # a batch of one
    if wanted.probability and isinstance(value, dict):
        numbers = _numbers(list(value.values()))
        return Said(numbers, tuple(value)) if numbers else NOTHING
    if wanted.probability and isinstance(value, list):
        return Said(_numbers(value))
    if wanted.label and isinstance(value, str):
        return Said((), (text.normal(value),))
    return Said(_numbers([value]))


def _at(prediction: Prediction, path: str) -> Any:
    """The value at a path whose beginning names a field of the prediction."""
    fields = prediction.fields
    if path in fields:
        return fields[path]
    field, rest = _split(path, tuple(fields))
    value = fields.get(field, _ABSENT)
    if value is _ABSENT:
        return None
    if isinstance(value, Tensor):
        value = list(value.values)
    return rest.get(value)


@lru_cache(maxsize=256)
def _split(path: str, fields: tuple[str, ...]) -> tuple[str, paths.Path]:
    """The longest field that the path begins with, and the way from there."""
    fitting = [name for name in fields if path.startswith(name) and path[len(name) : len(name) + 1] in (".", "[")]
    field = max(fitting, key=len, default="")
    try:
        return field, paths.compile("$" + path[len(field) :]) if field else paths.compile("$")
    except paths.PathError:
        return "", paths.compile("$")


def _numbers(values: list[Any]) -> tuple[float, ...]:
    if not values or len(values) > MOST:
        return ()
    if not all(type(one) is float or type(one) is int or type(one) is bool for one in values):
        return ()
    try:
        return tuple(map(float, values))
    except OverflowError:
        return ()


def _items(value: Any, path: str) -> Said:
    if isinstance(value, Tensor):
        value = list(value.values)
    if not isinstance(value, list):
        return NOTHING
    where = paths.compile(path)
    found = [where.get(item) if path != "$" else item for item in value[:MOST]]
    named = [str(one) for one in found if isinstance(one, str | int) and not isinstance(one, bool)]
    return Said((), tuple(named)) if len(named) == len(found) else NOTHING
