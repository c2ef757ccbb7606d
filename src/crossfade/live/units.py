"""Who a request is about: the unit, or a segment value, read from a header, a cookie or the JSON body."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from crossfade.live import paths
from crossfade.spec.model import Field, From

MOST_BYTES: Final = 256
"""Longest accepted value, in UTF-8 bytes; longer ones count as missing."""

_MOST_BITS: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_COOKIE_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]+")


def read(field: Field, headers: Mapping[str, str], body: Callable[[], Any]) -> str:
    """The value of `field` in one request; '' when it is missing or absurd. Never raises.

    `headers` have lower-case names; `body` gives the decoded JSON document and is called only for `json:` fields.
    `request` gives '': whoever serves the request uses its decision id instead.
    """
    match field.source:
        case From.HEADER:
            return header(headers.get(field.name.lower(), ""))
        case From.COOKIE:
            return cookie(headers.get("cookie", ""), field.name)
        case From.JSON:
            try:
                return canonical(paths.compile(field.name).get(body()))
            except Exception:
                # The body is a stranger's: whatever goes wrong while reading it, the unit is missing.
                return ""
        case From.REQUEST:
            return ""


def header(value: str) -> str:
    """What a header's value says; '' when it is missing or absurd."""
    value = value.strip(" \t")
    return _acceptable(value if value.isascii() else _as_utf8(value))


def cookie(header: str, name: str) -> str:
    """The first cookie called `name` in a Cookie header; '' when it is absent or no plain cookie value (RFC 6265)."""
    if name not in header:
        return ""
    for pair in header.split(";"):
        key, equals, value = pair.partition("=")
        if equals and key.strip(" \t") == name:
            value = value.strip(" \t")
            if len(value) > 1 and value[0] == '"' and value[-1] == '"':
                value = value[1:-1]
            return value if len(value) <= MOST_BYTES and _COOKIE_VALUE.fullmatch(value) else ""
    return ""


def canonical(value: Any) -> str:
    """One text for one JSON string or number, so that 7, 7.0 and 7e0 name the same unit; '' for anything else."""
    if isinstance(value, str):
        return _acceptable(value)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MOST_BITS else ""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return ""


def _as_utf8(value: str) -> str:
    """A header's text read as UTF-8 where it is that: HTTP parsers give bytes as latin-1, senders mean UTF-8."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _acceptable(value: str) -> str:
    if len(value) > MOST_BYTES:
        return ""
    if value.isascii():
        return value if value.isprintable() and not value.isspace() else ""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return ""  # half of a surrogate pair: nothing could hash or store it
    return value if size <= MOST_BYTES and not _CONTROL.search(value) and not value.isspace() else ""
