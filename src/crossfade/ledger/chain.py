"""What both chains are made of: values as JSON can say them, the one way to write them down, and their hash."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

GENESIS = "0" * 64
"""The `previous` of a chain's first record."""

UNHASHED = frozenset({"hash", "signature"})
"""What a record says about itself and cannot therefore be part of its hash."""

_EXACT = 2**53
"""Integers up to here survive every JSON reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Somebody who vouches for records: an Ed25519 key, wherever it is kept."""

    signer: str
    """The public key, 32 bytes in hexadecimal. It is part of what is hashed."""
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The parts that a signed record has more than another; None where nobody signed it."""

    signer: str | None = None
    signature: str | None = None
    """Ed25519 over the 32 bytes of `hash`, in hexadecimal."""


def plain(value: Any) -> Any:
    """`value` in JSON types only: NaN and infinities become None, number-likes become numbers, tuples become lists.

    Raises TypeError for what JSON cannot say.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    if hasattr(value, "__index__"):
        whole = operator.index(value)
        return whole if abs(whole) < _EXACT else float(whole)
    if hasattr(value, "item"):
        return plain(value.item())
    raise TypeError(f"a ledger entry cannot hold {type(value).__name__}")


def canonical(value: Any) -> bytes:
    """The one way to write a JSON value down (RFC 8785)."""
    return rfc8785.dumps(value)


def digest(record: Mapping[str, Any]) -> str:
    """The hash of a record; its own `hash`, and the signature over that, are left out."""
    return hashlib.sha256(canonical({k: v for k, v in record.items() if k not in UNHASHED})).hexdigest()


def read(text: str | bytes) -> dict[str, Any]:
    """The record that a text holds. Raises ValueError, also when it is not written in the one way."""
    try:
        record = json.loads(text, parse_int=_whole)
        written = canonical(record) if isinstance(record, dict) else None
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as problem:
        raise ValueError(f"it cannot be read: {problem}") from problem
    if written is None:
        raise ValueError("it is not a record")
    if written != (text if isinstance(text, bytes) else text.encode(errors="surrogatepass")):
        raise ValueError("it is not written as it was recorded")
    return dict(record)


def _whole(digits: str) -> int | float:
    """A number without a fraction as `plain` has it."""
    return plain(int(digits))  # type: ignore[no-any-return]
