"""Where a value lies in a JSON document: a small subset of JSONPath, compiled once and followed often.

Grammar: `$`, then any number of `.name`, `[0]` or `['any name']`. No wildcards, slices, filters or negative
indices: a path names one place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_STEP: Final = re.compile(r"\.([\w-]+)|\[([0-9]{1,9})\]|\['([^'\x00-\x1f]+)'\]")
_BARE: Final = re.compile(r"[\w-]+")

ALLOWED: Final = "`$` followed by `.name`, `[0]` or `['any name']`"


class PathError(ValueError):
    """A path that cannot be read, or a place that a document does not have."""

    def __init__(self, path: str, position: int, problem: str) -> None:
        super().__init__(f"path {path!r}, character {position + 1}: {problem}; allowed: {ALLOWED}")
        self.path = path
        self.position = position
        """Index of the first character that could not be read."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. `parts` are member names (str) and list indices (int)."""

    text: str
    parts: tuple[str | int, ...]

    def get(self, doc: Any, default: Any = None) -> Any:
        """The value at this place of a decoded document, or `default` where there is no such place."""
        for part in self.parts:
            if isinstance(part, str):
                if not isinstance(doc, dict) or part not in doc:
                    return default
                doc = doc[part]
            else:
                if not isinstance(doc, list) or part >= len(doc):
                    return default
                doc = doc[part]
        return doc

    def set(self, doc: Any, value: Any) -> Any:
        """A copy of the document with `value` at this place; what lies off the path is shared, not copied.

        A missing last member is added. Raises PathError when anything else on the way is missing.
        """
        return self._set(doc, value, 0)

    def _set(self, doc: Any, value: Any, depth: int) -> Any:
        if depth == len(self.parts):
            return value
        part = self.parts[depth]
        last = depth + 1 == len(self.parts)
        if isinstance(part, str) and isinstance(doc, dict) and (last or part in doc):
            return {**doc, part: value if last else self._set(doc[part], value, depth + 1)}
        if isinstance(part, int) and isinstance(doc, list) and part < len(doc):
            return [*doc[:part], self._set(doc[part], value, depth + 1), *doc[part + 1 :]]
        raise PathError(self.text, len(join(self.parts[:depth])), "the document has no such place")

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def compile(path: str) -> Path:
    """The compiled form of `path`. Raises PathError that says where reading stopped and what is allowed."""
    if not path.startswith("$"):
        raise PathError(path, 0, "must start with `$`")
    parts: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise PathError(path, at, f"cannot read {path[at : at + 12]!r}")
        name, index, quoted = step.groups()
        parts.append(int(index) if index is not None else name or quoted)
        at = step.end()
    return Path(path, tuple(parts))


def member(name: str) -> str:
    """How a member of that name is written at the end of a path: `.name`, or `['any name']` where it must be quoted."""
    return f".{name}" if _BARE.fullmatch(name) else f"['{name}']"


def join(parts: Sequence[str | int]) -> str:
    """The path of those parts, written out."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else member(part) for part in parts)
