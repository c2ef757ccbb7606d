"""`crossfade exclude` and `include`: which segments stay on the champion, as a person decided and the ledger keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.act import MOVE, STOP, Actor, Reason
from crossfade.cli.common import DATA, AsJson, DataDir, Name
from crossfade.cli.identity import Token, identified
from crossfade.cli.noting import note

if TYPE_CHECKING:
    from crossfade.ledger import Entry

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
        name: Name,
        segment: Segment,
        reason: Reason,
        data: DataDir = DATA,
        actor: Actor = None,
        token: Token = None,
        json: AsJson = False,
    ) -> None:
        by = identified(data, token, actor, STOP if word == "exclude" else MOVE, as_json=json)
        note(_by_hand, name, segment, reason, data, by, json, on=word == "exclude", see="status")

    return run


def _by_hand() -> Callable[..., Entry]:
    from crossfade.rim.excluding import exclude_by_hand

    return exclude_by_hand
