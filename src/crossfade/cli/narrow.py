"""How what is drawn fits the width there is: another form where a table would be cut, lines broken between words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ByWidth:
    """One of two forms, by the room there is when it is drawn."""

    wide: RenderableType
    narrow: RenderableType
    least: int
    """Columns that the wide form needs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich asks."""
        yield self.wide if options.max_width >= self.least else self.narrow


def fitting(table: Table, rows: Sequence[Sequence[str]], least: int) -> ByWidth:
    """A table of texts, or where it would break words each row below its first cell. The first row are the headings."""
    from rich.console import Group
    from rich.padding import Padding

    headings, *rest = rows
    below: list[RenderableType] = []
    for first, *cells in rest:
        told = [f"{head} {cell}" for head, cell in zip(headings[1:], cells, strict=True) if cell]
        below += [first, Padding(" · ".join(told), (0, 0, 0, 2), expand=False)]
    return ByWidth(wide=table, narrow=Group(*below), least=least)


def say(lines: Iterable[str]) -> None:
    """Print lines of text; on a terminal long ones go on below, further in. Piped they stay whole, to be searched."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in lines:
        if not width or len(line) <= width:
            typer.echo(line)
            continue
        inner = " " * min(len(line) - len(line.lstrip()) + 2, width // 2)
        for part in textwrap.wrap(line, width, subsequent_indent=inner, break_on_hyphens=False):
            typer.echo(part)
