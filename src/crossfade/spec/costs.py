"""What a reply costs: a place in it that says so, or several places with the price of one of what they count."""

from __future__ import annotations

from typing import Annotated, Any

from crossfade.spec.model import Field, From, Priced
from crossfade.spec.source import Node
from crossfade.spec.words import FIELD, Word, Wrong, number

MOST = 1e9
"""The largest price of one."""

_EXPECTED = (
    "a place in replies such as json:$.usage.total_tokens or header:x-cost, or places with the price of one, such as "
    "{json:$.usage.prompt_tokens: 0.0000025}, where the price may be one for each arm, such as {v1: 0.5, v2: 0.2}"
)


def _read(value: Any) -> list[Priced]:
    if isinstance(value, str):
        return [Priced(place=_place(value))]
    if not isinstance(value, dict) or not value:
        raise Wrong
    return [_priced(place, one.value if isinstance(one, Node) else one) for place, one in value.items()]


def _priced(place: str, written: Any) -> Priced:
    if isinstance(written, dict) and written:
        arms = tuple((str(arm), _price(one.value if isinstance(one, Node) else one)) for arm, one in written.items())
        return Priced(place=_place(place), arms=arms)
    return Priced(place=_place(place), price=_price(written))


def _price(written: Any) -> float:
    price = number(written)
    if price is None or not 0.0 <= price <= MOST:
        raise Wrong(expected=f"{_EXPECTED}; a price is a number from 0 to 1,000,000,000")
    return price


def _place(text: str) -> Field:
    try:
        place = FIELD.read(text)
    except Wrong as wrong:
        raise Wrong(near=wrong.near) from None
    if not isinstance(place, Field) or place.source not in (From.HEADER, From.JSON):
        raise Wrong
    return place


_PRICE = {"type": "number", "minimum": 0, "maximum": MOST}

COST = Word(
    _EXPECTED,
    _read,
    {
        "anyOf": [
            {"type": "string", "pattern": r"^(?:header:|json:\$)"},
            {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": r"^(?:header:|json:\$)"},
                "additionalProperties": {
                    "anyOf": [_PRICE, {"type": "object", "minProperties": 1, "additionalProperties": _PRICE}]
                },
            },
        ],
        "examples": ["json:$.usage.total_tokens", {"json:$.usage.completion_tokens": 0.00001}],
    },
)

Costs = Annotated[list[Priced], COST]
