"""What a reply cost: what it counts in its headers or its body, times what one of each costs."""

from __future__ import annotations

import math
from typing import Any

from crossfade.live import paths
from crossfade.live.exchange.examine import about_body, readable
from crossfade.live.exchange.pairs import Answer
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid
from crossfade.live.protocols.openai_chat import STREAM, completion
from crossfade.spec.model import From, Priced, Protocol


def cost_of(answer: Answer, priced: tuple[Priced, ...], arm: str, protocol: Protocol) -> float | None:
    """The whole cost of a reply; None where any part of it cannot be read, because a part is not the cost."""
    head = answer.head
    if answer.failure or head is None:
        return None
    doc = None
    if any(one.place.source is From.JSON for one in priced):
        doc = _document(answer, protocol)
    headers = head.lowered()
    total = 0.0
    for one in priced:
        found = headers.get(one.place.name) if one.place.source is From.HEADER else _at(doc, one.place.name)
        count = _number(found)
        if count is None:
            return None
        total += count * one.price_of(arm)
    return total if math.isfinite(total) else None


def _document(answer: Answer, protocol: Protocol) -> Any:
    """The body as a document; of a stream of completions what it says of its usage."""
    assert answer.head is not None
    about = about_body(answer.head)
    streamed = about.get("content-type", "").strip().lower().startswith(STREAM)
    if streamed and protocol is Protocol.OPENAI_CHAT:
        found = completion(about, answer.body)
        return None if isinstance(found, Invalid) else {"usage": found.usage}
    if streamed or not readable(answer.head):
        return None
    body = document.plain(about, answer.body)
    doc = body if isinstance(body, Invalid) else document.load(body)
    return None if isinstance(doc, Invalid) else doc


def _at(doc: Any, path: str) -> Any:
    return paths.compile(path).get(doc)


def _number(found: Any) -> float | None:
    """A finite number, as JSON has it or as a header spells it."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0.0 else None
