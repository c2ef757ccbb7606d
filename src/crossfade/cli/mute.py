"""`crossfade mute` and `unmute`: whether differences of a field count, decided by a person and kept in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from crossfade.cli.act import Actor, Reason, _user, by_user
from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, print_json

WHAT = {
    "mute": "Show differences of a field, but do not count them any more, in what was and what will be recorded.",
    "unmute": "Let differences of a field that was muted count again.",
}

Field = Annotated[
    str, typer.Argument(metavar="FIELD", help="As `crossfade differences` names it, such as $.took_ms or $.rows[*].id.")
]


def register(app: typer.Typer) -> None:
    """Add both commands to `app`."""
    for word, what in WHAT.items():
        app.command(word, help=what)(_command(word))


def _command(word: str) -> Callable[..., None]:
    def run(
        name: Name, field: Field, reason: Reason, data: DataDir = DATA, actor: Actor = None, json: AsJson = False
    ) -> None:
        _mute(word, name, field, reason, data, actor, json)

    return run


def _mute(word: str, name: str, field: str, reason: str, data: DataDir, actor: str | None, json: bool) -> None:
    with opened(data, as_json=json) as store:
        from crossfade.rim.muting import mute_by_hand
        from crossfade.rim.store import StoreError

        who = actor if actor is not None else _user()
        try:
            entry = mute_by_hand(
                store, name, field, actor=who, reason=reason, at=time.time(), on=word == "mute", by=by_user()
            )
        except StoreError:
            raise
        except ValueError as error:
            fail(str(error), f"see `crossfade differences {name}` and write why with --reason", as_json=json)
    if json:
        print_json(entry.to_json())
        return
    typer.echo(f"{entry.sentence} (entry {entry.n})")
