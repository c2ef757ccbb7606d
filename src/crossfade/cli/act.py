"""`crossfade start | hold | resume | advance | rollback | promote`: a person's moves, straight into the store.

They need no controller and no gateway to be alive: what is written here is what those find when they look next.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from typing import Annotated

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, print_json

MOVES = {
    "start": "Begin a pending rollout at its first stage.",
    "hold": "Keep the present exposure until somebody resumes.",
    "resume": "Go on after a hold; the step is watched for its full time again.",
    "advance": "Go to the next step or stage without waiting for the evidence.",
    "rollback": "Give every unit back to the champion.",
    "promote": "Give the challenger every unit but the holdback.",
}

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; others will read it in the ledger.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who moves it; your user name if left out.")]


def register(app: typer.Typer) -> None:
    """Add one command a move to `app`."""
    for move, what in MOVES.items():
        app.command(move, help=what)(_command(move))


def _command(move: str) -> Callable[..., None]:
    def act(name: Name, reason: Reason, data: DataDir = DATA, actor: Actor = None, json: AsJson = False) -> None:
        _act(move, name, reason, data, actor, json)

    return act


def _act(move: str, name: str, reason: str, data: DataDir, actor: str | None, json: bool) -> None:
    with opened(data, as_json=json) as store:
        from crossfade.rim.standing import move_by_hand
        from crossfade.state import IllegalMove, Move

        try:
            who = actor if actor is not None else _user()
            entry = move_by_hand(store, name, Move(move), actor=who, reason=reason, at=time.time())
        except IllegalMove:
            raise
        except ValueError as error:
            fail(str(error), "write why with --reason", as_json=json)
    if json:
        print_json(entry.to_json())
        return
    phase = str((entry.to_position or {}).get("phase", "")).replace("_", " ")
    typer.echo(f"{name} is {phase}. {entry.sentence} (entry {entry.n})")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"
