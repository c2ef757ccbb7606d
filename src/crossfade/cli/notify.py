"""`crossfade notify test SPEC`: a test notice to everybody whom a spec names, and what came of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import PROBLEM, WRONG_USE, AsJson, fail, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    group = typer.Typer(help="Those whom a spec's `notify` names.", no_args_is_help=True)
    group.command("test")(send_test)
    app.add_typer(group, name="notify")


def send_test(spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")], json: AsJson = False) -> None:
    """Send a test to everybody whom a spec names, once each; exit code 1 where one does not get through."""
    from crossfade.cli.serve import texts_of
    from crossfade.rim.channels import Undelivered, deliver
    from crossfade.rim.notices import of_test
    from crossfade.rim.secrets import SecretError
    from crossfade.rim.teller import where
    from crossfade.spec.parse import parse

    rollout = parse(texts_of([spec], as_json=json, so="nobody was told")[0])
    if not rollout.notify:
        fail(f"{rollout.name} tells nobody", "add `notify:` to the spec", code=WRONG_USE, as_json=json)
    told = []
    for notify in rollout.notify:
        problem = ""
        try:
            deliver(notify, of_test(rollout.name, time.time()), now=time.time())
        except (Undelivered, SecretError) as error:
            problem = str(error)
        told.append(
            {"channel": str(notify.channel), "where": where(notify), "delivered": not problem, "error": problem}
        )
    if json:
        print_json({"rollout": rollout.name, "told": told})
    else:
        for one in told:
            typer.echo(f"{one['channel']} {one['where']}: {one['error'] or 'delivered'}")
    if any(one["error"] for one in told):
        raise typer.Exit(PROBLEM)
