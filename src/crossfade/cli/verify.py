"""`crossfade verify`: check that a rollout's record is whole: ledger, specs, signatures, and the files of facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, Name, opened_record, print_json
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.rim.checked import Checked

Folder = Annotated[
    Path | None, typer.Option("--folder", help="A folder that `crossfade export` wrote, in place of --data.")
]
RunCode = Annotated[
    bool, typer.Option("--run-code", help="With --folder: run the functions by which its specs score (`score:`).")
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("verify")(verify)


def verify(
    name: Name,
    data: DataDir = DATA,
    folder: Folder = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="PEM file with the public key that must have signed every record.")
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option("--expect", metavar="HASH", help="Hash of an entry, noted earlier, that must be there."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check a rollout's record: every entry, link, position and signature of its ledger, the specs it was decided
    under, and every file of facts it stands on. Names the first that does not hold; exit code 1 if one does not."""
    from crossfade.rim import signing
    from crossfade.rim.verifying import check

    with opened_record(data, name, folder, as_json=json) as record:
        trusted = None if key is None else signing.public(key)
        with working("Checking ledger, seals and files of facts") as at_work:
            found = check(record, key=trusted, expect=expect, progress=at_work.upto)
    if json:
        print_json(found.to_json())
    else:
        _say(name, found)
    if not found.intact:
        raise typer.Exit(PROBLEM)


def _say(name: str, found: Checked) -> None:
    from crossfade.rim.checked import NO_SEALS, limits

    if not found.intact:
        where = f"entry {found.first_broken}" if isinstance(found.first_broken, int) else found.first_broken
        typer.echo(f"{name}: broken at {where}. {found.reason[:1].upper()}{found.reason[1:]}")
        return
    if not found.sealed:
        typer.echo(f"{name}: {found.entries} entries, intact. {NO_SEALS[:1].upper()}{NO_SEALS[1:]}.")
    else:
        files, seals = f"file{'s' * (found.files != 1)}", f"seal{'s' * (found.seals != 1)}"
        told = f"{name}: {found.entries} entries and {found.files} {files} of facts in {found.seals} {seals}, intact."
        if found.rewritten:
            often = "once" if found.rewritten == 1 else f"{found.rewritten} times"
            told += f" Files were put together {often}, and no fact was lost by it."
        if found.forgotten:
            told += f" {found.forgotten} files were written anew without the name of a unit, as seals say."
        if found.aged_out:
            told += " Facts beyond their time were deleted, as recorded."
        if found.removed:
            told += f" {found.removed} files are gone, as seals say they would be."
        typer.echo(told)
    for key in found.signers:
        typer.echo(f"  signed by {key}")
    if found.head:
        typer.echo(f"  last entry {found.head}")
    for text in limits(found):
        typer.echo(f"  not shown: {text}")
