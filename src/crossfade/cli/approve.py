"""`crossfade approve`: a person lets a rollout go on to the stage that it waits to enter."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from crossfade.cli.act import APPROVE, Actor, Reason
from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, print_json
from crossfade.cli.identity import Token, identified

Shown = Annotated[
    str | None, typer.Option("--shown", help="Digest of the verdicts you looked at: refused if one is another by now.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("approve", help="Let a rollout go on to the stage that it waits to enter.")(approve)


def approve(
    name: Name,
    reason: Reason,
    shown: Shown = None,
    data: DataDir = DATA,
    actor: Actor = None,
    token: Token = None,
    json: AsJson = False,
) -> None:
    """Approve what is waited for."""
    who, by = identified(data, token, actor, APPROVE, as_json=json)
    with opened(data, as_json=json) as store:
        from crossfade.rim.approving import approve_by_hand

        try:
            entry = approve_by_hand(store, name, actor=who, reason=reason, at=time.time(), by=by, shown=shown)
        except ValueError as error:
            fail(str(error), f"see `crossfade status {name}`, and write why with --reason", as_json=json)
        left = store.get(name)
    if json:
        print_json(entry.to_json())
        return
    typer.echo(f"{entry.sentence} (entry {entry.n})")
    from crossfade.approvals import missing

    still = missing(left.rollout, left.position.stage + 1, left.position.approvals)
    typer.echo(f"{still} more needed." if still else "Nothing else is needed: it goes on at the next look.")
