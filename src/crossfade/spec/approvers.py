"""How people write whose approval a stage needs: a list of names, or that and how many of them it takes."""

from __future__ import annotations

from typing import Annotated, Any

from crossfade.spec.gated import Approve
from crossfade.spec.source import Node
from crossfade.spec.words import Word, Wrong, text

PERSON = text(
    "the name of a person: at most 64 letters, digits, spaces, '-', '_', '.' and '@'",
    r"[A-Za-z0-9](?:[A-Za-z0-9 _.@-]*[A-Za-z0-9])?",
    most=64,
)

_EXPECTED = (
    "names of people, one of whom has to approve, such as [ana, ben], or {by: [ana, ben, cy], needed: 2} where it "
    "takes several of them"
)


def _read(value: Any) -> Approve:
    plain = _plain(value)
    if isinstance(plain, list):
        return Approve(by=_names(plain))
    if not isinstance(plain, dict) or set(plain) - {"by", "needed"} or not isinstance(plain.get("by"), list):
        raise Wrong
    by, needed = _names(plain["by"]), plain.get("needed", 1)
    if not isinstance(needed, int) or isinstance(needed, bool) or needed < 1:
        raise Wrong(hint="'needed' is how many have to approve, a whole number from 1")
    if needed > len(by):
        raise Wrong(expected=f"'needed' to be at most {len(by)}, as only {', '.join(by)} may approve")
    return Approve(by=by, needed=needed)


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        return value.plain()
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list) else value


def _names(written: list[Any]) -> tuple[str, ...]:
    if not written:
        raise Wrong
    try:
        names = tuple(str(PERSON.read(name)) for name in written)
    except Wrong:
        raise Wrong(expected=f"{_EXPECTED}; each is {PERSON.expected}") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Wrong(expected=f"each name once, and {', '.join(twice)} stands there twice")
    return names


APPROVE = Word(
    _EXPECTED,
    _read,
    {
        "anyOf": [
            {"type": "array", "minItems": 1, "uniqueItems": True, "items": PERSON.schema},
            {
                "type": "object",
                "required": ["by"],
                "additionalProperties": False,
                "properties": {
                    "by": {"type": "array", "minItems": 1, "uniqueItems": True, "items": PERSON.schema},
                    "needed": {"type": "integer", "minimum": 1},
                },
            },
        ],
        "examples": [["ana", "ben"], {"by": ["ana", "ben", "cy"], "needed": 2}],
    },
)

Approvers = Annotated[Approve, APPROVE]
