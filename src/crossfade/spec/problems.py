"""How a mistake in a spec is said: one problem a mistake, and the error that carries them all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the spec down to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake: where it is, what was found there, what is allowed instead."""

    line: int
    """Counted from 1."""
    column: int = 1
    """Counted from 1."""
    path: str
    """Such as `stages[1].canary.steps[0]`; empty where the text as a whole is meant."""
    message: str
    """A whole sentence: it says what was found and what is allowed without the other fields."""
    found: str | None = None
    allowed: str | None = None
    nearest: str | None = None
    """The allowed word or value closest to what was found, where one is close."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.path + ': ' if self.path else ''}{self.message}"

    def to_json(self) -> dict[str, Any]:
        """The published form: a flat object, `null` where nothing applies."""
        return asdict(self)


class SpecProblems(ValueError):
    """Everything that is wrong with a spec, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the spec:", *(f"  {problem}" for problem in self.problems)]))


def dotted(path: Path) -> str:
    """A path as people read it: `stages[1].canary.steps[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = printable(part if len(part) <= 40 else part[:37] + "...")
            text += f".{word}" if text else word
    return text


def printable(text: str) -> str:
    """The text with everything escaped that could move a cursor, change a colour or hide what is written."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def nearest(word: str, allowed: Sequence[str]) -> str | None:
    """The allowed word closest to `word`, or None when none is close. Case, `_` and `-` do not count."""
    plain = {_plain(choice): choice for choice in allowed}
    close = difflib.get_close_matches(_plain(word[:80]), list(plain), n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def listed(words: Iterable[str]) -> str:
    """`a, b or c`."""
    every = list(words)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} or {every[-1]}" if every else "nothing"


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
