"""`crossfade mute` and `unmute`: whether differences of a field count, decided by a person and kept in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.act import MOVE, Actor, Reason
from crossfade.cli.common import DATA, AsJson, DataDir, Name
from crossfade.cli.identity import Token, identified
from crossfade.cli.noting import note

if TYPE_CHECKING:
    from crossfade.ledger import Entry

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
        name: Name,
        field: Field,
        reason: Reason,
        data: DataDir = DATA,
        actor: Actor = None,
        token: Token = None,
        json: AsJson = False,
    ) -> None:
        by = identified(data, token, actor, MOVE, as_json=json)
        note(_by_hand, name, field, reason, data, by, json, on=word == "mute", see="differences")

    return run


def _by_hand() -> Callable[..., Entry]:
    from crossfade.rim.muting import mute_by_hand

    return mute_by_hand
