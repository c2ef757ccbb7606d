"""CloudEvents 1.0 over HTTP, read: binary mode, structured mode, and batches. What they are about is not asked here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import msgspec

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"

LONGEST = 1024
"""Characters of one attribute; data has the bound of the whole body."""

MOST_EVENTS = 10_000
"""Events in one batch, so that none holds up the others for long."""

REQUIRED = ("id", "source", "type")

_NAME = re.compile(r"[a-z0-9]{1,40}")
_document = msgspec.json.Decoder(dict[str, Any])
_parts = msgspec.json.Decoder(list[msgspec.Raw])


class NoEvents(ValueError):
    """The request as a whole is no CloudEvent and no batch of them."""


class TooMany(ValueError):
    """The batch has more events than are taken at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, whichever way it came."""

    id: str
    source: str
    type: str
    at: float | None
    """When it happened, seconds since the epoch; None where it does not say."""
    attributes: Mapping[str, str]
    """Its other attributes, extensions included."""
    data: bytes


def read(headers: Mapping[str, str], body: bytes) -> list[Event | str]:
    """The events of one request, or what is wrong with each. `headers` have lower-case names. Raises NoEvents, and
    TooMany."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == STRUCTURED:
            return [_structured(_document.decode(body))]
        if kind == BATCH:
            return [_structured(_document.decode(one)) for one in _bounded(_parts.decode(body))]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NoEvents(f"the body is no {kind}: {error}") from error
    if "ce-specversion" not in headers:
        raise NoEvents(f"it has neither ce- headers nor the content type {STRUCTURED} or {BATCH}")
    told = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return [_event(told, body)]


def _bounded(found: list[msgspec.Raw]) -> list[msgspec.Raw]:
    if len(found) > MOST_EVENTS:
        raise TooMany(f"the batch has {len(found):,} events; at most {MOST_EVENTS:,} are taken at once")
    return found


def _structured(told: dict[str, Any]) -> Event | str:
    data, coded = told.pop("data", None), told.pop("data_base64", None)
    kind = str(told.get("datacontenttype") or "application/json").partition(";")[0].strip().lower()
    if coded is not None:
        try:
            body = base64.b64decode(coded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            return "data_base64 is no Base64"
    elif isinstance(data, str) and not kind.endswith("json"):
        body = data.encode()
    else:
        body = b"" if data is None else msgspec.json.encode(data)
    return _event({name: _text(value) for name, value in told.items()}, body)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _event(told: dict[str, str], data: bytes) -> Event | str:
    for name, value in told.items():
        if not _NAME.fullmatch(name):
            return f"{name[:60]!r} is no name of an attribute: lower-case letters and digits"
        if len(value) > LONGEST and name not in ("metadata", "annotations"):
            return f"{name} is longer than {LONGEST} characters"
    version = told.pop("specversion", "")
    if version != "1.0":
        return f"specversion is {version!r}; 1.0 is understood"
    missing = [name for name in REQUIRED if not told.get(name)]
    if missing:
        return f"{missing[0]} is missing; every event has {', '.join(REQUIRED)}"
    at = told.pop("time", "")
    try:
        when = datetime.fromisoformat(_short(at)).timestamp() if at else None
    except ValueError:
        return f"time is {at[:40]!r}; it is written as 2026-03-01T12:00:00Z"
    found = {name: told.pop(name) for name in REQUIRED}
    return Event(**found, at=when, attributes=told, data=data)


def _short(at: str) -> str:
    """Nanoseconds, which Go writes, as microseconds."""
    return re.sub(r"(\.\d{6})\d+", r"\1", at)
