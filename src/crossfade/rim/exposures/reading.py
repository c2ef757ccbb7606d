"""Exposures as routers and programs tell them: each item becomes one fact, or one problem in words.

It is the one way in, whoever tells: the control port, a log that is followed, an event of a serving platform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

import msgspec
import xxhash

from crossfade.facts import Exposed
from crossfade.live.units import header
from crossfade.rim.drivers.port import Mark
from crossfade.rim.exposures.placing import Placed, by_mark
from crossfade.rim.near import Near
from crossfade.spec.model import From, Rollout

MOST_ITEMS = 100_000
"""Items in one body, so that none holds up the others for long."""

LONGEST_TEXT = 512
"""Characters in any one text."""

FUTURE = 300.0
"""Seconds by which a router's clock may be ahead of ours: what comes from later cannot be placed yet."""

BROKEN = 500
"""The status from which a reply counts as failed."""

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_ORDER = re.compile(r"crossfade\|[^\s\"]+")


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exposure. Texts may be `-`, and numbers texts: access logs write them so."""

    decision_id: str | None = None
    """The request's own id; outcomes may name it. Of two items with one id the first counts."""
    order: str | None = None
    """What the router said of the order that it obeyed; it names the rollout and where it stood."""
    rollout: str | None = None
    """Needed where there is no order."""
    unit: str | None = None
    """Who was served; without one the champion's, and never analysed. Not needed for `unit: request`."""
    arm: str | None = None
    """The arm that the unit was assigned to, by its own name or by the router's."""
    at: float | str | None = None
    """Seconds since the epoch, or a date and time with its offset (RFC 3339); when it arrived, if left out."""
    status: int | str | None = None
    """HTTP status; 200 if left out, 0 for none."""
    failed: bool | None = None
    """Whether the arm failed; a status of 500 or more, or none, if left out."""
    latency_ms: float | str | None = None
    """What the arm took."""
    latency_us: float | str | None = None
    """The same in microseconds, in its place."""
    total_ms: float | str | None = None
    """What the client waited; as the arm took, if left out."""
    size: int | str | None = None
    """Bytes of the reply."""
    segments: dict[str, str | None] | None = None
    """Values of the spec's segments by their names, such as {"header:x-country": "DE"}."""
    flags: str | None = None
    """What the router says of how it ended, for the reason of a failure."""


ITEM: dict[str, Any] = msgspec.json.schema(Item)
"""The JSON Schema of an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known where exposures arrive."""

    rollouts: Mapping[str, Rollout]
    placed: Callable[[str, float], Placed]
    """Where a rollout stood at a time."""
    recorded: Callable[[str, str], str]
    """How a rollout's unit is written down. May raise SecretError."""
    now: float
    near: Near = field(default_factory=Near)
    """What may have been meant by names that are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A body taken apart: what can be kept, what is wrong with the rest, and what is not ours."""

    exposures: list[Exposed]
    rejected: list[dict[str, Any]]
    """`index` and `problem`."""
    ignored: int = 0
    """Lines of a log that are about no rollout."""


class Unreadable(ValueError):
    """The body as a whole is neither a JSON array nor lines of JSON."""


class TooMany(ValueError):
    """The body has more items than are taken at once."""


_parts = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(Item)
_lax = msgspec.json.Decoder(dict[str, Any])


def read(body: bytes, context: Context, *, lines: bool) -> Read:
    """Take a posted body apart. Raises Unreadable, TooMany, and what `context.recorded` raises."""
    if lines:
        parts: Sequence[bytes] = [line for line in body.splitlines() if line.strip()]
        if not parts and body:
            raise Unreadable("the body has no line with JSON in it")
    elif body.lstrip()[:1] == b"{":
        parts = [body]
    else:
        try:
            parts = [bytes(part) for part in _parts.decode(body)]
        except msgspec.ValidationError as error:
            raise Unreadable("the body is JSON, but not an array of exposures") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"the body is not JSON: {error}") from error
    if len(parts) > MOST_ITEMS:
        raise TooMany(f"the body has {len(parts):,} items; at most {MOST_ITEMS:,} are taken at once")
    return read_items((item(part, context.near) for part in parts), context)


def item(raw: bytes, near: Near) -> Item | str:
    """One object, or what is wrong with it."""
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        return _problem(str(error), near)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"this is not a JSON object: {error}"


def logged(raw: bytes) -> Item | str | None:
    """One line of an access log; None for a request that is no rollout's. Keys that are not ours are left alone."""
    begin = raw.find(b"{")
    try:
        found = _lax.decode(raw[begin:]) if begin >= 0 else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"this is no JSON: {error}"
    if not _ORDER.search(str(found.get("order") or "")) and not found.get("rollout"):
        return None
    ours = {key: value for key, value in found.items() if key in Item.__struct_fields__}
    try:
        return msgspec.convert(ours, Item)
    except msgspec.ValidationError as error:
        return _problem(str(error), Near())


def read_items(items: Iterable[Item | str | None], context: Context) -> Read:
    """Facts and problems of items. Raises what `context.recorded` raises."""
    exposures, rejected, ignored = [], [], 0
    for index, one in enumerate(items):
        if one is None:
            ignored += 1
            continue
        found = one if isinstance(one, str) else _fact(one, context)
        if isinstance(found, str):
            rejected.append({"index": index, "problem": found})
        else:
            exposures.append(found)
    return Read(exposures=exposures, rejected=rejected, ignored=ignored)


