"""The name under which a unit is recorded where a spec asks for pseudonyms: a keyed hash, the same in every language.

Who sees what is still decided by the unit itself (`assign`), so that arms are the same with and without a key.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

DIGITS: Final = 32
"""Hexadecimal digits of a pseudonym: 128 bits, so that no two units meet by chance."""

_BLOCK: Final = 64


def pseudonym(key: bytes, unit: str) -> str:
    """The first 128 bits of HMAC-SHA-256(key, unit in UTF-8), in hexadecimal; '' for no unit.

    Golden vectors: tests/golden/pseudonyms.json.
    """
    if not unit:
        return ""
    begun, around = _begun(key)
    inner, outer = begun.copy(), around.copy()
    inner.update(unit.encode())
    outer.update(inner.digest())
    return outer.hexdigest()[:DIGITS]


@lru_cache(maxsize=64)
def _begun(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Both hashes of HMAC after the key: what is the same for all units, a fifth of the work of the library's own."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    padded = key.ljust(_BLOCK, b"\0")
    return hashlib.sha256(bytes(one ^ 0x36 for one in padded)), hashlib.sha256(bytes(one ^ 0x5C for one in padded))
