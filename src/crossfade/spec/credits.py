"""What gives credit on interleaved lists: the name of one outcome, or several with what each weighs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from crossfade.spec.model import Credit
from crossfade.spec.source import Node
from crossfade.spec.words import NAME, Word, Wrong, number

MOST = 1000.0
"""The largest weight; the smallest is a thousandth, in which weights are counted."""

_VALUED = re.compile(r"(?:(\d{1,4}(?:\.\d{1,3})?) ?\* ?)?value")
_EXPECTED = (
    "an outcome such as click, or outcomes with their weights such as {click: 1, purchase: 5, dwell: 0.1 * value}; "
    "weights are from 0.001 to 1000"
)


def _read(value: Any) -> list[Credit]:
    if isinstance(value, str):
        return [Credit(outcome=_name(value))]
    if not isinstance(value, dict) or not value:
        raise Wrong
    return [_credit(name, one.value if isinstance(one, Node) else one) for name, one in value.items()]


def _credit(name: str, written: Any) -> Credit:
    match = _VALUED.fullmatch(written) if isinstance(written, str) else None
    weight = number(written) if match is None else float(match[1] or 1.0)
    if weight is None or not 0.001 <= weight <= MOST:
        raise Wrong
    return Credit(outcome=_name(name), weight=weight, valued=match is not None)


def _name(value: str) -> str:
    try:
        return str(NAME.read(value))
    except Wrong as wrong:
        raise Wrong(expected=f"{_EXPECTED}; the name of an outcome is {NAME.expected}", near=wrong.near) from None


CREDIT = Word(
    _EXPECTED,
    _read,
    {
        "anyOf": [
            NAME.schema,
            {
                "type": "object",
                "minProperties": 1,
                "propertyNames": NAME.schema,
                "additionalProperties": {
                    "anyOf": [
                        {"type": "number", "minimum": 0.001, "maximum": MOST},
                        {"type": "string", "pattern": f"^(?:{_VALUED.pattern})$"},
                    ]
                },
            },
        ],
        "examples": ["click", {"click": 1, "purchase": 5}],
    },
)

Credits = Annotated[list[Credit], CREDIT]
