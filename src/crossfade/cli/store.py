"""`crossfade store status | migrate | roles`: the layout of the store, and who may do what to it on a server."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, fail, print_json

Prefix = Annotated[str, typer.Option("--prefix", help="What the names of the database roles begin with.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="The store's layout, and the database roles that processes need where it is a PostgreSQL.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    group.command("status", help="Which layout the store has, and which one this program needs.")(status)
    group.command("migrate", help="Bring the store to this program's layout, and tell its roles what they may.")(
        migrate
    )
    group.command("roles", help="Print the SQL that makes least-privilege roles, for a database administrator.")(roles)
    app.add_typer(group, name="store")


def status(data: DataDir = DATA, json: AsJson = False) -> None:
    """Which layout the store has; looking changes nothing."""
    from crossfade.rim import store_address, store_layout
    from crossfade.rim.revisions import StoreError
    from crossfade.rim.store_place import place

    if not store_address.there(data):
        fail(f"{data} holds no rollouts: it has no {store_address.FILE}", code=PROBLEM, as_json=json)
    try:
        where = place(data)
        with where.reading() as connection:
            have = store_layout.present(connection, where.said)
        where.close()
    except StoreError as error:
        fail(str(error), code=PROBLEM, as_json=json)
    fits = have == store_layout.NEWEST
    if json:
        print_json({"store": where.said, "layout": have, "needed": store_layout.NEWEST, "fits": fits})
    else:
        known = f"layout {have}" if have else "no layout that it tells (new, or of release 0.1.0)"
        todo = "" if fits else f"; this program needs {store_layout.NEWEST}: run `crossfade store migrate`"
        typer.echo(f"{where.said} has {known}{todo}")
    raise typer.Exit(0 if fits else PROBLEM)


def migrate(data: DataDir = DATA, prefix: Prefix = "crossfade", json: AsJson = False) -> None:
    """Take the steps that are missing. Processes do so themselves where their role may; with roles of their own the
    owner does it, before the processes of the new release start."""
    from crossfade.rim import store_roles
    from crossfade.rim.revisions import StoreError
    from crossfade.rim.store_address import server
    from crossfade.rim.store_place import make, place

    granted: list[str] = []
    try:
        # Before the steps: they are not taken back when the roles cannot be told.
        store_roles.checked(prefix, "beginning of the roles' names")
        where = place(data)
        steps = make(where)
        if server() is not None:
            with where.writing(unfenced=True) as connection:
                granted = store_roles.grant(connection, prefix)
        where.close()
    except store_roles.NameProblem as error:
        fail(str(error), as_json=json)
    except StoreError as error:
        fail(str(error), "run it again once that is mended: steps that were taken stay", code=PROBLEM, as_json=json)
    if json:
        print_json(
            {"store": where.said, "steps": [{"version": s.version, "about": s.about} for s in steps], "roles": granted}
        )
        return
    for step in steps:
        typer.echo(f"layout {step.version}: {step.about}")
    if not steps:
        typer.echo(f"{where.said} has the layout that this program needs")
    if granted:
        typer.echo(f"rights were given to {', '.join(granted)}")


def roles(
    prefix: Prefix = "crossfade",
    schema: Annotated[str, typer.Option(help="The schema that holds the store.")] = "crossfade",
) -> None:
    """Print SQL that makes the roles; it may be run again."""
    from crossfade.rim.store_roles import NameProblem, creation

    try:
        told = creation(prefix, schema)
    except NameProblem as error:
        fail(str(error))
    typer.echo("-- Run this as a database administrator: crossfade store roles | psql -v ON_ERROR_STOP=1 DATABASE")
    typer.echo(f"-- Then, as {prefix}_owner: crossfade store migrate")
    typer.echo("\n".join(f"{statement};" for statement in told))
