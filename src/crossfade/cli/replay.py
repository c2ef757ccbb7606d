"""`crossfade replay`: recompute every decision of a rollout from its recorded facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, Name, opened_record, print_json
from crossfade.cli.verify import Folder

if TYPE_CHECKING:
    from crossfade.rim.replaying import Again, Replayed


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("replay")(replay)


def replay(name: Name, data: DataDir = DATA, folder: Folder = None, json: AsJson = False) -> None:
    """Recompute every decision from the facts it was taken on, under its own revision of the spec, and say of each
    whether it comes out the same. Exit code 1 if one does not."""
    from crossfade.rim.replaying import replay as again

    with opened_record(data, name, folder, as_json=json) as record:
        found = again(record)
    if json:
        print_json(found.to_json())
    else:
        _say(found)
    if found.differing:
        raise typer.Exit(PROBLEM)


def _say(found: Replayed) -> None:
    for one in found.looked:
        typer.echo(f"  {one.n:>3}  {one.move:<9} {_how(one)}")
        for difference in one.differences:
            typer.echo(f"       ✖ {difference}")
    good = len(found.looked) - len(found.differing)
    typer.echo(f"{found.name}: {good} of {len(found.looked)} decisions reproduced.")
    for version in found.software:
        import crossfade

        if version != crossfade.__version__:
            typer.echo(f"  decided by crossfade {version}, recomputed by {crossfade.__version__}")


def _how(one: Again) -> str:
    if one.differences:
        return f"({one.rule}) NOT reproduced"
    if one.by_hand:
        return "by hand: a person's move, carried out again"
    return f"({one.rule}) reproduced from {one.files} files of facts"
