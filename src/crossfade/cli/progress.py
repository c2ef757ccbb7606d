"""Says that a command is at work, and how far it is: on a terminal, on standard error, once it has taken a while."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

AFTER = 1.0
"""Seconds of work before anything is shown, so that quick commands do not flicker."""

Each = TypeVar("Each")


class Working:
    """A piece of work under way. Where nobody looks it counts and shows nothing."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, 0
        self._shown: Progress | None = None
        self._lock = threading.Lock()
        self._over = False

    def forward(self, count: int = 1, what: str | None = None) -> None:
        """So much more is done; `what` says what comes next."""
        with self._lock:
            self.done += count
            self.what = what or self.what
            if self._shown is not None:
                self._shown.update(self._shown.task_ids[0], completed=self.done, description=self._said())

    def upto(self, done: int, total: int) -> None:
        """So much of so much is done: for work that finds out on its way how much there is."""
        with self._lock:
            self.done, self.total = done, total
            if self._shown is not None:
                task = self._shown.task_ids[0]
                self._shown.update(task, completed=done, total=total, description=self._said())

    def each(self, items: Iterable[Each]) -> Iterator[Each]:
        """The items, counted as they are done with."""
        for item in items:
            yield item
            self.forward()

    def show(self, console: Console) -> None:
        """Begin to draw, unless the work is over already."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        told = TextColumn("{task.description}")
        columns = [SpinnerColumn(), told, TimeElapsedColumn()]
        if self.total is not None:
            columns = [told, BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()]
        with self._lock:
            if self._over:
                return
            shown = Progress(*columns, console=console, transient=True, refresh_per_second=8)
            shown.add_task(self._said(), total=self.total, completed=self.done)
            shown.start()
            self._shown = shown

    def end(self) -> None:
        """Take it from the screen."""
        with self._lock:
            self._over = True
            if self._shown is not None:
                self._shown.stop()

    def _said(self) -> str:
        if self.total is not None:
            return f"{self.what} ({self.done:,} of {self.total:,})"
        return f"{self.what}: {self.done:,} {self.unit}" if self.unit and self.done else self.what


def watched() -> bool:
    """Whether a person sees what is written to standard error."""
    return sys.stderr.isatty()


@contextmanager
def working(what: str, *, total: int | None = None, unit: str = "", after: float | None = None) -> Iterator[Working]:
    """Work that may take a while: a bar where its `total` is known, else a wheel that counts its `unit`."""
    at_work = Working(what, total, unit)
    if not watched():
        yield at_work
        return
    from crossfade.cli.common import console

    timer = threading.Timer(AFTER if after is None else after, at_work.show, [console(stderr=True)])
    timer.daemon = True
    timer.start()
    try:
        yield at_work
    finally:
        timer.cancel()
        at_work.end()
