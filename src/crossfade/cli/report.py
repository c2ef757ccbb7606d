"""`crossfade report`: the dossier of a rollout as one file, for a reviewer who was not there."""

from __future__ import annotations

import json as jsons
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crossfade.cli.common import DATA, FINE, PROBLEM, AsJson, DataDir, Name, fail, opened_record, print_json
from crossfade.cli.verify import Folder

FORMATS = ".html, .md or .json"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    name: Name,
    to: Annotated[Path, typer.Option("-o", "--output", help=f"The file to write; its ending says how: {FORMATS}.")],
    data: DataDir = DATA,
    folder: Folder = None,
    json: AsJson = False,
) -> None:
    """Write the dossier: purpose, models, plan, exposure, every decision with its evidence, and what is missing. It is
    checked and recomputed on the way; exit code 1 if the record does not hold or a decision does not come out again."""
    from crossfade.rim.dossier import gather
    from crossfade.view.dossier import dossier

    write = _format(to)
    if write is None:
        fail(f"{to} does not say how to write it", f"name a file that ends in {FORMATS}", as_json=json)
    with opened_record(data, name, folder, as_json=json) as record:
        known = gather(record, now=time.time())
    told = dossier(known)
    try:
        to.write_text(write(told), encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {to}: {error.strerror or error}", as_json=json)
    holds = known.verified["intact"] and not known.replayed.get("differing", ["nothing was recomputed"])
    if json:
        print_json({"file": str(to), "holds": bool(holds), "missing": told["missing"]})
    else:
        typer.echo(f"{to}: {len(told['parts'])} parts, {len(told['missing'])} things missing, each said where it is.")
        if not holds:
            typer.echo(f"  The record does not hold: see the dossier and `crossfade verify {name}`.")
    raise typer.Exit(FINE if holds else PROBLEM)


def _format(to: Path) -> Callable[[Mapping[str, Any]], str] | None:
    match to.suffix.lower():
        case ".html" | ".htm":
            from crossfade.console.dossier_page import dossier_page

            return dossier_page
        case ".md":
            from crossfade.console.dossier_text import dossier_text

            return dossier_text
        case ".json":
            return lambda told: jsons.dumps(told, ensure_ascii=False, indent=1) + "\n"
        case _:
            return None
