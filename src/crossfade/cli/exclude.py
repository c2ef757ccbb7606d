"""`crossfade exclude` and `include`: which segments stay on the champion, as a person decided and the ledger keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from crossfade.cli.act import Actor, Reason, _user, by_user
from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, print_json

WHAT = {
    "exclude": "Keep one segment on the champion from now on, and out of the comparison.",
    "include": "Let a segment that is kept on the champion be served like all others again.",
}

Segment = Annotated[
    str, typer.Argument(metavar="FIELD=VALUE", help="A value of a declared segment, such as header:x-country=DE.")
]


def register(app: typer.Typer) -> None:
    """Add both commands to `app`."""
    for word, what in WHAT.items():
        app.command(word, help=what)(_command(word))


def _command(word: str) -> Callable[..., None]:
    def run(
        name: Name, segment: Segment, reason: Reason, data: DataDir = DATA, actor: Actor = None, json: AsJson = False
    ) -> None:
        _exclude(word, name, segment, reason, data, actor, json)

    return run


def _exclude(word: str, name: str, segment: str, reason: str, data: DataDir, actor: str | None, json: bool) -> None:
    with opened(data, as_json=json) as store:
        from crossfade.rim.excluding import exclude_by_hand
        from crossfade.rim.store import StoreError

        who = actor if actor is not None else _user()
        try:
            entry = exclude_by_hand(
                store, name, segment, actor=who, reason=reason, at=time.time(), on=word == "exclude", by=by_user()
            )
        except StoreError:
            raise
        except ValueError as error:
            fail(str(error), f"see `crossfade status {name}` and write why with --reason", as_json=json)
    if json:
        print_json(entry.to_json())
        return
    typer.echo(f"{entry.sentence} (entry {entry.n})")
