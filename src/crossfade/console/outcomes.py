"""Outcomes as people post them: reading a body item by item, so that one bad item costs only itself.

An outcome without an `outcome_id` gets one from a hash of its content: the same item sent twice is recognised. Two
events that are alike in every field, `at` included, therefore need ids of their own to count as two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, TypeVar

import msgspec
import xxhash

from crossfade.facts import Outcome
from crossfade.rim.near import Near

LONGEST_TEXT = 512
"""Characters in any one text field."""

FUTURE = 86_400.0
"""Seconds by which a reporter's clock may be ahead of ours."""


LARGEST_VALUE = 1e15
"""Either way from 0. Beyond it sums lose whole units, and one slip of a reporter would blind its metric for good."""

MOST_ITEMS = 100_000
"""Items in one body, so that none holds up the others for long."""

MILLISECONDS = 1e11
"""Seconds from which a time is more likely meant as milliseconds: the year 5138."""


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item of a posted body."""

    name: str
    outcome_id: str = ""
    decision_id: str = ""
    rollout: str = ""
    unit: str = ""
    value: float | msgspec.UnsetType = msgspec.UNSET
    """1 if left out; a correction has to say it."""
    item: str = ""
    at: float | str | None = None
    """Seconds since the epoch, or a date and time with its offset (RFC 3339); when it arrived, if left out."""
    corrects: str = ""
    """The outcome_id of the outcome whose value this one replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A body taken apart: what can be kept, and what is wrong with the rest."""

    outcomes: list[Outcome]
    rejected: list[dict[str, Any]]

    def refused(self, conflicts: Sequence[int]) -> list[dict[str, Any]]:
        """All that was not kept, in the body's order; `conflicts` are places among `outcomes`."""
        if not conflicts:
            return self.rejected
        bad = {found["index"] for found in self.rejected}
        count = len(bad) + len(self.outcomes)
        kept = [index for index in range(count) if index not in bad]
        told = [{"index": kept[place], "problem": _conflict(self.outcomes[place])} for place in conflicts]
        return sorted(self.rejected + told, key=lambda found: int(found["index"]))


def _conflict(outcome: Outcome) -> str:
    return (
        f"outcome_id {outcome.outcome_id!r} was reported before with other content, which stands; nothing was changed. "
        "An event of its own needs an outcome_id of its own"
    )


class Unreadable(ValueError):
    """The body as a whole is neither a JSON array nor lines of JSON."""


class TooMany(ValueError):
    """The body has more items than are taken at once."""


Found = TypeVar("Found")

_whole = msgspec.json.Decoder(list[Item])
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(Item)


def read(
    body: bytes,
    *,
    lines: bool,
    now: float,
    known: Collection[str],
    recorded: Callable[[str, str], str] | None = None,
    hints: bool = True,
) -> Read:
    """Take a body apart. `lines`: it is NDJSON; `known`: names of the rollouts; `recorded`: how a rollout's units are
    written down, where not as they are named; `hints`: whether who sent it may be told which rollouts there are.

    Raises Unreadable, TooMany, and what `recorded` raises.
    """
    near = Near()
    items = _items_of_lines(body, near) if lines else _items_of_array(body, near)
    rollouts = near if hints else Near(0)
    outcomes, rejected = [], []
    for index, item in items:
        found = item if isinstance(item, str) else _outcome(item, now, known, recorded, rollouts)
        if isinstance(found, str):
            rejected.append({"index": index, "problem": found})
        else:
            outcomes.append(found)
    return Read(outcomes=outcomes, rejected=rejected)


