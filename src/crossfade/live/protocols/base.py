"""What every wire protocol answers about a reply. Bytes are forwarded; only copies are decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from crossfade.spec.model import Ranking

Headers = Mapping[str, str]
"""Lower-case names; of a repeated header the last value."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A reply with a good status that is not a usable answer."""

    reason: str
    """`broken` (cannot be decoded), `nan` (NaN or infinity), `shape` (declared and real shape differ), `error`; or
    `large`, where nobody looked whether it is usable."""
    detail: str


class Tensor(NamedTuple):
    """Values in row-major order under a declared shape. Floats for FP types, str for BYTES."""

    shape: tuple[int, ...]
    values: Sequence[Any]


class Prediction(msgspec.Struct, frozen=True):
    """The comparable part of a reply: named fields, numbers as numbers, tensors as (shape, flat values)."""

    fields: Mapping[str, Any]


class Wire(Protocol):
    """One wire protocol. Implementations are stateless."""

    name: str
    streams: bool
    """Whether a reply may come as server-sent events, to be read as a whole after they have passed."""

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """What a 2xx reply predicts, or why it is unusable. Never raises."""
        ...

    def flaw(self, headers: Headers, body: bytes) -> Invalid | None:
        """Why a 2xx reply is unusable, as `prediction` would say; None when it is not. Never raises."""
        ...

    def items(self, body: bytes, ranking: Ranking) -> list[tuple[str, Any]] | Invalid:
        """The ranked list as (id, item) pairs in order. Never raises.

        What an item is belongs to the protocol (often undecoded bytes): it is only good for handing to `merged`.
        """
        ...

    def merged(self, body: bytes, ranking: Ranking, items: Sequence[Any]) -> bytes:
        """The champion's reply with its list replaced by `items`, every other field kept. Never raises.

        `items` come from `items()` of either arm. When they cannot be put into this reply, `body` itself is
        returned (the same object), and the reply must not be recorded as a merged one.
        """
        ...
