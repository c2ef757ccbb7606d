"""`crossfade facts`: ask the sealed facts of a rollout in SQL, to see where a number comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, console, fail, opened_record, print_json
from crossfade.cli.verify import Folder

if TYPE_CHECKING:
    from crossfade.rim.querying import Answer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("facts")(facts)


def facts(
    name: Name,
    question: Annotated[
        str | None, typer.Argument(metavar="[SELECT]", help="One SELECT, quoted; without one, which tables there are.")
    ] = None,
    data: DataDir = DATA,
    folder: Folder = None,
    json: AsJson = False,
) -> None:
    """Ask the sealed facts of a rollout in SQL (DuckDB's): one table a kind of fact, `ledger`, and `moves`, which says
    from when until when each move held. The dossier prints such questions beside its numbers."""
    from crossfade.rim.querying import CannotAsk, ask

    with opened_record(data, name, folder, as_json=json) as record:
        try:
            found = ask(record, question)
        except CannotAsk as error:
            fail(str(error), f"`crossfade facts {name}` says which tables and columns there are", as_json=json)
    if json:
        print_json(found.to_json())
    else:
        _say(found)


def _say(found: Answer) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for place, column in enumerate(found.columns):
        numbers = any(isinstance(row[place], int | float) for row in found.rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)