def _items_of_array(body: bytes, near: Near) -> list[tuple[int, Item | str]]:
    try:
        # One pass when all is well, which is nearly always.
        return list(enumerate(_bounded(_whole.decode(body))))
    except (msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        pass
    except msgspec.DecodeError as error:
        raise Unreadable(f"the body is not JSON: {error}") from error
    try:
        return [(index, _item(bytes(raw), near)) for index, raw in enumerate(_bounded(_parts.decode(body)))]
    except msgspec.ValidationError as error:
        if body.lstrip()[:1] == b"{":
            return [(0, _item(body, near))]
        raise Unreadable("the body is JSON, but not an array of outcomes") from error
    except RecursionError as error:
        raise Unreadable("the body is nested too deeply; an outcome is a flat object") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the body is not JSON: {error}") from error


def _items_of_lines(body: bytes, near: Near) -> list[tuple[int, Item | str]]:
    filled = [line for line in body.splitlines() if line.strip()]
    if not filled and body:
        raise Unreadable("the body has no line with JSON in it")
    return [(index, _item(line, near)) for index, line in enumerate(_bounded(filled))]


def _bounded(found: Sequence[Found]) -> Sequence[Found]:
    if len(found) > MOST_ITEMS:
        raise TooMany(f"the body has {len(found):,} items; at most {MOST_ITEMS:,} are taken at once")
    return found


def _item(raw: bytes, near: Near) -> Item | str:
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        return _problem(str(error), near)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"this is not a JSON object: {error}"
    except RecursionError:
        return "this is nested too deeply; an outcome is a flat object"


_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<where>.*)`$")
_WORDS = {"`float`": "a number", "`int`": "a number", "`str`": "text", "`bool`": "true or false", "`null`": "null"}


def _problem(text: str, near: Near) -> str:
    """The decoder's complaint in our words."""
    unknown = re.search(r"unknown field `(.*?)`", text)
    if unknown:
        close = near(unknown[1], Item.__struct_fields__)
        allowed = ", ".join(Item.__struct_fields__)
        return f"{unknown[1]!r} is not known here" + (f"; did you mean {close}?" if close else f"; allowed: {allowed}")
    missing = re.search(r"missing required field `(.*?)`", text)
    if missing:
        return f"{missing[1]} is missing: the outcome that the metric in the spec asks for"
    for word, ours in _WORDS.items():
        text = text.replace(word, ours)
    found = _AT.match(text)
    what, where = (found["what"], found["where"]) if found else (text, "")
    what = what.replace("`", "").replace(" | ", " or ")
    return f"{where or 'item'}: {what[:1].lower()}{what[1:]}"


def _outcome(
    item: Item, now: float, known: Collection[str], recorded: Callable[[str, str], str] | None, near: Near
) -> Outcome | str:
    """The fact that an item states, or what is wrong with it."""
    wrong = _wrong(item, known, near)
    if wrong:
        return wrong
    at = now if item.at is None else _seconds(item.at, now)
    if isinstance(at, str):
        return at
    by_decision = bool(item.decision_id)
    if item.unit and recorded is not None:
        # Before an id is made of it: a hash of the name would name it to whoever guesses. Beside a decision it is
        # not kept at all.
        item = msgspec.structs.replace(item, unit="" if by_decision else recorded(item.rollout, item.unit))
    return Outcome(
        outcome_id=item.outcome_id or _derived(item),
        rollout="" if by_decision else item.rollout,
        decision_id=item.decision_id,
        unit="" if by_decision else item.unit,
        name=item.name,
        value=1.0 if item.value is msgspec.UNSET else item.value,
        item=item.item,
        at=at,
        received_at=now,
        corrects=item.corrects,
    )


def _wrong(item: Item, known: Collection[str], near: Near) -> str:
    if not item.name:
        return "name is empty; it is the outcome that the metric in the spec asks for"
    for field in ("name", "outcome_id", "decision_id", "rollout", "unit", "item", "corrects"):
        if len(getattr(item, field)) > LONGEST_TEXT:
            return f"{field} is longer than {LONGEST_TEXT} characters"
    if item.value is msgspec.UNSET:
        if item.corrects:
            return "value is missing; a correction says which value is right, 0 for an event that did not happen"
    elif not isfinite(item.value):
        return f"value is {item.value}; it must be a finite number"
    elif abs(item.value) > LARGEST_VALUE:
        return f"value is {item.value:g}; it must lie between -1e15 and 1e15"
    if item.corrects and item.corrects == item.outcome_id:
        return "it corrects itself; give the correction an outcome_id of its own, or none"
    if item.decision_id:
        return ""
    if not (item.rollout and item.unit):
        return "it names neither a decision_id nor a rollout and a unit, so it belongs to nothing"
    if item.rollout not in known:
        close = near(item.rollout, known, cutoff=0.5)
        return f"no rollout is named {item.rollout!r}" + (f"; did you mean {close}?" if close else "")
    return ""


def _seconds(at: float | str, now: float) -> float | str:
    if isinstance(at, str):
        try:
            found = datetime.fromisoformat(at)
        except ValueError:
            return f"at is {at[:40]!r}; give seconds since the epoch or a time such as 2026-03-01T12:00:00Z"
        if found.tzinfo is None:
            return f"at is {at!r}, which has no offset; add Z or +01:00"
        at = found.timestamp()
    if not isfinite(at) or at < 0.0:
        return f"at is {at}; give seconds since the epoch"
    if at > now + FUTURE:
        if at >= MILLISECONDS and at / 1000.0 <= now + FUTURE:
            return f"at is {at:.0f}, which looks like milliseconds; give seconds since the epoch"
        return f"at is {at:.0f}, more than a day in the future; check the reporter's clock"
    return at


def _derived(item: Item) -> str:
    """An id made of everything the item says."""
    value = 1.0 if item.value is msgspec.UNSET else item.value
    content: tuple[Any, ...] = (item.decision_id, item.rollout, item.unit, item.name, value, item.item, item.at)
    if item.corrects:
        content = (*content, item.corrects)
    return "h-" + xxhash.xxh3_128_hexdigest(msgspec.json.encode(content))
