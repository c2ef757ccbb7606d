"""What the JSON protocols share: decoding that tells NaN from rubbish, and ranked lists kept as undecoded bytes.

Lists are cut out of a reply and put back without decoding what lies around them, so that every field nobody
asked about leaves as it came, digit for digit.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crossfade.live import paths
from crossfade.live.protocols.base import Invalid
from crossfade.live.units import canonical
from crossfade.spec.model import Ranking

MOST_INFLATED = 1 << 20
"""Bytes that a compressed reply is decoded to: as many as are read of one that is not compressed. A kilobyte may stand
for a megabyte, and whoever decodes it keeps users waiting."""

LARGE = "large"
"""Why a reply that decodes to more is not read; that is no failure of its arm."""

_any = msgspec.json.Decoder()
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
encode = msgspec.json.Encoder().encode


def plain(headers: Mapping[str, str], body: bytes) -> bytes | Invalid:
    """The body without its content encoding (identity, gzip or deflate)."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return Invalid("broken", f"content-encoding {encoding[:40]!r} cannot be read; identity, gzip and deflate can")
    try:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        data = inflater.decompress(body, MOST_INFLATED)
    except zlib.error as error:
        return Invalid("broken", f"not {encoding}: {error}")
    if inflater.eof:
        return data
    if len(data) >= MOST_INFLATED:
        return Invalid(LARGE, f"{encoding} data decodes to more than {MOST_INFLATED} bytes")
    return Invalid("broken", f"{encoding} data is cut short")


def swells(headers: Mapping[str, str], body: bytes, most: int) -> bool:
    """Whether a body decodes to more than so many bytes; found out at the price of those."""
    if headers.get("content-encoding", "").strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return len(body) > most
    try:
        return len(zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, most + 1)) > most
    except zlib.error:
        return False


def load(body: bytes) -> Any | Invalid:
    """The decoded document, or why there is none. Never raises."""
    try:
        return _any.decode(body)
    except (ValueError, RecursionError) as error:
        return why(body, error)


def why(body: bytes, error: Exception) -> Invalid:
    """What is wrong with a body that the decoder refused: `nan` where only NaN or infinity stood in the way."""
    if not body:
        return Invalid("broken", "the body is empty")
    if isinstance(error, RecursionError):
        return Invalid("broken", "nested too deeply")
    if isinstance(error, msgspec.ValidationError) and "out of range" in str(error):
        return Invalid("nan", f"a number is too large to be one: {error}")
    if isinstance(error, msgspec.ValidationError):
        return Invalid("broken", str(error))
    if b"NaN" in body or b"Infinity" in body:
        # Python's own encoder writes these bare words, which are not JSON; only its decoder reads them back.
        words: list[str] = []
        try:
            json.loads(body, parse_constant=words.append)
        except (ValueError, RecursionError):
            words.clear()
        if words:
            return Invalid("nan", f"the reply holds {words[0]}")
    return Invalid("broken", str(error))


def items(body: bytes, ranking: Ranking) -> list[tuple[str, Any]] | Invalid:
    """The ranked list as (id, undecoded item) pairs in order, without what is pinned. Never raises."""
    try:
        raw = _inside(body, paths.compile(ranking.items).parts)
        listed = _elements.decode(raw)
        find = paths.compile(ranking.id).get
        decoded = _any.decode(raw)
        if ranking.pinned:
            kept = [slot for slot, item in enumerate(decoded) if not fixed(item, ranking)]
            decoded, listed = [decoded[slot] for slot in kept], [listed[slot] for slot in kept]
        pairs = [(canonical(find(item)), undecoded) for item, undecoded in zip(decoded, listed, strict=True)]
    except paths.PathError as unknown:
        return Invalid("broken", str(unknown))
    except (KeyError, IndexError):
        return Invalid("shape", f"the reply has no {ranking.items}")
    except msgspec.ValidationError as mismatch:
        found = why(body, mismatch)
        return found if found.reason == "nan" else Invalid("shape", f"{ranking.items} is not a list: {mismatch}")
    except (ValueError, RecursionError) as error:
        return why(body, error)
    for index, (name, _) in enumerate(pairs):
        if not name:
            return Invalid("shape", f"item {index} of {ranking.items} has no usable id at {ranking.id}")
    return pairs


def fixed(item: Any, ranking: Ranking) -> bool:
    """Whether an item is pinned: sold or placed by hand, and none of a ranker's business."""
    return bool(ranking.pinned) and bool(paths.compile(ranking.pinned).get(item))


def pinned(body: bytes, ranking: Ranking) -> frozenset[str]:
    """The ids of the items that are pinned; none where there is no such list. Never raises."""
    listed = load(body)
    if not ranking.pinned or isinstance(listed, Invalid):
        return frozenset()
    listed = paths.compile(ranking.items).get(listed)
    if not isinstance(listed, list):
        return frozenset()
    find = paths.compile(ranking.id).get
    return frozenset(canonical(find(item)) for item in listed if fixed(item, ranking))


def around(slots: Mapping[int, Any], items: Sequence[Any]) -> list[Any]:
    """The items in order, around others that keep their slots; a slot beyond the end is the end."""
    placed = list(items)
    for slot in sorted(slots):
        placed.insert(slot, slots[slot])
    return placed


def merged(body: bytes, ranking: Ranking, items: Sequence[Any]) -> bytes:
    """The reply with its list replaced, what is pinned left in its slot; `body` itself when it has no such list.

    Never raises.
    """
    try:
        listed = list(items)
        parts = paths.compile(ranking.items).parts
        if ranking.pinned:
            listed = around(_pinned_slots(body, parts, ranking), listed)
        return _replace(body, parts, listed)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, OverflowError):
        return body


def _inside(raw: msgspec.Raw | bytes, parts: tuple[str | int, ...]) -> msgspec.Raw | bytes:
    for part in parts:
        raw = _members.decode(raw)[part] if isinstance(part, str) else _elements.decode(raw)[part]
    return raw


def _pinned_slots(body: bytes, parts: tuple[str | int, ...], ranking: Ranking) -> dict[int, Any]:
    raw = _inside(body, parts)
    pairs = zip(_elements.decode(raw), _any.decode(raw), strict=True)
    return {slot: undecoded for slot, (undecoded, item) in enumerate(pairs) if fixed(item, ranking)}


def _replace(raw: msgspec.Raw | bytes, parts: tuple[str | int, ...], listed: list[Any]) -> bytes:
    if not parts:
        _elements.decode(raw)
        return encode(listed)
    here, below = parts[0], parts[1:]
    if isinstance(here, str):
        members = _members.decode(raw)
        members[here] = msgspec.Raw(_replace(members[here], below, listed))
        return encode(members)
    elements = _elements.decode(raw)
    elements[here] = msgspec.Raw(_replace(elements[here], below, listed))
    return encode(elements)


def failure(doc: Any) -> Invalid | None:
    """The error that a reply with a good status carries: a non-empty `error`, or MLflow's `error_code`."""
    if isinstance(doc, dict):
        for key in ("error", "error_code"):
            if doc.get(key):
                told = doc.get("message") if key == "error_code" else doc[key]
                return Invalid("error", str(told or doc[key])[:200])
    return None
