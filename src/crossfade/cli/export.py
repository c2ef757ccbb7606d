"""`crossfade export`: a rollout's record as one folder that can be checked and recomputed elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, Name, fail, opened_record, print_json
from crossfade.cli.progress import working


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("export")(export)


def export(
    name: Name,
    to: Annotated[Path, typer.Option("-o", "--output", help="The folder to write; it must be new or empty.")],
    data: DataDir = DATA,
    json: AsJson = False,
) -> None:
    """Write a rollout's ledger, specs and facts into a folder, for `verify`, `replay` and `report` on any machine."""
    from crossfade.rim.exporting import ExportProblem
    from crossfade.rim.exporting import export as write
    from crossfade.rim.record import LiveRecord

    with opened_record(data, name, None, as_json=json) as record:
        assert isinstance(record, LiveRecord)
        try:
            with working(f"Writing {to}"):
                done = write(record, to, at=time.time())
        except ExportProblem as problem:
            fail(str(problem), "", code=PROBLEM, as_json=json)
    if json:
        print_json(done.to_json())
        return
    typer.echo(f"{name}: {done.entries} entries and {done.files} files of facts ({done.size:,} bytes) in {to}.")
    if done.missing:
        typer.echo(f"  {len(done.missing)} files that decisions stand on were removed before, as seals say.")
    typer.echo(f"  crossfade verify {name} --folder {to}")
    typer.echo(f"  crossfade replay {name} --folder {to}")
