"""What an engine has to be able to do, so that a look can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import ibis.expr.operations as ops

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import Expr

Build = Callable[[], Expr]
"""Writes a question down, as an expression over tables that have names."""

Key = tuple[object, ...]
"""Names a question: the same key always stands for the same expression."""


class EngineError(Exception):
    """An engine cannot be reached, or cannot do what it is asked; the message says why and what helps."""


def short(error: Exception, most: int = 300) -> str:
    """The first line of what an engine says, which may go on for pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most]


class Backend(Protocol):
    """One engine during one look, or several. Tables that it keeps are gone when it is closed."""

    def facts(self, name: str, kind: str, files: Sequence[str]) -> None:
        """Let questions read what these files of the lake hold under a name; none: an empty table."""

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""

    def view(self, name: str, key: Key | None, build: Build) -> None:
        """Let questions read an expression under a name, in place of what had that name. No key: it is asked once."""

    def keep(self, name: str, key: Key, build: Build, *, as_written: bool = False) -> None:
        """Keep the rows of a question under a name, in place of what had that name.

        `as_written`: the order of its joins is better than what an optimizer would guess.
        """

    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""

    def rows(self, key: Key, build: Build) -> Rows:
        """The rows of a question as columns."""

    def close(self) -> None:
        """Let go of everything that was kept."""


_needs: dict[Key, frozenset[str]] = {}


def needed(key: Key, build: Build) -> frozenset[str]:
    """The names of the tables that a question asks."""
    if key not in _needs:
        _needs[key] = frozenset(table.name for table in build().op().find(ops.UnboundTable))
    return _needs[key]
