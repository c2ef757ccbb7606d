"""`crossfade report`: the dossier of a rollout as one file, for a reviewer who was not there."""

from __future__ import annotations

import json as jsons
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crossfade.cli.common import DATA, FINE, PROBLEM, AsJson, DataDir, Name, fail, opened_record, print_json
from crossfade.cli.progress import working
from crossfade.cli.verify import Folder, RunCode

CHECKING = "Checking and recomputing the record"

FORMATS = ".html, .pdf, .md or .json"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    name: Name,
    to: Annotated[Path, typer.Option("-o", "--output", help=f"The file to write; its ending says how: {FORMATS}.")],
    data: DataDir = DATA,
    folder: Folder = None,
    run_code: RunCode = False,
    json: AsJson = False,
) -> None:
    """Write the dossier: purpose, models, plan, exposure, every decision with its evidence, and what is missing. It is
    checked and recomputed on the way; exit code 1 if the record does not hold or a decision does not come out again."""
    from crossfade.rim.dossier import gather
    from crossfade.view.dossier import dossier

    write = _format(to, as_json=json)
    if write is None:
        fail(f"{to} does not say how to write it", f"name a file that ends in {FORMATS}", as_json=json)
    with (
        opened_record(data, name, folder, as_json=json, runs_code=run_code) as record,
        working(CHECKING) as at_work,
    ):
        known = gather(record, now=time.time(), progress=at_work.upto)
    told = dossier(known)
    try:
        with working(f"Writing {to}"):
            to.write_bytes(write(told))
    except OSError as error:
        todo = "name another place" if to.parent.is_dir() else f"make the folder first: mkdir -p {to.parent}"
        fail(f"cannot write {to}: {error.strerror or error}", todo, as_json=json)
    holds = known.verified["intact"] and not known.replayed.get("differing", ["nothing was recomputed"])
    if json:
        print_json({"file": str(to), "holds": bool(holds), "missing": told["missing"]})
    else:
        typer.echo(f"{to}: {len(told['parts'])} parts, {len(told['missing'])} things missing, each said where it is.")
        if not holds:
            typer.echo(f"  The record does not hold: see the dossier and `crossfade verify {name}`.")
    raise typer.Exit(FINE if holds else PROBLEM)


def _format(to: Path, *, as_json: bool) -> Callable[[Mapping[str, Any]], bytes] | None:
    match to.suffix.lower():
        case ".html" | ".htm":
            from crossfade.console.dossier_page import dossier_page

            return lambda told: dossier_page(told).encode()
        case ".pdf":
            return _pdf(as_json=as_json)
        case ".md":
            from crossfade.console.dossier_text import dossier_text

            return lambda told: dossier_text(told).encode()
        case ".json":
            return lambda told: jsons.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"
        case _:
            return None


def _pdf(*, as_json: bool) -> Callable[[Mapping[str, Any]], bytes]:
    from crossfade.console.dossier_page import dossier_page

    try:
        import weasyprint
    except (ImportError, OSError):
        # It is there without the system's text library, or not there.
        from crossfade.rim.extras import install

        todo = f"{install('pdf')}; and Pango (Debian: libpango-1.0-0, libpangoft2-1.0-0); or print the .html"
        fail("PDF needs WeasyPrint, which is not here", todo, as_json=as_json)
    return lambda told: bytes(weasyprint.HTML(string=dossier_page(told)).write_pdf())
