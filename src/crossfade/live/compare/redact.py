"""What must never be written: values taken out of replies by their paths, before anything is kept of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from crossfade.live.protocols.base import Tensor

REDACTED = "[redacted]"

ANY = "[*]"
"""Every element of a list; also what a rule with one place in a list means, so that a shorter list hides no less."""

_STEP = re.compile(r"\.([^.\[]+)|\[(?:\d+|\*)\]|\['([^']*)'\]")
_WRAPPERS = frozenset(("message", "delta"))
"""Members of a chat's choices between which our own names for their parts do not tell."""

Parts = tuple[str, ...]


def rules(paths: Iterable[str]) -> tuple[Parts, ...]:
    """Paths as they are looked for."""
    return tuple(sorted({form for path in paths for form in _forms(parts(path))}))


@lru_cache(maxsize=4096)
def parts(path: str) -> Parts:
    """The steps of a path: member names, and ANY for places in lists. What is no path is one name."""
    if not path.startswith("$"):
        name, _, rest = path.partition("[")
        return (name, *parts("$[" + rest)) if rest else (path,)
    found: list[str] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return (path,)
        found.append(step[1] or step[2] or ANY)
        at = step.end()
    return tuple(found)


def _forms(found: Parts) -> Iterable[Parts]:
    yield found
    if len(found) > 2 and found[0] == "choices" and found[2] in _WRAPPERS:
        yield (*found[:2], *found[3:])


def redacted(fields: Any, hidden: tuple[Parts, ...]) -> dict[str, Any]:
    """The fields of a prediction as plain JSON, with every value at or below a hidden path taken out."""
    return {path: _clean(value, parts(path), hidden) for path, value in fields.items()}


def _clean(value: Any, here: Parts, hidden: tuple[Parts, ...]) -> Any:
    if any(here[: len(rule)] == rule for rule in hidden):
        return REDACTED
    if isinstance(value, Tensor):
        below = _clean(list(value.values), here, hidden)
        return below if below == REDACTED else {"shape": list(value.shape), "values": below}
    if isinstance(value, dict):
        return {name: _clean(inner, (*here, name), hidden) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner, (*here, ANY), hidden) for inner in value]
    return value
