"""Who acts at the command line: the account on this machine, or whoever holds the token that is shown."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crossfade.cli.common import PROBLEM, fail

VARIABLE = "CROSSFADE_TOKEN"

Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=VARIABLE,
        metavar="TOKEN",
        help="Act as who holds this token, with its roles. file:PATH reads it from a file, which others on the machine "
        "do not see in the list of processes.",
    ),
]

By = tuple[str, Mapping[str, Any]]
"""Under which name something is done, and how the ledger has who did it."""


def identified(data: Path, token: str | None, actor: str | None, what: str, *, as_json: bool) -> By:
    """Who acts: may they do `what` (as rim/tokens has it)? Ends the command where the token does not say so."""
    if not token:
        return actor if actor is not None else user(), by_user()
    from crossfade.rim.tokens import ROLES, TokenProblem, Tokens

    secret = _secret(token, as_json=as_json)
    try:
        known = Tokens(data).find(secret)
    except TokenProblem as error:
        fail(
            str(error), "nobody is let in until it can be read; repair it, or remove it", code=PROBLEM, as_json=as_json
        )
    if known is None:
        todo = f"`crossfade token list` says who has one; without --token (and {VARIABLE}) you act as yourself"
        fail("nobody holds that token", todo, as_json=as_json)
    if what not in known.may:
        able = " or ".join(role for role, may in ROLES.items() if what in may)
        held = " and ".join(known.roles) or "nobody"
        todo = f"it takes the role {able}; without --token (and {VARIABLE}) you act as yourself"
        fail(f"the token of {known.name} has the role {held}, which may not {DOING[what]}", todo, as_json=as_json)
    if actor is not None and actor != known.name:
        todo = f"leave out --actor, or name {known.name}"
        fail(f"the token is {known.name}'s, and --actor says {actor}", todo, as_json=as_json)
    return known.name, {"through": "token", "token": known.name, "roles": list(known.roles), "user": user()}


DOING = {"move": "move a rollout", "stop": "hold or roll back", "approve": "approve"}


def by_user() -> dict[str, str]:
    """How somebody at the command line is known: by their account on this machine, whatever name they give."""
    return {"through": "command line", "user": user()}


def user() -> str:
    """The account on this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def _secret(token: str, *, as_json: bool) -> str:
    if not token.startswith("file:"):
        return token.strip()
    try:
        return Path(token[5:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        fail(f"the token in {token[5:]} cannot be read: {said}", "name a file that holds it", as_json=as_json)
