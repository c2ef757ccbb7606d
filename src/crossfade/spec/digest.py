"""A spec's revision: the digest of what is written, whatever its order, comments and layout."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from crossfade.spec.problems import SpecProblems
from crossfade.spec.source import Node, load

REVISION_DIGITS = 12
_EXACT = 2**53 - 1


def digest(text: str) -> str:
    """SHA-256, in hexadecimal, of a spec's content as canonical JSON (RFC 8785).

    Raises SpecProblems when the text is not one YAML document without repeated keys; whether it is a good
    spec is `parse`'s to say.
    """
    root, problems = load(text)
    if problems:
        raise SpecProblems(problems)
    return digest_of(root)


def digest_of(root: Node) -> str:
    """The digest of content that has been read already."""
    return hashlib.sha256(rfc8785.dumps(_canonical(root.plain()))).hexdigest()


def _canonical(value: Any) -> Any:
    """Content that canonical JSON can carry: numbers beyond its exact range stand as their text."""
    if isinstance(value, dict):
        return {key: _canonical(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return f"{value:x}"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
