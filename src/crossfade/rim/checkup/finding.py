"""One thing that was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How a thing stands."""

    FINE = "fine"
    NOTE = "note"
    """Worth knowing; nothing breaks."""
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """Could not be found out, which is not the same as fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a checkup."""

    what: str
    state: State
    sentence: str
    todo: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "state": str(self.state)}
