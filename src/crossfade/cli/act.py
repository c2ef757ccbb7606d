"""`crossfade start | hold | resume | advance | rollback | promote`: a person's moves, straight into the store.

They need no controller and no gateway to be alive: what is written here is what those find when they look next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, fail, opened, print_json
from crossfade.cli.identity import By, Token, identified

MOVES = {
    "start": "Begin a pending rollout at its first stage.",
    "hold": "Keep the present exposure until somebody resumes.",
    "resume": "Go on after a hold; the step is watched for its full time again.",
    "advance": "Go to the next step or stage without waiting for the evidence.",
    "rollback": "Give every unit back to the champion.",
    "promote": "Give the challenger every unit but the holdback.",
}

MOVE, STOP, APPROVE = "move", "stop", "approve"
"""What a role may allow, as rim/tokens has it, which a command that shows no token need not import."""

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; others will read it in the ledger.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who moves it; your user name if left out.")]


def register(app: typer.Typer) -> None:
    """Add one command a move to `app`."""
    for move, what in MOVES.items():
        app.command(move, help=what)(_command(move))


Now = Annotated[
    bool,
    typer.Option("--now", help="Stop at once: works also while the controller is dead, or hangs and holds the store."),
]


def _command(move: str) -> Callable[..., None]:
    def rollback(
        name: Name,
        reason: Reason,
        now: Now = False,
        data: DataDir = DATA,
        actor: Actor = None,
        token: Token = None,
        json: AsJson = False,
    ) -> None:
        by = identified(data, token, actor, STOP, as_json=json)
        if now:
            _stop(name, reason, data, by, json)
        else:
            _act(move, name, reason, data, by, json)

    if move == "rollback":
        return rollback

    def act(
        name: Name,
        reason: Reason,
        data: DataDir = DATA,
        actor: Actor = None,
        token: Token = None,
        json: AsJson = False,
    ) -> None:
        may = STOP if move == "hold" else MOVE
        _act(move, name, reason, data, identified(data, token, actor, may, as_json=json), json)

    return act


def _act(move: str, name: str, reason: str, data: DataDir, by: By, json: bool) -> None:
    with opened(data, as_json=json) as store:
        from crossfade.rim.standing import move_by_hand
        from crossfade.state import IllegalMove, Move

        try:
            entry = move_by_hand(store, name, Move(move), actor=by[0], reason=reason, at=time.time(), by=by[1])
        except IllegalMove:
            raise
        except ValueError as error:
            fail(str(error), "write why with --reason", as_json=json)
    if json:
        print_json(entry.to_json())
        return
    phase = str((entry.to_position or {}).get("phase", "")).replace("_", " ")
    typer.echo(f"{name} is {phase}. {entry.sentence} (entry {entry.n})")


def _stop(name: str, reason: str, data: Path, by: By, json: bool) -> None:
    from crossfade.cli.common import PROBLEM, explained
    from crossfade.rim import standing, store_address
    from crossfade.rim.stop_orders import Order
    from crossfade.rim.stopping import stop_now
    from crossfade.state import IllegalMove

    with explained(data, lambda: None, as_json=json):
        if not store_address.there(data):
            raise standing.NoData(f"{data} holds no rollouts: it has no state.db")
        who, how = by
        order = Order(name=name, actor=standing.plain(who), reason=standing.plain(reason), at=time.time(), by=how)
        try:
            stopped = stop_now(data, order)
        except IllegalMove:
            raise
        except ValueError as error:
            fail(str(error), "write why with --reason", as_json=json)
    if stopped.entry is None:
        fail(
            f"{name} is stopped and every gateway obeys, but the ledger could not be written: {stopped.why}",
            f"the next controller that can write it puts it there, and so does `crossfade rollback {name} --now` again",
            code=PROBLEM,
            as_json=json,
        )
    if json:
        print_json(stopped.entry.to_json())
        return
    ended = " A controller that hung and kept others from writing was ended." if stopped.ended else ""
    typer.echo(f"{name} is rolled back. {stopped.entry.sentence} (entry {stopped.entry.n}){ended}")