def _fact(one: Item, context: Context) -> Exposed | str:
    for name in ("decision_id", "order", "rollout", "unit", "arm", "flags"):
        if len(getattr(one, name) or "") > LONGEST_TEXT:
            return f"{name} is longer than {LONGEST_TEXT} characters"
    order = _ORDER.search(one.order or "")
    mark = Mark.read(order[0]) if order else None
    name = mark.rollout if mark else _text(one.rollout)
    if not name:
        return "it names no rollout, and the order that it came under does not either"
    rollout = context.rollouts.get(name)
    if rollout is None:
        close = context.near(name, context.rollouts, cutoff=0.5)
        return f"no rollout is named {name!r}" + (f"; did you mean {close}?" if close else "")
    at = _time(one.at, context.now)
    if isinstance(at, str):
        return at
    arm = _arm(rollout, _text(one.arm))
    if arm is None:
        named = ", ".join(known.name for known in (rollout.champion, *rollout.challengers))
        return f"arm is {_text(one.arm)!r}; the arms of {name} are {named}"
    numbers = _numbers(one)
    if isinstance(numbers, str):
        return numbers
    decision = _text(one.decision_id)
    asked = header(_text(one.unit))
    if rollout.unit.source is From.REQUEST:
        asked = decision or _derived(one, at)
    unit = context.recorded(name, asked) if asked else ""
    placed = by_mark(mark) if mark else context.placed(name, at)
    segments = one.segments or {}
    failed = numbers.status >= BROKEN or numbers.status == 0 if one.failed is None else one.failed
    return Exposed(
        rollout=name,
        revision=placed.revision,
        decision_id=decision or _derived(one, at),
        at=at,
        unit=unit,
        arm=arm,
        served_by=arm if numbers.status else "",
        mode=placed.mode,
        stage=placed.stage,
        step=placed.step,
        weight=placed.weight,
        status=numbers.status,
        failed=failed,
        reason=("status" if numbers.status else _text(one.flags) or "broken") if failed else placed.reason,
        latency_ms=numbers.latency,
        total_ms=numbers.total,
        size=numbers.size,
        segments=tuple(header(_text(segments.get(str(field)))) for field in rollout.features),
    )


@dataclass(frozen=True, slots=True)
class _Numbers:
    status: int
    latency: float
    total: float
    size: int


def _numbers(one: Item) -> _Numbers | str:
    found: dict[str, float] = {}
    for name in ("status", "latency_ms", "latency_us", "total_ms", "size"):
        value = getattr(one, name)
        if value is None or value in ("", "-"):
            continue
        try:
            found[name] = float(value)
        except (ValueError, OverflowError):
            return f"{name} is {str(value)[:40]!r}; it must be a number"
        # HAProxy writes -1 for what did not happen.
        if not isfinite(found[name]) or found[name] > 1e12:
            return f"{name} is {value}; it must be a finite number"
    latency = found.get("latency_us", 1000.0 * found.get("latency_ms", found.get("total_ms", 0.0))) / 1000.0
    total = found.get("total_ms", latency)
    status = found.get("status", 200.0)
    if not 0.0 <= status < 1000.0:
        status = 0.0
    return _Numbers(
        int(status),
        # An arm that never answered took as long as the client waited.
        latency if latency >= 0.0 else max(0.0, total),
        max(0.0, total),
        int(max(0.0, found.get("size", 0.0))),
    )


def _text(value: str | None) -> str:
    return "" if value is None or value == "-" else value


def _arm(rollout: Rollout, said: str) -> str | None:
    names = {arm.name: arm.name for arm in (rollout.champion, *rollout.challengers)}
    if rollout.router is not None:
        names = {rollout.router.called(name): name for name in names} | names
    return names.get(said)


def _time(at: float | str | None, now: float) -> float | str:
    if at is None:
        return now
    if isinstance(at, str) and not _NUMBER.fullmatch(at):
        try:
            found = datetime.fromisoformat(at)
        except ValueError:
            return f"at is {at[:40]!r}; give seconds since the epoch or a time such as 2026-03-01T12:00:00Z"
        if found.tzinfo is None:
            return f"at is {at!r}, which has no offset; add Z or +01:00"
        at = found.timestamp()
    at = float(at)
    if not isfinite(at) or at < 0.0:
        return f"at is {at}; give seconds since the epoch"
    if at > now + FUTURE:
        return (
            f"at is {at:.0f}, more than {FUTURE:.0f} s in the future; check the router's clock, and that it is seconds"
        )
    return at


def _derived(one: Item, at: float) -> str:
    """An id made of everything that the item says."""
    said = (one.order, one.rollout, one.unit, one.arm, at, one.status, one.latency_ms, one.latency_us, one.total_ms)
    return "x-" + xxhash.xxh3_128_hexdigest(msgspec.json.encode(said))


def _problem(text: str, near: Near) -> str:
    """The decoder's complaint in our words."""
    unknown = re.search(r"unknown field `(.*?)`", text)
    if unknown:
        close = near(unknown[1], Item.__struct_fields__)
        return f"{unknown[1]!r} is not known here" + (
            f"; did you mean {close}?" if close else f"; allowed: {', '.join(Item.__struct_fields__)}"
        )
    what, _, where = text.replace("`", "").partition(" - at $.")
    return f"{where or 'item'}: {what[:1].lower()}{what[1:]}".replace(" | null", "").replace("str", "text")
