"""`crossfade token add | list | revoke`: who may do what through the control port."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, fail, print_json
from crossfade.cli.identity import user

Who = Annotated[
    str, typer.Argument(metavar="NAME", help="Whose it is; the ledger has what is done with it by this name.")
]
Role = Annotated[
    list[str],
    typer.Option(
        "--role", help="viewer, operator, approver or reporter; may be given several times.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="Tokens for the control port: viewers read, operators move, approvers approve, hold and roll back, "
        "reporters report outcomes.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    group.command("add", help="Make a token and print it, this once.")(add)
    group.command("list", help="Who has a token, with which roles.")(list_)
    group.command("revoke", help="Take a token away; it opens nothing from then on.")(revoke)
    app.add_typer(group, name="token")


def add(name: Who, role: Role, data: DataDir = DATA, json: AsJson = False) -> None:
    """Make a token."""
    from crossfade.rim.tokens import TokenProblem, Tokens

    try:
        secret = Tokens(data).add(name, role, at=time.time(), by=user())
    except TokenProblem as error:
        fail(str(error), "see `crossfade token list`", as_json=json)
    if json:
        print_json({"name": name, "roles": role, "token": secret})
        return
    typer.echo(secret)
    typer.echo(f"This is the token of {name} ({', '.join(role)}). It is not kept anywhere: note it now.", err=True)


def list_(data: DataDir = DATA, json: AsJson = False) -> None:
    """Who has a token."""
    from crossfade.rim.tokens import TokenProblem, Tokens

    try:
        found = Tokens(data).all()
    except TokenProblem as error:
        fail(str(error), as_json=json)
    if json:
        print_json({"tokens": [token.to_json() for token in found]})
        return
    for token in found:
        since = datetime.fromtimestamp(token.added, tz=UTC).strftime("%Y-%m-%d")
        typer.echo(f"{token.name}: {', '.join(token.roles)}, since {since} by {token.added_by}")
    if not found:
        typer.echo("Nobody has a named token; the one in run/token moves rollouts. `crossfade token add NAME --role …`")


def revoke(name: Who, data: DataDir = DATA, json: AsJson = False) -> None:
    """Take a token away."""
    from crossfade.rim.tokens import TokenProblem, Tokens

    try:
        gone = Tokens(data).revoke(name, at=time.time(), by=user())
    except TokenProblem as error:
        fail(str(error), "see `crossfade token list`", as_json=json)
    if json:
        print_json({"revoked": gone.to_json()})
        return
    typer.echo(f"The token of {name} opens nothing any more.")
