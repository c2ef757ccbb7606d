"""Python results as evidence: what they predict, which list they rank, and how a merged list is put back.

Results reach the caller as the models returned them; only what is compared is turned into plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any

from crossfade.live import paths
from crossfade.live.paths import member
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid, Prediction
from crossfade.live.units import canonical
from crossfade.spec.model import Ranking

_DEEPEST = 64


class _Opaque(Exception):
    """A value that nothing here can look into."""


class _NotANumber(Exception):
    """NaN or infinity, and where."""


def prediction(value: Any) -> Prediction | Invalid | None:
    """What a result predicts, by top-level member; None for objects that cannot be looked into. Never raises."""
    try:
        plain = _plain(value, 0)
    except _NotANumber:
        return Invalid("nan", "the result holds NaN or infinity")
    except Exception:  # whatever a foreign object does when it is looked at
        return None
    if isinstance(plain, dict):
        return Prediction({f"${member(name)}": part for name, part in plain.items()})
    return Prediction({"$": plain})


def items(value: Any, ranking: Ranking) -> list[tuple[str, Any]] | Invalid:
    """The ranked list as (id, item) pairs, without what is pinned. Never raises."""
    listed = paths.compile(ranking.items).get(value)
    if not isinstance(listed, list):
        return Invalid("shape", f"the result has no list at {ranking.items}")
    find = paths.compile(ranking.id).get
    pairs = [(canonical(find(item)), item) for item in listed if not document.fixed(item, ranking)]
    for index, (name, _) in enumerate(pairs):
        if not name:
            return Invalid("shape", f"item {index} of {ranking.items} has no usable id at {ranking.id}")
    return pairs


def merged(value: Any, ranking: Ranking, listed: Sequence[Any]) -> Any:
    """A copy of the champion's result, its list replaced around what is pinned; what lies off the path is shared."""
    path = paths.compile(ranking.items)
    slots = {slot: item for slot, item in enumerate(path.get(value)) if document.fixed(item, ranking)}
    return path.set(value, document.around(slots, listed))


def pinned(value: Any, ranking: Ranking) -> frozenset[str]:
    """The ids of the items that keep their slots."""
    find = paths.compile(ranking.id).get
    listed = paths.compile(ranking.items).get(value)
    return frozenset(canonical(find(item)) for item in listed if document.fixed(item, ranking))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise _NotANumber
        return float(value)
    if depth > _DEEPEST:
        raise _Opaque
    if isinstance(value, Mapping):
        return {str(key): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    # Arrays, series and scalars of numpy, pandas, torch and their kin, by what they can do: none is imported here.
    for way in ("tolist", "to_dict", "model_dump"):
        turn = getattr(value, way, None)
        if callable(turn):
            return _plain(turn(), depth + 1)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value), depth + 1)
    raise _Opaque
