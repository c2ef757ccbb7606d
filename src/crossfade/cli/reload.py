"""`crossfade reload`: a changed spec becomes a new revision of a rollout that goes on running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, opened, print_json
from crossfade.cli.identity import user


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("reload")(reload)


def reload(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC…", help="Spec files, changed or new.")],
    data: DataDir = DATA,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start rollouts that are new.")] = True,
    json: AsJson = False,
) -> None:
    """Record changed specs while they are served: nothing restarts, and every gateway follows within 250 ms.

    A spec that does not hold, or that would move units to another side, is refused, and what is served goes on.
    """
    from crossfade.cli.serve import texts_of
    from crossfade.rim.admission import admit_each

    texts = texts_of(specs, as_json=json, so="nothing was changed")
    with opened(data, as_json=json) as store:
        before = {stored.name: stored.revision for stored in store.rollouts()}
        names, refused = admit_each(store, texts, start=start, actor=user(), at=time.time())
        told = []
        for name in names:
            stored = store.get(name)
            changed = before.get(name) != stored.revision
            told.append({"name": name, "revision": stored.revision, "changed": changed, "before": before.get(name)})
    if json:
        print_json({"rollouts": told, "refused": refused})
    for one in told if not json else ():
        if not one["changed"]:
            typer.echo(f"{one['name']} is as it was (revision {one['revision']})")
        elif one["before"] is None:
            typer.echo(f"{one['name']} is new (revision {one['revision']})")
        else:
            typer.echo(f"{one['name']} goes on by revision {one['revision']} in place of {one['before']}")
    if refused:
        if not json:
            for why in refused:
                typer.echo(f"crossfade: {why}; what is served goes on as it was", err=True)
        raise typer.Exit(PROBLEM)
